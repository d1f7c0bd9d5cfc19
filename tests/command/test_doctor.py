"""Each thing is broken for real. The doctor must name it, and the command that it gives must mend it."""

import json
import os
import platform
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from openai_command.doctor import CHECKS, environment, examine, hosts, machine, remedies
from openai_command.doctor.remedies import State, ok, wrong
from openai_command.lesson import main
from openai_data.local_cli import output
from openai_lesson import keys

KEY = "-".join(["sk", "proj", "0123456789abcdefghij"])  # of a key's shape, and nobody's


@pytest.fixture(autouse=True)
def home(tmp_path, tiny_cache, monkeypatch):
    """A user's folder of its own, no proxies, and an environment that is activated."""
    for name in (*os.environ,):
        if name.lower().endswith("_proxy") or name in ("JPY_PARENT_PID", "CONDA_PREFIX"):
            monkeypatch.delenv(name)
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("OPENAI_LOCAL_CACHE", str(tiny_cache))
    monkeypatch.setenv("VIRTUAL_ENV", sys.prefix)
    monkeypatch.setenv("PATH", f"{remedies.scripts()}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.chdir(folder)
    return folder


def run(command):
    """Type a command into a shell."""
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def fake(site, name, version):
    """A package that claims to be installed."""
    folder = site / f"{name}-{version}.dist-info"
    folder.mkdir(parents=True)
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")


def test_python(monkeypatch):
    assert environment.interpreter().state is State.OK
    monkeypatch.setattr(platform, "python_version", lambda: "3.9.2")
    line = environment.interpreter()
    assert line == wrong("Python 3.9.2 is too old: the lesson needs >=3.11.", "python3.12 -m venv .venv")
    monkeypatch.setattr(remedies, "WINDOWS", True)
    assert environment.interpreter().mend == "py -3.12 -m venv .venv"


def test_an_environment_that_is_not_activated(monkeypatch):
    assert environment.environment().text.endswith("Jupyter runs in it.")
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.delenv("VIRTUAL_ENV")
    line = environment.environment()
    assert line.state is State.WARNING and "finds no command jupyter" in line.text
    found = run(f"{line.mend} && command -v jupyter && command -v openai-lesson")
    assert found.split() == [str(remedies.scripts() / "jupyter"), str(remedies.scripts() / "openai-lesson")]


def test_the_jupyter_of_another_environment(monkeypatch, tmp_path):
    other = tmp_path / "anaconda3" / "bin"
    other.mkdir(parents=True)
    (other / "jupyter").write_text("#!/bin/sh\necho '{\"kernelspecs\": {}}'\n")
    (other / "jupyter").chmod(0o755)
    monkeypatch.setenv("PATH", f"{other}{os.pathsep}{os.environ['PATH']}")
    line = environment.environment()
    assert line.state is State.WARNING and "another one's" in line.text and line.mend.startswith("source ")
    kernel = next(iter(CHECKS["the kernel"]()))
    assert kernel == wrong('Jupyter knows no kernel "OpenAI".', "openai-lesson kernel install --user")


def test_packages(monkeypatch, tmp_path):
    assert environment.packages()[0].state is not State.WRONG
    fake(tmp_path / "site", "gguf", "0.1")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    line = environment.packages()[0]
    assert line.text == "gguf 0.1 is here, but the lesson needs >=0.17." and line.state is State.WRONG
    assert (
        line.mend
        == f'python -m pip install -c {remedies.quoted(remedies.CHECKOUT / "constraints.txt")} "gguf>=0.17"'
    )
    mended = run(f"{line.mend} --no-deps --no-index 2>&1")
    assert "already satisfied: gguf>=0.17" in mended, "pip knows the command's words"


def test_a_package_that_is_missing(monkeypatch):
    monkeypatch.setattr(
        environment, "requires", lambda _: ["no-such-package>=2", "only-elsewhere; extra == 'test'"]
    )
    [line] = environment.packages()
    assert line.text == "The package no-such-package is missing." and '"no-such-package>=2"' in line.mend


def test_a_version_that_was_not_tried(monkeypatch, tmp_path):
    fake(tmp_path / "site", "lxml", "99.0")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    [line] = environment.packages()
    pinned = environment.pins()["lxml"]
    assert line.state is State.WARNING and f"lxml 99.0 (tried: {pinned})" in line.text
    assert line.mend.endswith(f'"lxml=={pinned}"')
    monkeypatch.setattr(remedies, "kind", lambda: "conda")
    assert environment.packages()[0].state is State.OK, "conda chooses for itself"


def test_memory(monkeypatch, tmp_path):
    assert machine.memory().state is State.OK
    with monkeypatch.context() as low:
        few = psutil.virtual_memory()._replace(available=400_000_000)
        low.setattr(psutil, "virtual_memory", lambda: few)
        line = machine.memory()
    assert line.state is State.WARNING and line.text.startswith(
        "0.4 GB of memory are free; training takes 1.6 GB."
    )
    assert line.mend == "openai-lesson doctor"


def test_memory_of_a_job_on_a_cluster(monkeypatch, tmp_path):
    group = tmp_path / "group" / "job_7"
    group.mkdir(parents=True)
    facts = {
        "memory.max": "2000000000\n",
        "memory.current": "1500000000\n",
        "memory.stat": "inactive_file 250000000\n",
    }
    for name, text in facts.items():
        (group / name).write_text(text)
    (tmp_path / "own").write_text("0::/group/job_7\n")
    monkeypatch.setattr(machine, "GROUPS", tmp_path)
    monkeypatch.setattr(machine, "OWN_GROUP", tmp_path / "own")
    assert machine.memory().text.startswith("0.8 GB of memory are free")


def test_disk(monkeypatch, home):
    monkeypatch.setenv("OPENAI_LOCAL_HOME", str(home / "not" / "yet"))
    assert machine.disk().state is State.OK
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10, 10, 300_000_000))
    line = machine.disk()
    assert line.text.startswith(f"0.3 GB of disk are free at {home}; keep 1 GB free.")
    assert line.mend == "python -m pip cache purge"


@pytest.mark.skipif(platform.machine() != "x86_64" or sys.platform != "linux", reason="reads /proc/cpuinfo")
def test_processor(monkeypatch, tmp_path):
    monkeypatch.setattr(machine, "PROCESSOR", tmp_path / "cpuinfo")
    assert "does not tell its features" in machine.processor().text
    (tmp_path / "cpuinfo").write_text("processor: 0\nflags\t\t: fpu sse4_2 avx\n")
    assert machine.processor().state is State.WARNING and "without AVX2" in machine.processor().text
    (tmp_path / "cpuinfo").write_text("processor: 0\nflags\t\t: fpu avx avx2 avx512f\n")
    assert machine.processor().text.endswith("with AVX2, AVX512F.")


def test_a_compiled_package_that_does_not_load(monkeypatch, tmp_path):
    (tmp_path / "xllamacpp.py").write_text("import os, signal; os.kill(os.getpid(), signal.SIGILL)")
    (tmp_path / "torch.py").write_text("")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    bad, good = machine.compiled()
    assert bad.state is State.WRONG and "can't be loaded: exit code -4." in bad.text
    assert bad.mend == "python -m pip install --force-reinstall --no-deps xllamacpp" and good.state is State.OK


def test_a_folder_that_is_gone(home, monkeypatch):
    gone = home / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    [line] = machine.folders()
    assert line == wrong("The folder that you are in does not exist any more.", "cd ~")
    assert run(f"{line.mend} && pwd").strip() == str(home)
    monkeypatch.chdir(home)
    assert machine.folders()[0].state is State.OK


def test_a_file_where_a_folder_should_be(home, monkeypatch):
    monkeypatch.setenv("OPENAI_LESSON_CONFIG", str(home / "file"))
    (home / "file").write_text("")
    [line] = machine.folders()
    assert "The folder for your keys (~/file) can't be written to: not a directory." in line.text
    assert line.mend == "export OPENAI_LESSON_CONFIG=~/openai-lesson-files"
    ask = f"{sys.executable} -c 'from openai_command.doctor import machine; print(*machine.folders())'"
    assert run(f"{line.mend}; {ask}").startswith("OK")


@pytest.mark.skipif(os.geteuid() == 0 and not shutil.which("setpriv"), reason="root may write anywhere")
def test_a_folder_that_is_read_only(home):
    (here := home / "notebooks").mkdir(mode=0o500)
    ordinary = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
    words = [
        *ordinary,
        sys.executable,
        "-c",
        "from openai_command.doctor import machine; print(*machine.folders())",
    ]
    said = subprocess.check_output(words, cwd=here, text=True).strip()
    problem, _, mend = said.partition("\n         Mend it:  ")
    assert problem.endswith("The folder that you are in (~/notebooks) can't be written to: permission denied.")
    assert mend == "chmod u+rwx ~/notebooks"
    run(mend)
    assert subprocess.check_output(words, cwd=here, text=True).startswith("OK")


def test_proxies(monkeypatch):
    assert hosts.proxies().text == "No proxy is set for http."
    monkeypatch.setenv("http_proxy", "http://jane:pass@proxy.example:3128")
    monkeypatch.setenv("no_proxy", "example.org")
    line = hosts.proxies()
    assert line.state is State.WARNING and line.mend == "export no_proxy=example.org,127.0.0.1,localhost"
    ask = f"{sys.executable} -c 'from openai_command.doctor import hosts; print(hosts.proxies())'"
    assert "this machine is reached without it" in run(f"{line.mend}; {ask}")
    monkeypatch.setattr(remedies, "WINDOWS", True)
    assert hosts.proxies().mend == 'setx no_proxy "example.org,127.0.0.1,localhost"'


def test_the_service(new_service, monkeypatch):
    assert "does not run now" in hosts.service().text
    running = new_service()
    monkeypatch.setenv("OPENAI_LOCAL_HOME", str(running.home))
    assert hosts.service() == ok(f"The service on this machine answers at {running.url}.")
    keys.save(f"local:{running.home}", running.client("me").api_key)
    assert hosts.service().text.endswith(f"answers at {running.url} and has 1 model.")
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{unused_port()}")
    assert hosts.service().state is State.OK, "asked without the proxy"


def test_a_service_that_does_not_answer(home, monkeypatch):
    """Its process lives and holds the lock, but nobody listens at its port."""
    local = home / "local"
    local.mkdir()
    monkeypatch.setenv("OPENAI_LOCAL_HOME", str(local))
    code = "import sys, time; from filelock import FileLock; lock = FileLock(sys.argv[1]); lock.acquire(); "
    words = [sys.executable, "-c", f"{code}print(flush=True); time.sleep(60)", str(local / "service.lock")]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as stuck:
        stuck.stdout.readline()
        note = {"url": f"http://127.0.0.1:{unused_port()}/v1", "pid": stuck.pid}
        (local / "service.json").write_text(json.dumps(note))
        line = hosts.service()
        assert line == wrong(f"The service should answer at {note['url']}, and does not.", "openai-local stop")
        run(line.mend)
    assert "does not run now" in hosts.service().text


def test_an_address_at_which_nobody_answers(monkeypatch, new_service):
    assert hosts.address() == []
    monkeypatch.setenv("OPENAI_BASE_URL", f"http://127.0.0.1:{unused_port()}/v1")
    [line] = hosts.address()
    assert "nobody answers there" in line.text and line.mend == "unset OPENAI_BASE_URL"
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(remedies, "WINDOWS", True)
        assert hosts.address()[0].mend == 'setx OPENAI_BASE_URL ""'
    monkeypatch.setenv("OPENAI_BASE_URL", new_service().url)
    assert hosts.address()[0].text.endswith("which answers.")


def unused_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def test_a_base_model_that_is_missing_or_damaged(monkeypatch, tmp_path):
    """The tiny one is as good as a damaged file."""
    assert hosts.base().state is State.WRONG and "is damaged: its SHA-256 is not b179c9523d0e" in hosts.base().text
    monkeypatch.setenv("OPENAI_LOCAL_CACHE", str(tmp_path / "empty"))
    line = hosts.base()
    assert "is not on this machine yet (93 MB)" in line.text and line.mend == "openai-local bases fetch"


@pytest.mark.model
def test_a_flipped_byte_of_the_real_base_model(monkeypatch, tmp_path):
    """It is fetched once more."""
    monkeypatch.undo()
    real = Path(json.loads(output("bases", "check", "--json"))["path"])
    cache = tmp_path / "cache" / "bases" / real.name
    shutil.copytree(real, cache)
    monkeypatch.setenv("OPENAI_LOCAL_CACHE", str(tmp_path / "cache"))
    assert hosts.base().state is State.OK
    with (cache / "model.gguf").open("r+b") as file:
        file.seek(50_000_000)
        byte = file.read(1)[0]
        file.seek(50_000_000)
        file.write(bytes([byte ^ 1]))
    line = hosts.base()
    assert line.state is State.WRONG and "is damaged" in line.text
    run(line.mend)
    assert hosts.base().state is State.OK


def test_where_the_key_comes_from(monkeypatch, home):
    assert hosts.key()[0].text == "No key is set. On this machine none is needed."
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    assert "comes from the environment variable OPENAI_API_KEY" in hosts.key()[0].text
    (home / ".env").write_text(f"OPENAI_API_KEY={KEY}\n")
    assert "comes from OPENAI_API_KEY in the file .env" in hosts.key()[0].text
    monkeypatch.setenv("OPENAI_API_KEY", "abc")
    assert "not a real one" in hosts.key()[0].text
    monkeypatch.delenv("OPENAI_API_KEY")
    keys.save("openai", KEY)
    assert hosts.key()[0].text.startswith("A key for OpenAI is in the file with your keys.")
    assert not any("0123456789" in str(line) for line in hosts.key())


def test_a_host_without_a_key(monkeypatch):
    monkeypatch.setenv("OPENAI_BASE_URL", "https://api.openai.com/v1")
    [line] = hosts.key()
    assert line.state is State.WRONG and line.text.startswith("There is no key for api.openai.com.")
    subprocess.run(["bash", "-c", line.mend], input=f"{KEY}\n".encode(), capture_output=True, check=True)
    assert hosts.key() == [ok("The key for api.openai.com comes from the file with your keys.")]


def test_the_file_with_the_keys():
    keys.save("openai", KEY)
    keys.path().chmod(0o644)
    line = hosts.key()[1]
    assert line.state is State.WARNING and "Others on this machine can read" in line.text
    run(line.mend)
    assert len(hosts.key()) == 1
    keys.path().write_text("{")
    [line] = hosts.key()
    assert line.state is State.WRONG and "is damaged" in line.text
    run(line.mend)
    assert hosts.key()[0].state is State.OK


def test_the_command_and_its_report(home, monkeypatch, capsys):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("HTTPS_PROXY", "http://jane:pass@proxy.example:3128")
    monkeypatch.setenv("PIP_INDEX_URL", "https://jane:pass@index.example/simple")
    assert main(["doctor", "--report", "report.txt"]) == 1, "the tiny model is not the real one"
    said = capsys.readouterr().out
    assert re.search(
        r"^WRONG    The file of the base model .*\n {9}Mend it:  openai-local bases fetch$", said, re.M
    )
    text = (home / "report.txt").read_text(encoding="utf-8")
    assert all(line in text for line in said.splitlines() if line.startswith(("OK", "WRONG"))), "the same lines"
    assert "Packages: " in text and "https://[secret]@index.example/simple" in text and "kernel openai: " in text
    for secret in ("0123456789", "jane", "pass@", str(home), platform.node()):
        assert secret not in text, secret
    assert main(["doctor", "--report", "no/such/folder.txt"]) == 1
    assert "can't be written" in capsys.readouterr().err


def test_a_check_that_breaks_is_a_line(monkeypatch):
    def bad():
        raise RuntimeError("two\nlines")

    monkeypatch.setattr("openai_command.doctor.CHECKS", {"the moon": bad, "the sun": lambda: ok("It shines.")})
    first, second = examine()
    assert (
        first.state is State.WARNING
        and "The check of the moon itself broke (RuntimeError: two lines)" in first.text
    )
    assert second == ok("It shines.")


def test_a_line_and_what_mends_it():
    assert str(ok("Good.")) == "OK       Good."
    assert str(wrong("Bad.", "openai-local bases fetch")) == (
        "WRONG    Bad.\n         Mend it:  openai-local bases fetch"
    )


def test_paths_as_they_are_typed(home, monkeypatch):
    assert remedies.quoted(home / "my files") == "~/'my files'" and remedies.quoted(Path("/a b")) == "'/a b'"
    monkeypatch.delenv("VIRTUAL_ENV")
    assert remedies.program("openai-lesson") == remedies.quoted(remedies.scripts() / "openai-lesson")
    monkeypatch.setattr(remedies, "WINDOWS", True)
    assert remedies.quoted(Path("C:/my files")) == '"C:/my files"' and remedies.program("jupyter").endswith(
        "jupyter.exe"
    )
