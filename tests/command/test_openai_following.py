"""Following a fine-tune in a terminal: lines and a bar, Ctrl-C, connections that are lost and come back."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest

import openai_lesson as lesson
from conftest import Service
from openai_command.openai import main
from openai_lesson import LessonError, connection, watching

needs_pty = pytest.mark.skipif(sys.platform == "win32", reason="there are no pseudo-terminals")


class Terminal:
    """A command in a terminal of its own, as a person sees it."""

    def __init__(self, *words, **environment):
        import pty
        import termios

        self.screen, inside = pty.openpty()
        termios.tcsetwinsize(inside, (24, 100))
        whole = {name: value for name, value in os.environ.items() if name not in ("CI", "JPY_PARENT_PID")}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "openai_command.openai", *words],
            stdin=inside,
            stdout=inside,
            stderr=inside,
            env=whole | environment,
            start_new_session=True,
            preexec_fn=lambda: signal.signal(
                signal.SIGINT, signal.SIG_DFL
            ),  # ignored by what runs in the background
        )
        os.close(inside)
        self.shown = ""

    def until(self, pattern, seconds=60):
        """Read until the screen has shown a pattern, or to the end."""
        deadline = time.monotonic() + seconds
        while not (pattern and re.search(pattern, self.shown)):
            assert time.monotonic() < deadline, self.shown
            try:
                piece = os.read(self.screen, 65536)
            except OSError:  # the other end is closed
                piece = b""
            if not piece:
                assert pattern is None, self.shown
                break
            self.shown += piece.decode("utf-8", "replace").replace("\r\n", "\n")

    def type(self, text):
        os.write(self.screen, text.encode())

    def end(self):
        """The exit code."""
        self.until(None)
        os.close(self.screen)
        return self.process.wait(timeout=30)


@pytest.fixture
def at_service(service, client, monkeypatch):
    monkeypatch.setenv("OPENAI_BASE_URL", service.url)
    monkeypatch.setenv("OPENAI_API_KEY", client.api_key)
    monkeypatch.delenv("TQDM_DISABLE", raising=False)
    monkeypatch.setattr(watching, "PAUSE", 0.2)


@pytest.fixture
def long_job(client, pairs, tmp_path):
    """A job that takes its time; it is cancelled at the end."""
    path = tmp_path / "many.jsonl"
    path.write_bytes(pairs.read_bytes() * 20)
    job = lesson.start(client, path, hyperparameters={"n_epochs": 50, "batch_size": 1})
    yield job
    if client.fine_tuning.jobs.retrieve(job.id).status not in watching.ENDED:
        client.fine_tuning.jobs.cancel(job.id)


@needs_pty
def test_a_terminal_shows_lines_and_a_bar_and_asks_about_duplicates(at_service, client, pairs):
    earlier = client.files.create(file=pairs, purpose="fine-tune").id
    terminal = Terminal("api", "fine_tunes.create", "-t", str(pairs), "-m", "ada", "--n_epochs", "2")
    terminal.until("or nothing to upload this one: ")
    assert "Found potentially duplicated files with name 'pairs.jsonl'" in terminal.shown
    terminal.type("file-other\n")
    terminal.until("'file-other' is none of these IDs")
    terminal.type(f"{earlier}\n")
    assert terminal.end() == 0, terminal.shown
    assert f"Reusing already uploaded file: {earlier}" in terminal.shown
    assert re.search(r"succeeded +\|█{25}\| step (\d+)/\1  loss \d", terminal.shown)
    for line in terminal.shown.split("\n"):
        assert not re.search(r"█.*\S\[20", line.replace("\r", "")) or "\r" in line, "no line behind a bar"
    assert re.search(r"(\r|^)\[\d{4}-\d\d-\d\d .*\] Fine-tune succeeded$", terminal.shown, re.MULTILINE)


@needs_pty
def test_an_empty_answer_uploads_anew_with_a_bar(at_service, client, pairs):
    client.files.create(file=pairs, purpose="fine-tune")
    terminal = Terminal(
        "api", "fine_tunes.create", "-t", str(pairs), "-m", "ada", "--no_follow", "--n_epochs", "50"
    )
    terminal.until("or nothing to upload this one: ")
    terminal.type("\n")
    assert terminal.end() == 0, terminal.shown
    assert "Upload progress: " in terminal.shown and "Uploaded file from" in terminal.shown
    made = json.loads(terminal.shown[terminal.shown.index("\n{") :])
    client.fine_tuning.jobs.cancel(made["id"])


@needs_pty
def test_ctrl_c_detaches(at_service, client, long_job):
    id_ = long_job.id.replace("ftjob-", "ft-")
    terminal = Terminal("api", "fine_tunes.follow", "-i", id_)
    terminal.until("Completed epoch 1/50")
    terminal.process.send_signal(signal.SIGINT)
    assert terminal.end() == 0
    assert "Stream interrupted. Job is still running.\n" in terminal.shown
    assert f"\n  openai api fine_tunes.follow -i {id_}\n" in terminal.shown
    assert f"\n  openai api fine_tunes.cancel -i {id_}\n" in terminal.shown
    assert client.fine_tuning.jobs.retrieve(long_job.id).status == "running", "the training goes on"


def test_nobody_is_asked_in_a_notebook(at_service, client, pairs, monkeypatch, capsys):
    client.files.create(file=pairs, purpose="fine-tune")
    monkeypatch.setenv("JPY_PARENT_PID", "1")
    for stream in ("stdin", "stdout"):
        monkeypatch.setattr(getattr(sys, stream), "isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("nobody can answer"))
    assert main(["api", "fine_tunes.create", "-t", str(pairs), "-m", "ada", "--no_follow"]) == 0
    shown = capsys.readouterr()
    assert "Nobody can be asked here, so it is uploaded again." in shown.err and "Uploaded file from" in shown.err
    client.fine_tuning.jobs.cancel(json.loads(shown.out)["id"])


def test_a_service_that_comes_back_at_another_port_is_found(new_service, pairs, monkeypatch, capsys):
    """It is killed while the command follows, and started again elsewhere. Nothing is told twice."""
    service: Service = new_service()
    client = service.client()
    monkeypatch.setenv("OPENAI_LOCAL_HOME", str(service.home))
    monkeypatch.setenv("OPENAI_LOCAL_CACHE", str(service.cache))
    monkeypatch.setenv("OPENAI_API_KEY", client.api_key)
    job = lesson.start(client, pairs, hyperparameters={"n_epochs": 3})
    looks, sleep = [], time.sleep

    def pause(_):
        looks.append(1)
        if len(looks) == 1:
            service.kill()
        if len(looks) == 3:
            service.start()
        sleep(0.3)

    with monkeypatch.context() as patch:
        patch.setattr(watching, "time", SimpleNamespace(sleep=pause, monotonic=time.monotonic, time=time.time))
        assert main(["api", "fine_tunes.follow", "-i", job.id]) == 0
    told = [line.split("] ")[1] for line in capsys.readouterr().out.splitlines() if line.startswith("[2")]
    assert told.count("The connection is lost. Trying again for 10 minutes; training may go on.") == 1
    assert told.count("The connection is back.") == 1
    assert [told.count(f"Completed epoch {n}/3") for n in (1, 2, 3)] == [1, 1, 1]
    assert told[-1] == "Fine-tune succeeded"
    assert os.environ["OPENAI_LESSON_LOCAL_URL"] == service.url


def test_patience_has_an_end(service, client, trained, monkeypatch):
    lost = client.with_options(base_url=service.url)
    monkeypatch.setattr(watching, "PATIENCE", 0.0)
    monkeypatch.setattr(watching, "PAUSE", 0.1)
    told = []
    watcher = watching.Watcher(lost, trained.id, tell=lambda _, text: told.append(text), come_back="come back")
    watcher.client = client.with_options(base_url="http://127.0.0.1:9/v1")
    monkeypatch.setattr(watching, "find_again", lambda _: None)
    lost.base_url = "http://127.0.0.1:9/v1"
    with pytest.raises(LessonError, match=r"could not be reached for 0 minutes\. .*come back"):
        watcher.watch()
    assert told == ["The connection is lost. Trying again for 0 minutes; training may go on."]


def test_only_an_address_that_was_found_is_changed(service, client, monkeypatch):
    from openai_lesson.connection import find_again

    monkeypatch.setenv("OPENAI_LOCAL_HOME", str(service.home))
    mine = client.with_options(base_url="http://127.0.0.1:9/v1")
    find_again(mine)
    assert str(mine.base_url) == "http://127.0.0.1:9/v1/"
    connection.note_found("http://127.0.0.1:9/v1")
    find_again(mine)
    assert str(mine.base_url).rstrip("/") == service.url
