"""What the tests share: the tiny base model, and a service of its own that answers from it."""

import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import openai
import pytest
from openai.types.fine_tuning import FineTuningJob

from openai_local.cli import main
from openai_local.home import Home
from openai_local.service.auth import make_key
from openai_local.service.store import Store
from tiny import make_cache

os.environ["TQDM_DISABLE"] = "1"
# A tiny model gains nothing from two threads, and several that wait for each other hold everything up.
os.environ["OMP_NUM_THREADS"] = "1"

pytest_plugins = ["tally"]

WHOLE = (
    "clients",
    "export",
    "notebooks",
    "kernel",
    "deploy",
    "page",
    "torture",
    "benchmarks",
    "test_slurm.py",
    "test_slurm_service.py",
    "test_cluster_jobs.py",
    "test_connection.py",
    "test_destination.py",
    "test_doctor_in_a_notebook.py",
    "test_exporting.py",
    "test_key_secrecy.py",
    "test_neighbours.py",
    "test_openai_following.py",
    "test_private_lesson.py",
    "test_process.py",
    "test_queue.py",
    "test_registered.py",
)
"""Folders and files whose tests start whole programs (other clients, a browser, a Hub, many trainings), or try to
break things. Those with a service of their own count, too."""


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Spare the everyday tests the import of what those need."""
    whole = {collection_path.name, collection_path.parent.name} & set(WHOLE)
    return True if whole and "not whole" in config.option.markexpr else None


def pytest_collection_modifyitems(items: list[pytest.Function]) -> None:
    """Mark those, and put them first, so that two processes end at about the same time."""
    for item in items:
        names = {item.path.name, item.path.parent.name}
        if names & set(WHOLE) or "new_service" in item.fixturenames:
            item.add_marker(pytest.mark.whole)
    items.sort(key=lambda item: item.get_closest_marker("whole") is None)


@pytest.fixture(autouse=True)
def _nothing_of_the_user(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads the user's own keys, home or settings, and none leaves settings to the next."""
    folder = tmp_path_factory.mktemp("user")
    monkeypatch.setenv("OPENAI_LESSON_CONFIG", str(folder / "config"))
    monkeypatch.setenv("OPENAI_LOCAL_HOME", str(folder / "home"))
    for name in ("OPENAI_BASE_URL", "OPENAI_API_BASE", "OPENAI_API_KEY", "OPENAI_LESSON_LOCAL_URL"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def tiny_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache whose base model is the tiny one."""
    return make_cache(tmp_path_factory.mktemp("cache"))


@pytest.fixture
def machine(tiny_cache: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """What ``openai-local estimate`` says, without asking it each time: the tiny model's tokenizer."""
    from openai_data import tokens

    path = next(tiny_cache.rglob("tokenizer.json"))
    found = tokens.Machine("tiny", str(path), 2048, 13, 300.0, 15.0, "measured somewhere")
    monkeypatch.setattr(tokens, "machine", lambda examples: found)
    return found


@dataclass
class Service:
    """A service as a process of its own."""

    home: Path
    cache: Path
    options: tuple[str, ...] = ()
    process: subprocess.Popen[str] | None = None
    url: str = ""
    keys: dict[str, str] = field(default_factory=dict)
    start_seconds: float = 0.0

    @property
    def environment(self) -> dict[str, str]:
        """What its commands need to know."""
        return {**os.environ, "OPENAI_LOCAL_HOME": str(self.home), "OPENAI_LOCAL_CACHE": str(self.cache)}

    def command(self, *words: str, code: int = 0) -> str:
        """What `openai-local` prints, or its sentence if it must fail. It runs here: a process takes a second."""
        out, err = io.StringIO(), io.StringIO()
        with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
            for name, value in self.environment.items():
                patch.setenv(name, value)
            assert main(words) == code, err.getvalue()
        return (err if code else out).getvalue().strip()

    def start(self) -> None:
        """Start it, and wait until it listens."""
        begun = time.monotonic()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "openai_local", "serve", "--port", "0", *self.options],
            env=self.environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().strip()
        assert self.url, "the service ended before it listened"
        self.start_seconds = time.monotonic() - begun

    def kill(self) -> None:
        """End it as a crash would."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        """End it as a user would."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            assert self.process.wait(timeout=30) in (0, -15), "the service did not end in good order"

    def client(self, name: str = "tester", *, instructor: bool = False) -> openai.OpenAI:
        """The official client, with a key of its own. It is made as `openai-local keys new` makes it, but here."""
        if name not in self.keys:
            store = Store(Home.open(self.home).database)
            self.keys[name] = make_key(store, name, instructor=instructor)
            store.close()
        return openai.OpenAI(base_url=self.url, api_key=self.keys[name], max_retries=0)


@pytest.fixture
def new_service(tmp_path: Path, tiny_cache: Path) -> Iterator[Callable[..., Service]]:
    """Makes services with an empty home, and stops them at the end."""
    made = []

    def make(*options: str) -> Service:
        service = Service(tmp_path / f"home{len(made)}", tiny_cache, options)
        made.append(service)
        service.start()
        return service

    yield make
    for service in made:
        service.stop()


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory, tiny_cache: Path) -> Iterator[Service]:
    """One service for all tests that only need one."""
    service = Service(tmp_path_factory.mktemp("home"), tiny_cache)
    service.start()
    yield service
    service.stop()


@pytest.fixture(scope="session")
def client(service: Service) -> openai.OpenAI:
    """The official client of `service`."""
    return service.client()


@pytest.fixture(scope="session")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training file with twelve prompts and completions."""
    path = tmp_path_factory.mktemp("data") / "pairs.jsonl"
    lines = [json.dumps({"prompt": f"What is {n}?", "completion": f" It is the {n}."}) for n in NAMES]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


NAMES = "sun moon star tree leaf root bird fish stone rain wind fire".split()


def finished(client: openai.OpenAI, job_id: str, seconds: float = 120) -> FineTuningJob:
    """Wait until a job is over."""
    deadline = time.monotonic() + seconds
    while (job := client.fine_tuning.jobs.retrieve(job_id)).status not in ("succeeded", "failed", "cancelled"):
        assert time.monotonic() < deadline, f"{job_id} is still {job.status}"
        time.sleep(0.12)  # a class's keys may ask 600 times a minute
    return job


@pytest.fixture(scope="session")
def trained(client: openai.OpenAI, pairs: Path) -> FineTuningJob:
    """A job that the tiny model finished."""
    with pairs.open("rb") as file:
        upload = client.files.create(file=file, purpose="fine-tune")
    job = client.fine_tuning.jobs.create(training_file=upload.id, model="ada", suffix="My tiny!", seed=7)
    return finished(client, job.id)
