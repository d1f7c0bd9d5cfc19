"""A client without any setting reaches the service; a learner's own settings win."""

import os
import subprocess
import sys

import openai
import pytest

from openai_command.env_file import Settings, nearest
from openai_command.redaction import Secrets
from openai_kernel.connecting import Connection
from openai_lesson import LessonError, connect, connection, keys, other_hosts

REAL = "sk-" + "proj-Ab3dEf6hIj9kLm2nOp5qRs8tUv"


@pytest.fixture
def connected(tmp_path, tiny_cache, monkeypatch):
    """What the kernel does to the client, here and now; nothing runs yet."""
    monkeypatch.setenv("OPENAI_LOCAL_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("OPENAI_LOCAL_CACHE", str(tiny_cache))
    monkeypatch.chdir(tmp_path)
    for kind in (openai.OpenAI, openai.AsyncOpenAI):
        monkeypatch.setattr(kind, "__init__", kind.__init__)
    monkeypatch.setattr(openai, "_client", None)
    monkeypatch.setattr(openai, "api_key", None)
    connection = Connection(Secrets())
    connection.arrange()
    yield connection
    if (tmp_path / "home").exists():
        subprocess.run([sys.executable, "-m", "openai_local", "stop"], capture_output=True, check=True)


@pytest.fixture
def nothing_local(connected, monkeypatch):
    """The service on this machine must not even be looked for."""
    monkeypatch.setattr(connection.local, "find", lambda *_: pytest.fail("the service was looked for"))


def place(client):
    return str(client.base_url).rstrip("/"), client.api_key


def test_the_service_is_started_at_first_use_and_told_once(connected, capsys):
    first = openai.OpenAI()
    assert first.models.list().data
    assert capsys.readouterr().out.startswith("Started the service on this machine")
    assert place(openai.AsyncOpenAI()) == place(openai.OpenAI()) == place(first)
    assert openai.models.list().data, "the module itself is a client, too"
    assert openai.OpenAI(api_key="abc").models.list().data, "abc is no key, so it needs none"
    assert place(first.with_options(timeout=3)) == place(first)
    assert "OPENAI_BASE_URL" not in os.environ and "OPENAI_API_KEY" not in os.environ
    assert connected._secrets.mask(first.api_key) == "[secret]"
    subprocess.run([sys.executable, "-m", "openai_local", "stop"], check=True, capture_output=True)
    assert openai.OpenAI().models.list().data, "it is started again"


def test_connect_says_it_once(connected, capsys):
    client = connect()
    assert client.models.list().data and place(openai.OpenAI()) == place(client)
    assert capsys.readouterr().out == f"Connected to the service on this machine ({place(client)[0]})\n"


def test_a_real_key_goes_to_openai_and_never_to_this_machine(nothing_local, monkeypatch):
    assert place(openai.OpenAI(api_key=REAL)) == (other_hosts.OPENAI_URL, REAL)
    monkeypatch.setenv("OPENAI_API_KEY", REAL)
    assert place(openai.OpenAI()) == (other_hosts.OPENAI_URL, REAL)
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    connection.note_found("http://127.0.0.1:9/v1")
    assert place(openai.OpenAI()) == (other_hosts.OPENAI_URL, REAL), "an address that connect() found"


def test_the_learners_own_settings_win(nothing_local, monkeypatch):
    assert place(openai.OpenAI(base_url="http://x.example/v1", api_key="k")) == ("http://x.example/v1", "k")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://x.example/v1")
    monkeypatch.setenv("OPENAI_API_KEY", "long-enough")
    assert place(openai.OpenAI()) == ("http://x.example/v1", "long-enough")
    monkeypatch.delenv("OPENAI_API_KEY")
    with pytest.raises(LessonError, match="There is no key for"):
        openai.OpenAI()
    keys.save("http://x.example/v1", "kept-for-it")
    assert openai.OpenAI().api_key == "kept-for-it"


def test_azure_is_left_alone(nothing_local):
    azure = openai.AzureOpenAI(azure_endpoint="https://x.example", api_version="1", api_key="k")
    assert str(azure.base_url).startswith("https://x.example")
    assert openai.OpenAI(api_key=lambda: "k")._api_key_provider is not None


def test_a_file_with_settings(nothing_local, tmp_path, monkeypatch):
    below = tmp_path / "notebooks"
    below.mkdir()
    monkeypatch.chdir(below)
    (tmp_path / ".env").write_text(f'# mine\nexport OPENAI_API_KEY="{REAL}" # real\nOTHER=1\nOPENAI_BASE_URL=\n')
    assert place(openai.OpenAI()) == (other_hosts.OPENAI_URL, REAL)
    assert "OTHER" not in os.environ
    (below / ".env").write_text("OPENAI_API_KEY='long-enough'\nOPENAI_BASE_URL=http://x.example/v1\nbroken\nA='\n")
    assert nearest() == below / ".env"
    assert place(openai.OpenAI()) == ("http://x.example/v1", "long-enough")
    monkeypatch.setenv("OPENAI_API_KEY", "in-the-environment")
    (below / ".env").write_text("OPENAI_API_KEY=another-one\n")
    Settings().take()
    assert os.environ["OPENAI_API_KEY"] == "in-the-environment"
