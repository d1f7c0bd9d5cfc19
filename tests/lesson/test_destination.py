"""Where the command goes, by what is set. No test of these leaves this machine."""

import os

import pytest

from openai_command.destination import for_command
from openai_command.openai import main
from openai_lesson import LessonError, connect, connection, keys, local
from openai_lesson.local import Service
from openai_local.cli import main as stop

OPENAI = "https://api.openai.com/v1"


@pytest.fixture
def here(service, client, monkeypatch):
    """The service on this machine runs already, and this is the lesson's own key for it."""
    monkeypatch.setenv("OPENAI_LOCAL_HOME", str(service.home))
    monkeypatch.setenv("OPENAI_LOCAL_CACHE", str(service.cache))
    keys.save(f"local:{service.home}", client.api_key)
    return service


def test_nothing_set_stays_on_this_machine(here, client):
    found = for_command()
    assert (found.url, found.key) == (here.url, client.api_key)
    assert found.remarks == (f"Using the service on this machine ({here.url}).",)


@pytest.mark.parametrize("key", ["abc", "sk", "my key", "sk-local-unknown"])
def test_a_placeholder_gets_one_sentence_and_stays_here(here, client, monkeypatch, key):
    monkeypatch.setenv("OPENAI_API_KEY", key)
    found = for_command()
    assert (found.url, found.key) == (here.url, client.api_key)
    assert len(found.remarks) == 1 and here.url in found.remarks[0] and key not in found.remarks[0].split()
    assert ("https://platform.openai.com/api-keys" in found.remarks[0]) == (not key.startswith("sk-local-"))


def test_a_proxy_is_for_other_machines(here, monkeypatch):
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "intranet.example")
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert for_command().url == here.url
    assert os.environ["NO_PROXY"] == "intranet.example,127.0.0.1,localhost"


def test_a_known_local_key_is_used(here, monkeypatch):
    own = here.client("mine").api_key
    monkeypatch.setenv("OPENAI_API_KEY", own)
    assert for_command().key == own


def test_a_real_key_goes_to_openai(monkeypatch):
    monkeypatch.setattr(local, "find", lambda *_: pytest.fail("nothing is started"))
    monkeypatch.setenv("OPENAI_API_KEY", "sk-proj-mine")
    found = for_command()
    assert (found.url, found.key) == (OPENAI, "sk-proj-mine")
    assert found.remarks == (
        f"Using OpenAI ({OPENAI}) with your key. To stay on this machine:  openai -b local api …",
    )
    assert "sk-proj-mine" not in repr(found)


def test_local_keeps_a_real_key_to_itself(here, client, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-proj-mine")
    assert for_command("local").key == client.api_key
    assert for_command(here.url).key == client.api_key, "named by its address, too"


def test_after_connect_the_same_service_is_found_under_its_new_address(here, client, monkeypatch):
    """A notebook's cells with ! inherit what `connect` set."""
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    monkeypatch.setenv("OPENAI_LESSON_LOCAL_URL", "http://127.0.0.1:9/v1")
    monkeypatch.setenv("OPENAI_API_KEY", client.api_key)
    found = for_command()
    assert (found.url, found.key) == (here.url, client.api_key)
    assert os.environ["OPENAI_BASE_URL"] == here.url


@pytest.mark.parametrize("variable", ["OPENAI_BASE_URL", "OPENAI_API_BASE"])
def test_a_named_host_gets_the_key_that_was_set_or_kept(monkeypatch, variable):
    monkeypatch.setenv(variable, "https://models.example/v1")
    with pytest.raises(LessonError, match=r"There is no key for https://models\.example"):
        for_command()
    monkeypatch.setenv("OPENAI_API_KEY", "abc")
    with pytest.raises(LessonError, match=r"is no key for https://models\.example.*\n.*\n.*openai -b local"):
        for_command()
    keys.save("https://models.example/v1", "kept-for-it")
    assert for_command().key == "kept-for-it"
    monkeypatch.setenv("OPENAI_API_KEY", "a-key-of-this-host")
    found = for_command()
    assert (found.url, found.key, found.remarks) == ("https://models.example/v1", "a-key-of-this-host", ())


def test_openai_by_name_gets_only_a_key_that_can_be_meant_for_it(monkeypatch):
    for key in ("abc", "sk-local-mine", ""):
        monkeypatch.setenv("OPENAI_API_KEY", key)
        for name in ("openai", OPENAI):
            with pytest.raises(LessonError, match=r"platform\.openai\.com/api-keys") as error:
                for_command(name)
            assert not key or key not in str(error.value).split()
    keys.save("openai", "sk-kept")
    assert for_command(OPENAI).key == "sk-kept"
    assert not connection.is_openai("notopenai.com") and connection.is_openai("eu.api.openai.com")


def test_another_service_on_this_machine_gets_the_key_as_it_is(monkeypatch):
    monkeypatch.setattr(local, "running", lambda: Service("http://127.0.0.1:1/v1", "home"))
    assert for_command("http://localhost:11434/v1", "ollama").key == "ollama"


def test_notebooks_stay_here_in_spite_of_a_real_key(here, client, monkeypatch, capsys):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-proj-mine")
    assert connect().api_key == client.api_key
    assert here.url in capsys.readouterr().out


def test_a_refusal_is_one_error_and_exit_code_1(monkeypatch, capsys):
    monkeypatch.setenv("OPENAI_BASE_URL", "https://models.example/v1")
    monkeypatch.setenv("OPENAI_API_KEY", "abc")
    assert main(["api", "models.list"]) == 1
    assert capsys.readouterr().err.startswith(
        "Error: The key that you set is no key for https://models.example/v1."
    )


def test_the_command_starts_the_service_and_leaves_it_running(tmp_path, tiny_cache, monkeypatch, capsys):
    monkeypatch.setenv("OPENAI_LOCAL_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("OPENAI_LOCAL_CACHE", str(tiny_cache))
    monkeypatch.setenv("OPENAI_API_KEY", "abc")
    try:
        assert main(["api", "models.list"]) == 0
        shown = capsys.readouterr()
        assert "smollm2" in shown.out and shown.err.count("\n") == 1 and "None is needed here" in shown.err
        monkeypatch.delenv("OPENAI_API_KEY")
        assert main(["api", "files.list"]) == 0
        assert capsys.readouterr().err.startswith("Using the service on this machine (http://127.0.0.1:")
    finally:
        assert stop(["stop"]) == 0
