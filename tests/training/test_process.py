"""The training process as a whole: what it does when it is told to end, and when another is at its job."""

import signal
import subprocess
import sys
import threading
import time

import pytest
from filelock import FileLock

from openai_local.models.base_models import SMOLLM2
from openai_local.training.job_folder import Job, Journal


@pytest.fixture
def journal(tmp_path, tiny_cache, pairs):
    """A job of 1,000 steps."""
    data = tmp_path / "data.jsonl"
    data.write_bytes(pairs.read_bytes() * 42)
    journal = Journal(tmp_path)
    journal.write_job(Job("ftjob-1", "tiny", str(SMOLLM2.at(tiny_cache).weights), str(data), None, 3, 2, 1, 1.0))
    return journal


def start(journal, *more):
    return subprocess.Popen([sys.executable, "-P", "-m", "openai_local.training", str(journal.folder), *more])


def steps(journal):
    return [row["step"] for row in journal.rows()]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows ends processes without a warning")
def test_told_to_end_it_writes_down_where_it_is(journal):
    process = start(journal)
    while len(steps(journal)) < 5:
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=30) == 4
    assert journal.result() is None and not journal.pause_requested(), "the job itself is not paused"

    last = steps(journal)[-1]
    journal.write_job(Job(**{**vars(journal.read_job()), "n_epochs": 1}))
    assert start(journal).wait(timeout=60) == 0
    assert journal.result()["status"] == "succeeded"
    assert steps(journal) == [*range(1, 505)], "no step was lost, none done twice"
    assert any(entry.get("message") == f"Going on after step {last}/504" for _, entry in journal.read())


def test_it_leaves_a_job_to_the_process_that_is_at_it(journal):
    with FileLock(journal.lock):
        assert start(journal).wait(timeout=30) == 3
    assert steps(journal) == []


def test_it_waits_for_the_other_process_if_it_shall(journal):
    journal.finish(status="succeeded")
    lock = FileLock(journal.lock, thread_local=False)
    lock.acquire()
    threading.Timer(1.0, lock.release).start()
    assert start(journal, "60").wait(timeout=30) == 0
