"""What a learner does with a service that is being harmed, and how it is seen what was lost."""

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import openai
import pytest
from openai.types import FileObject

from conftest import NAMES, Service

PAIRS = "".join(json.dumps({"prompt": f"What is {n}?", "completion": f" It is the {n}."}) + "\n" for n in NAMES)
LONG = {"n_epochs": 50, "batch_size": 1}
"""600 steps."""
SHORT = {"n_epochs": 2, "batch_size": 4}


@contextlib.contextmanager
def serving(home: Path, cache: Path) -> Iterator[Service]:
    """A service on a home, which is stopped at the end."""
    service = Service(home, cache)
    service.start()
    try:
        yield service
    finally:
        service.stop()


def upload(client: openai.OpenAI, lines: str = PAIRS) -> FileObject:
    """Upload a training file."""
    return client.files.create(file=("pairs.jsonl", lines.encode()), purpose="fine-tune")


def create(client: openai.OpenAI, file: FileObject, settings: dict[str, int]) -> str:
    """Make a job. Returns its id."""
    jobs = client.fine_tuning.jobs
    return jobs.create(training_file=file.id, model="ada", hyperparameters=settings, seed=3).id  # type: ignore[arg-type]


def steps(client: openai.OpenAI, job: str) -> list[int]:
    """The steps that were told, oldest first."""
    events = list(client.fine_tuning.jobs.list_events(job, limit=1000))[::-1]
    return [event.data["step"] for event in events if event.data and "train_loss" in event.data]  # type: ignore[index]


def messages(client: openai.OpenAI, job: str) -> list[str]:
    """What else was told, oldest first."""
    events = list(client.fine_tuning.jobs.list_events(job, limit=1000))[::-1]
    return [event.message for event in events if event.type == "message"]


def wait(condition: Callable[[], object], what: str, seconds: float = 60) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"after {seconds} s not yet: {what}"
        time.sleep(0.05)


def begun(client: openai.OpenAI, file: FileObject, settings: dict[str, int] = LONG) -> str:
    """A job that has done some steps."""
    job = create(client, file, settings)
    wait(lambda: len(steps(client, job)) > 20, "20 steps")
    return job


def answer(client: openai.OpenAI, model: str = "ada") -> str:
    """What a model says, which is the same each time."""
    asked = client.completions.create(model=model, prompt="What is sun?", max_tokens=4, temperature=0)
    assert asked.usage and asked.usage.completion_tokens
    return asked.choices[0].text


def refused(call: Callable[[], object], status: int, words: str) -> None:
    """A call is answered with a sentence in OpenAI's envelope, without a path."""
    with pytest.raises(openai.APIStatusError) as caught:
        call()
    assert caught.value.status_code == status, caught.value.message
    said = caught.value.body["message"]  # type: ignore[index]
    assert words in said and str(Path(__file__).anchor + "tmp") not in said, said


def refused_to_start(service: Service, *words: str) -> str:
    """The one sentence with which ``serve``, or another command, ends. There is no traceback."""
    command = [sys.executable, "-m", "openai_local", *(words or ("serve", "--port", "0"))]
    done = subprocess.run(command, env=service.environment, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (1, "") and "Traceback" not in done.stderr, done.stderr
    assert done.stderr.startswith("openai-local: ") and done.stderr.count("\n") == 1, done.stderr
    return done.stderr.strip()


def lost(client: openai.OpenAI, *files: FileObject, job: str = "", expected: int = 600) -> int:
    """How many of the uploads (all of `PAIRS`) are gone or not as they were, and of a job's steps."""
    listed = {file.id for file in client.files.list() if file.purpose == "fine-tune"}
    known = {file.id for file in files}
    told = steps(client, job) if job else []
    harmed = [id_ for id_ in known & listed if client.files.content(id_).content != PAIRS.encode()]
    wrong = set(told) ^ set(range(1, expected + 1)) if job else set()
    return len(known ^ listed) + len(harmed) + len(wrong) + (told != sorted(told))
