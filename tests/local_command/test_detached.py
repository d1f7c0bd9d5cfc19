"""`openai-local serve --detached`: one service for each home, whoever asks for it first."""

import subprocess
import sys

import openai
import pytest
from filelock import FileLock

from openai_local.cli import main
from openai_local.command import serve
from openai_local.home import Home

WORDS = [sys.executable, "-P", "-m", "openai_local", "serve", "--detached", "--port", "0", "--idle-timeout", "60"]


@pytest.fixture
def start(tmp_path, tiny_cache, monkeypatch):
    """Start the command. Its service is stopped at the end."""
    monkeypatch.setenv("OPENAI_LOCAL_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("OPENAI_LOCAL_CACHE", str(tiny_cache))
    both = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    yield lambda: subprocess.Popen(WORDS, start_new_session=True, **both)
    assert main(["stop"]) == 0


def test_the_second_one_gives_the_first_ones_address(start):
    first = start()
    url = first.stdout.readline().strip()
    with pytest.raises(openai.AuthenticationError):
        openai.OpenAI(base_url=url, api_key="none", max_retries=0).models.list()
    second = start()
    assert second.communicate()[0] == f"{url}\n" and second.returncode == 0 and first.poll() is None
    first.stdout.close()


def test_two_at_the_same_moment_share_one(start):
    both = [start(), start()]
    urls = [process.stdout.readline() for process in both]
    assert urls[0] == urls[1] and urls[0].startswith("http://127.0.0.1:")
    for process in both:
        process.stdout.close()


def test_one_that_can_not_be_reached_is_named(tmp_path, monkeypatch, capsys):
    """It holds the home's lock, but nothing listens here: it runs on another machine that shares the folder."""
    monkeypatch.setattr(serve, "WAIT_SECONDS", 0.2)
    home = Home.open(tmp_path / "home")
    home.note_running(url="http://127.0.0.1:9/v1")
    with FileLock(home.lock):
        assert main(["serve", "--detached", "--home", str(home.path)]) == 1
    said = capsys.readouterr().err
    assert f"A service is running on {home.path} already: http://127.0.0.1:9/v1" in said
    assert said.strip().endswith("Stop it there:  openai-local stop")
