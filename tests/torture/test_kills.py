"""The service, its training process, or both are killed at any moment; nothing that was acknowledged is lost."""

import contextlib
import json
import random
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from itertools import cycle, islice

import httpx2
import openai
import psutil
from ledger import Ledger, trainings
from openai.types.fine_tuning import FineTuningJob

from conftest import NAMES, Service, finished

PAIRS = "".join(json.dumps({"prompt": f"What is {n}?", "completion": f" It is the {n}."}) + "\n" for n in NAMES)
SETTINGS = {"n_epochs": 20, "batch_size": 2}
WAIT_SECONDS = 60


class Killer:
    """Does what learners do, and kills what does it for them."""

    def __init__(self, service: Service, dice: random.Random) -> None:
        """Trains one job undisturbed: all others must come to the same."""
        self.service, self.dice, self.ledger = service, dice, Ledger(service.home)
        self.count, self.job = 0, ""
        self.client = service.client()
        self.data = self._upload(PAIRS.encode())
        first = self._create()
        self.expected = self._table(finished(self.client, first))
        self.model = self.client.fine_tuning.jobs.retrieve(first).fine_tuned_model or ""
        self.ledger.models.add(self.model)

    def moments(self) -> Iterator[Callable[[], None]]:
        """What is going on when somebody is killed, again and again."""
        return cycle((self.upload, self.create, self.train, self.keep, self.finish, self.answer, self.delete))

    # The moments

    def upload(self) -> None:
        """A file is on its way."""
        lines = PAIRS * self.dice.choice((1, 100, 3000))
        self._during(lambda: self._upload(lines.encode()), 0.08)

    def create(self) -> None:
        """A job is being taken."""
        self._during(self._create, 0.03)
        known = set(self.ledger.jobs)
        for job in self.client.fine_tuning.jobs.list():  # one that was taken and not acknowledged counts, too
            if job.id not in known:
                self.ledger.jobs[job.id] = (job.metadata or {})["mark"]
        self.job = next(iter(self.client.fine_tuning.jobs.list(limit=1))).id
        if self.client.fine_tuning.jobs.retrieve(self.job).status == "succeeded":
            self.job = self._create()

    def train(self) -> None:
        """Steps are taken."""
        self._wait_for(lambda: len(self._steps()) > 3)
        time.sleep(self.dice.uniform(0, 0.3))
        self._kill(self._anyone())

    def keep(self) -> None:
        """A checkpoint is being written, or was a moment ago."""
        folder, before = self.service.home / "jobs" / self.job, len(self._steps())
        self._wait_for(lambda: len(self._steps()) > before or self._over())
        self._wait_for(lambda: any(folder.glob(".step-*")) or self._over(), pause=0.001)
        time.sleep(self.dice.uniform(0, 0.01))
        self._kill(self._anyone())

    def finish(self) -> None:
        """The last files of a job are being written, or were a moment ago."""
        folder = self.service.home / "jobs" / self.job
        name = self.dice.choice(("adapter.gguf", "results.csv", "result.json"))
        self._wait_for(lambda: (folder / name).exists(), pause=0.001)
        time.sleep(self.dice.uniform(0, 0.05))
        self._kill(self._anyone())
        job = finished(self.client, self.job)
        if job.status != "succeeded":
            self.ledger.lost.append(f"{job.id} is {job.status}: {job.error and job.error.message}")
            return
        self.ledger.models.add(job.fine_tuned_model or "")
        if self._table(job) != self.expected:
            self.ledger.lost.append(f"{job.id} has learned something else than the undisturbed one")

    def answer(self) -> None:
        """A model speaks."""
        self._during(lambda: self._ask(stream=self.dice.random() < 0.5), 0.6)
        if not self._ask(stream=False):
            self.ledger.lost.append(f"{self.model} says nothing any more")

    def delete(self) -> None:
        """A file or a model is being removed."""
        files = sorted(set(self.ledger.files) - self.ledger.deleted - {self.data})
        models = sorted(self.ledger.models - self.ledger.deleted - {self.model})
        if chosen := [*files[:1], *models[:1]]:
            self._during(lambda: self._delete(self.dice.choice(chosen)), 0.02)

    # What is done

    def _upload(self, content: bytes) -> str:
        self.count += 1
        name = f"data-{self.count}.jsonl"
        self.ledger.sent[name] = content
        file = self.client.files.create(file=(name, content), purpose="fine-tune")
        self.ledger.files[file.id] = content
        return file.id

    def _create(self) -> str:
        mark = secrets.token_hex(4)
        job = self.client.fine_tuning.jobs.create(
            training_file=self.data, model="ada", seed=7, hyperparameters=SETTINGS, metadata={"mark": mark}
        )
        self.ledger.jobs[job.id] = mark
        return job.id

    def _ask(self, stream: bool) -> str:
        asked = {"model": self.model, "prompt": "What is sun?", "max_tokens": 40, "temperature": 0}
        if stream:
            return "".join(part.choices[0].text for part in self.client.completions.create(**asked, stream=True))
        return self.client.completions.create(**asked).choices[0].text

    def _delete(self, id_: str) -> None:
        self.ledger.doubtful.add(id_)
        if id_ in self.ledger.files:
            self.client.files.delete(id_)
        else:
            self.client.models.delete(id_)
        self.ledger.doubtful.discard(id_)
        self.ledger.deleted.add(id_)

    # Killing

    def _anyone(self) -> str:
        return self.dice.choice(("service", "training", "both"))

    def _during(self, call: Callable[[], object], seconds: float) -> None:
        """Kill the service some time within so many seconds after a call has begun."""

        def run() -> None:
            with contextlib.suppress(openai.APIConnectionError, httpx2.HTTPError):
                try:
                    call()
                except openai.APIStatusError as error:
                    self.ledger.lost.append(f"a call was answered: {error}")

        thread = threading.Thread(target=run)
        thread.start()
        time.sleep(self.dice.uniform(0, seconds))
        self._kill("service")
        thread.join()

    def _kill(self, whom: str) -> None:
        if whom in ("service", "both"):
            self.service.kill()
        if whom in ("training", "both"):
            for process in trainings(self.service.home):
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
        if whom in ("service", "both"):
            self.service.start()
            self.client = self.service.client()

    # Looking

    def _steps(self) -> list[int]:
        events = self.client.fine_tuning.jobs.list_events(self.job, limit=1000).data
        return [event.data["step"] for event in events if event.type == "metrics"]

    def _over(self) -> bool:
        return (self.service.home / "jobs" / self.job / "result.json").exists()

    def _table(self, job: FineTuningJob) -> str:
        assert job.status == "succeeded", job.error
        return self.client.files.content((job.result_files or [""])[0]).text

    def _wait_for(self, condition: Callable[[], bool], pause: float = 0.02) -> None:
        deadline = time.monotonic() + WAIT_SECONDS
        while not condition():
            assert time.monotonic() < deadline, f"{self.job} gets nowhere"
            time.sleep(pause)


def test_nothing_acknowledged_is_lost(new_service, size, tried):
    seed, kills = random.randrange(1 << 30), size(7, 100)
    killer = Killer(new_service(), random.Random(seed))
    ledger = killer.ledger
    for number, moment in enumerate(islice(killer.moments(), kills), start=1):
        moment()
        ledger.check(killer.client)
        assert not ledger.lost, f"after kill {number} ({moment.__name__}, seed {seed}): {ledger.lost}"
    for job in list(ledger.jobs):
        assert finished(killer.client, job).status == "succeeded"
    ledger.check(killer.client)
    killer.service.stop()
    if left := trainings(killer.service.home):
        ledger.lost.append(f"{len(left)} trainings were left behind")
    tried("the service, the training or both are killed with SIGKILL", f"{kills} kills", len(ledger.lost))
    assert not ledger.lost, (seed, ledger.lost)
