"""A JupyterLab that is closed in the middle: training goes on, the service lives, and it is not left behind."""

import json
import os
import signal
import subprocess
import sys
import time

import psutil
import pytest
from jupyter_client.manager import start_new_kernel

IDLE_SECONDS = 4
BEGIN = f"""
import openai_lesson as lesson
from openai_lesson import local
local.IDLE_SECONDS = {IDLE_SECONDS}
client = lesson.connect()
"""
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there are no process groups")


class Notebook:
    """A kernel in which a cell runs that nobody waits for."""

    def __init__(self, folder):
        self.manager, self.client = start_new_kernel(kernel_name="openai", cwd=str(folder))

    def run(self, code):
        """Run a cell to its end, and return what it says."""
        said = []

        def collect(message):
            content = message["content"]
            data = content.get("data", {})
            said.append(content.get("text") or data.get("text/plain") or "\n".join(content.get("traceback", [])))

        self.client.execute_interactive(code, timeout=60, output_hook=collect)
        return "".join(said)

    def kill(self):
        """End it as the system does with a program that was closed or took too much memory."""
        os.killpg(self.manager.provisioner.pid, signal.SIGKILL)
        self.close()

    def close(self):
        """End it as JupyterLab does."""
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)


@pytest.fixture
def home(tmp_path, tiny_cache, monkeypatch):
    monkeypatch.setenv("OPENAI_LOCAL_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("OPENAI_LOCAL_CACHE", str(tiny_cache))
    yield tmp_path / "home"
    subprocess.run([sys.executable, "-m", "openai_local", "stop"], capture_output=True, check=True)


@pytest.fixture
def notebook(home, tmp_path):
    made = []

    def open_one():
        made.append(Notebook(tmp_path))
        return made[-1]

    yield open_one
    for each in made:
        each.close()


def test_a_notebook_that_is_closed(home, notebook, pairs, tried):
    first = notebook()
    said = first.run(
        f"{BEGIN}options = {{'n_epochs': 50, 'batch_size': 1}}\n"
        f"job = lesson.start(client, {str(pairs)!r}, hyperparameters=options)\nprint(job.id)"
    )
    job = said.split()[-1]
    assert job.startswith("ftjob-"), said
    pid = json.loads((home / "service.json").read_text())["pid"]
    first.client.execute("lesson.follow(client)")
    first.client.execute("for chunk in client.completions.create(model='ada', prompt='x', stream=True): pass")
    time.sleep(1)
    first.kill()

    second = notebook()
    said = second.run(f"{BEGIN}print(lesson.follow(client, {job!r}).status)")
    assert "Started" not in said and "succeeded" in said
    assert second.run("next(iter(client.fine_tuning.jobs.list(limit=1))).id").strip("'") == job
    assert json.loads((home / "service.json").read_text())["pid"] == pid and psutil.pid_exists(pid)
    second.run("answer = client.completions.create(model='ada', prompt='x', stream=True)")
    second.close()

    deadline = time.monotonic() + IDLE_SECONDS + 15
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline, "the service is left behind"
        time.sleep(0.2)
    assert not (home / "service.json").exists()
    tried("notebooks closed while they followed a job", "2", 0)
