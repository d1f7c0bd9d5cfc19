"""Fair queueing: learners take turns, one job each before anyone's second. And how long each will probably take.

Next is always the learner whose last job was started longest ago, or never, with their oldest job. An instructor
may put a job before or behind all others.
"""

import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import inf
from operator import itemgetter
from pathlib import Path

from openai.types.fine_tuning import FineTuningJob

from openai_local.errors import LocalError
from openai_local.estimate import estimate
from openai_local.service.job_records import Records
from openai_local.training.job_folder import settle

BYTES_PER_TOKEN = 4.5  # of a training file in JSONL, with its quotes and names; measured on the lesson's
VALIDATION = 1 / 3  # so long it takes to measure an example, next to learning from it: no gradients, no step
_FRESH_SECONDS = 30.0


@dataclass(frozen=True)
class Waiting:
    """A job that waits."""

    id: str
    owner: str
    seconds: float | None = None  # how long it will probably take; None if nobody knows
    rank: int = 0  # below zero before all others, above zero behind them; the lower, the sooner


@dataclass(frozen=True)
class Place:
    """How many jobs are before one, running ones too, and in how many seconds it will probably start."""

    ahead: int
    starts_in: float | None


def in_order(jobs: Iterable[Waiting], last_turns: Mapping[str, int]) -> list[Waiting]:
    """The order in which jobs, given oldest first, will be started if nobody comes in between.

    `last_turns` has for each learner the number of their last turn; turns are numbered from 1.
    """
    given = list(jobs)
    first = sorted((job for job in given if job.rank < 0), key=lambda job: job.rank)
    last = sorted((job for job in given if job.rank > 0), key=lambda job: job.rank)
    turns = dict(last_turns)
    for turn, job in enumerate(first, 1 + max(turns.values(), default=0)):
        turns[job.owner] = turn
    # Whoever has had a turn comes after all who wait for theirs, so each round goes in the order of the first one.
    fair, rounds, oldest = [], Counter[str](), dict[str, int]()
    for number, job in enumerate(given):
        if job.rank == 0:
            key = rounds[job.owner], turns.get(job.owner, 0), oldest.setdefault(job.owner, number)
            rounds[job.owner] += 1
            fair.append((key, job))
    fair.sort(key=itemgetter(0))
    return [*first, *(job for _, job in fair), *last]


def places(queue: list[Waiting], running: list[float | None], at_once: int) -> dict[str, Place]:
    """Where each job of a queue, given in its order, stands, by its id.

    `running` has for each job that runs the seconds that it will still take; None if nobody knows.
    """
    free = min(max(0, at_once - len(running)), len(queue))
    ends = [*[0.0] * free, *(inf if seconds is None else seconds for seconds in running)]
    found = {}
    for ahead, job in enumerate(queue, len(running)):
        starts = min(ends, default=inf)
        if starts > 0 and inf in ends:  # if nobody knows of one of them, nobody knows
            starts = inf
        found[job.id] = Place(ahead, None if starts == inf else starts)
        if starts < inf:
            ends.remove(starts)
        ends.append(starts + (inf if job.seconds is None else job.seconds))
    return found


class Forecast:
    """Knows how long a job will take, by how fast the last ones were: nobody shall wait without knowing that."""

    def __init__(self, records: Records, cache: Path) -> None:
        """`records` are the jobs of this home; base models lie in `cache`."""
        self._records, self._cache = records, cache
        self._speeds: dict[str, tuple[float, float | None, float]] = {}

    def seconds(self, job: FineTuningJob, examples: int) -> float | None:
        """How many seconds a job of so many examples will train; None if nobody has trained its base here yet."""
        private = self._records.store.private(FineTuningJob, job.id)
        speed, start = self._speed(private["base"])
        if speed is None:
            return None
        epochs = settle(**private["hyperparameters"], n_examples=examples).n_epochs
        files = [self._records.home.files / file for file in (job.training_file, job.validation_file) if file]
        training, *validation = (file.stat().st_size for file in files)
        size = training + VALIDATION * sum(validation)  # each epoch ends with all of it
        return start + epochs * size / BYTES_PER_TOKEN / speed

    def left(self, job: str) -> float | None:
        """How many seconds a job that runs will still take, or None if nobody knows."""
        store = self._records.store
        item = store.get(FineTuningJob, job)
        if item is None or item.status != "running":
            return None
        if item.estimated_finish:
            return max(1.0, item.estimated_finish - time.time())
        return store.private(FineTuningJob, job).get("seconds")

    def _speed(self, base: str) -> tuple[float | None, float]:
        """Tokens in a second, or None, and the seconds before the first."""
        now = time.monotonic()
        known = self._speeds.get(base)
        if known is None or now - known[0] > _FRESH_SECONDS:
            try:
                facts = estimate(self._records.home, self._cache, 1, base)
            except LocalError:
                return None, 0.0
            known = self._speeds[base] = (now, facts["tokens_per_second"], facts["start_seconds"])
        return known[1], known[2]
