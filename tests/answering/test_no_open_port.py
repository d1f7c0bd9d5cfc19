"""llama.cpp's own server: nobody else on the machine, and no page in a browser, can talk to it."""

import os
import shutil
import socket
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from openai_local.answering.inference import Answering, Target
from openai_local.answering.llama_server import SOCKETS, AnswerError, Sockets, start
from openai_local.models.base_models import SMOLLM2

PATHS = """/props /slots /slots/0 /metrics /lora-adapters /models /v1/models /tokenize /detokenize /apply-template
/completion /v1/completions /v1/chat/completions /v1/responses /v1/messages /infill /embedding /rerank /api/show
/api/tags /tools""".split()

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has a port there, with a key")


@pytest.fixture
def gguf(tiny_cache):
    yield SMOLLM2.at(tiny_cache).gguf
    SOCKETS.close()


def listening():
    return {each.laddr for each in psutil.Process().net_connections("inet") if each.status == psutil.CONN_LISTEN}


def ask(path, method, where, key=""):
    """The status of an answer."""
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(where)
        head = [f"{method} {path} HTTP/1.1", "Host: x", "Content-Length: 0", "Connection: close"]
        head += [f"Authorization: Bearer {key}"] if key else []
        line.sendall("\r\n".join([*head, "", ""]).encode())
        return int(line.recv(65536).split()[1])


def test_it_opens_no_port_and_its_file_is_out_of_reach(gguf, loose_umask):
    before = listening()
    server = start(gguf, (), 1)
    assert listening() == before
    place = Path(server.address.removeprefix("unix://"))
    assert stat.S_ISSOCK(place.stat().st_mode)
    assert stat.S_IMODE(place.parent.stat().st_mode) == 0o700 and place.parent.stat().st_uid == os.getuid()
    assert server.tokenize("x")
    del server
    assert not place.exists(), "who let go of the server has removed its file"


@pytest.fixture
def loose_umask():
    before = os.umask(0)
    yield
    os.umask(before)


def test_it_wants_its_key_all_the_same(gguf, tried):
    """Everywhere but where it says that it lives. The key is in no command line and no environment."""
    server = start(gguf, (), 1)
    place, key = server.address.removeprefix("unix://"), server.key
    for path in PATHS:
        for method in ("GET", "POST"):
            for wrong in ("", key[:-1], key + "x"):
                assert ask(path, method, place, wrong) == 401, f"{method} {path}"
    assert ask("/lora-adapters", "GET", place, key) == 200
    with pytest.raises(AnswerError):
        replace(server, key="").tokenize("x")
    process = psutil.Process()
    assert key not in " ".join(process.cmdline()) and key not in "".join(process.environ().values())
    tried("llama.cpp without its key", f"{len(PATHS) * 6} requests", 0)


@pytest.fixture
def parent(monkeypatch, tmp_path_factory):
    """Where the folders with the sockets come to lie."""
    parent = tmp_path_factory.mktemp("s")
    monkeypatch.setenv("TMPDIR", str(parent))
    if len(str(parent)) > 60:
        pytest.skip("the folder for temporary files has too long a path for a socket")
    return parent


def test_a_service_leaves_nothing_even_if_it_is_killed(parent, new_service):
    service = new_service()
    asked = {"model": "ada", "prompt": "x", "max_tokens": 1}
    assert not list(parent.iterdir()), "nobody has asked yet"
    assert service.client().completions.create(**asked)
    (killed,) = parent.iterdir()
    assert [path.name for path in sorted(killed.iterdir())] == ["1.sock", "lock"]
    service.kill()
    service.start()
    assert killed.exists()
    assert service.client().completions.create(**asked)
    (folder,) = parent.iterdir()
    assert folder != killed
    service.stop()
    assert not list(parent.iterdir())


def test_what_is_left_of_a_process_that_was_killed_goes(parent):
    code = (
        "from openai_local.answering.llama_server import SOCKETS; import os; "
        "print(SOCKETS.new(), flush=True); os._exit(9)"
    )
    killed = Path(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip())
    assert killed.parent.exists()
    ours, others = Sockets(), Sockets()
    first, second = ours.new(), others.new()
    assert not killed.parent.exists() and first.parent.exists() and second.parent.exists() and first != second
    ours.close()
    others.close()
    assert not list(parent.iterdir())


def test_a_path_that_is_too_long_for_a_socket_is_not_taken(monkeypatch, tmp_path, gguf):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / ("x" * 90)))
    monkeypatch.setenv("TMPDIR", str(tmp_path / ("y" * 90)))
    sockets = Sockets()
    assert sockets.new().parent.parent == Path("/tmp")
    sockets.close()


def test_a_folder_that_somebody_cleaned_away_is_made_again(gguf):
    """Some systems delete what is old below /tmp, and a service may run for weeks."""
    answering, asked = Answering(), {"messages": [{"role": "user", "content": "x"}], "max_tokens": 2}
    assert answering.complete(Target(gguf), asked)["choices"]
    folder = SOCKETS.new().parent
    shutil.rmtree(folder)
    assert answering.tokens(Target(gguf), "x")
    shutil.rmtree(SOCKETS.new().parent)
    assert answering.complete(Target(gguf), asked)["choices"]
    assert SOCKETS.new().parent != folder
    answering.close()


def test_answers_come_as_before_and_nothing_is_left(gguf):
    answering = Answering()
    assert answering.complete(Target(gguf), {"prompt": "x", "max_tokens": 2})["choices"]
    folder = SOCKETS.new().parent
    answering.close()
    assert not folder.exists()
