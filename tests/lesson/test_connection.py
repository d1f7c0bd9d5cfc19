import os

import openai
import pytest

from openai_lesson import LessonError, connect, host, keys
from openai_local.cli import main


def stop():
    assert main(["stop"]) == 0


@pytest.fixture
def own_service(tmp_path, tiny_cache, monkeypatch):
    """Nothing runs yet; what `connect` starts lives in a home of its own and is stopped at the end."""
    monkeypatch.setenv("OPENAI_LOCAL_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("OPENAI_LOCAL_CACHE", str(tiny_cache))
    yield tmp_path / "home"
    stop()


def test_connect_starts_the_service_once_and_sets_the_environment(own_service, capsys):
    """And it finds its way back when the service is gone. A key that is no longer known is replaced."""
    keys.save(f"local:{own_service}", "sk-local-old")
    client = connect()
    assert client.api_key != "sk-local-old"
    assert "Connected to the service on this machine" in capsys.readouterr().out
    assert os.environ["OPENAI_BASE_URL"].startswith("http://127.0.0.1:")
    assert openai.OpenAI().models.list().data, "any other code in the notebook reaches it too"
    again = connect()
    assert (again.base_url, again.api_key) == (client.base_url, client.api_key)
    assert host(client).local and host(client).model == "ada" and not host(client).chat
    assert client.api_key not in capsys.readouterr().out
    stop()
    back = connect()
    assert back.models.list().data and back.api_key == client.api_key


def test_an_address_that_the_learner_set_wins(service, client, monkeypatch):
    monkeypatch.setenv("OPENAI_BASE_URL", service.url)
    monkeypatch.setenv("OPENAI_API_KEY", client.api_key)
    assert str(connect().base_url).rstrip("/") == service.url


def test_openai_needs_the_learners_own_key(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-local-of-this-machine")
    with pytest.raises(LessonError, match=r"no key for openai.*\n.*keys.ask\('openai'\)"):
        connect("openai")
    keys.save("openai", "sk-mine")
    client = connect("openai")
    assert (str(client.base_url), client.api_key) == ("https://api.openai.com/v1/", "sk-mine")
    assert os.environ["OPENAI_API_KEY"] == "sk-mine"
    assert host(client).chat and not host(client).local


def test_a_service_that_can_not_start_says_why(tmp_path, tiny_cache, monkeypatch):
    (tmp_path / "home").write_text("a file where the folder should be")
    monkeypatch.setenv("OPENAI_LOCAL_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("OPENAI_LOCAL_CACHE", str(tiny_cache))
    with pytest.raises(LessonError) as error:
        connect()
    assert "Traceback" not in str(error.value)


def test_a_class_s_service_is_known_by_its_keys(monkeypatch):
    """Whatever machine it is on: a key that such a service made, or the token of the learner's Hub."""
    at = {"base_url": "http://class.example.org:8765/v1"}
    assert host(openai.OpenAI(api_key="sk-local-" + "a" * 8, **at)).model == "ada"
    monkeypatch.setenv("JUPYTERHUB_API_TOKEN", "a hub's token")
    hubs = host(openai.OpenAI(api_key="a hub's token", **at))
    assert hubs.local and hubs.silence.startswith("Your class's service does not answer.")
    assert not host(openai.OpenAI(api_key="another's", **at)).local
