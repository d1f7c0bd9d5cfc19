"""`openai-local start`: a service in the background, one for each home."""

import json
import subprocess
import sys

import openai
import pytest
from filelock import FileLock

from openai_local.cli import main
from openai_local.command import status
from openai_local.home import Home


@pytest.fixture
def start(tmp_path, tiny_cache, monkeypatch, capsys):
    """Call the command. What it started is stopped at the end."""
    monkeypatch.setenv("OPENAI_LOCAL_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("OPENAI_LOCAL_CACHE", str(tiny_cache))

    def call():
        assert main(["start", "--idle-timeout", "60", "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    yield call
    assert main(["stop"]) == 0


def test_it_is_started_once(start, capsys):
    first = start()
    assert first["started"] and first["url"].startswith("http://127.0.0.1:")
    assert start() == {**first, "started": False}
    assert main(["start"]) == 0 and capsys.readouterr().out.startswith(f"A service runs at {first['url']}, home ")
    with pytest.raises(openai.AuthenticationError):
        openai.OpenAI(base_url=first["url"], api_key="none", max_retries=0).models.list()


def test_two_at_the_same_moment_share_one(start):
    words = [sys.executable, "-P", "-m", "openai_local", "start", "--idle-timeout", "60", "--json"]
    both = [subprocess.Popen(words, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    found = [json.loads(process.communicate()[0]) for process in both]
    assert found[0]["url"] == found[1]["url"] and sorted(told["started"] for told in found) == [False, True]


def test_one_that_can_not_be_reached_is_named(tmp_path, monkeypatch, capsys):
    """It holds the home's lock, but nothing listens here: it runs on another machine that shares the folder."""
    monkeypatch.setattr(status, "WAIT_SECONDS", 0.2)
    home = Home.open(tmp_path / "home")
    home.note_running(url="http://127.0.0.1:9/v1")
    with FileLock(home.lock):
        assert main(["start", "--home", str(home.path)]) == 1
    said = capsys.readouterr().err
    assert f"A service at http://127.0.0.1:9/v1 holds the folder {home.path}" in said
    assert said.strip().endswith("Stop it there:  openai-local stop")
