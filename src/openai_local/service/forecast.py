"""How long a job will take: for the place in the queue, so that nobody waits without knowing how long."""

from __future__ import annotations

import time
from pathlib import Path

from openai.types.fine_tuning import FineTuningJob

from openai_local.engine.hyperparameters import settle
from openai_local.errors import LocalError
from openai_local.estimate import estimate
from openai_local.service.job_records import Records

BYTES_PER_TOKEN = 4.5
"""Of a training file in JSONL, with its quotes and names; measured on the lesson's."""
VALIDATION = 1 / 3
"""How long it takes to measure an example, next to learning from it: no gradients, no step."""
_FRESH_SECONDS = 30.0


class Forecast:
    """Knows how fast the last jobs were."""

    def __init__(self, records: Records, cache: Path) -> None:
        """`records` are the jobs of this home; base models lie in `cache`."""
        self._records, self._cache = records, cache
        self._speeds: dict[str, tuple[float, float | None, float]] = {}

    def seconds(self, job: FineTuningJob, examples: int) -> float | None:
        """How long a job will train.

        Args:
            job: whose training file is there.
            examples: how many there are in it.

        Returns:
            Seconds, or None if nobody has trained this base model here yet.
        """
        private = self._records.store.private(FineTuningJob, job.id)
        speed, start = self._speed(private["base"])
        if speed is None:
            return None
        epochs = settle(**private["hyperparameters"], n_examples=examples).n_epochs
        size = float(self._size(job.training_file))
        if job.validation_file:  # each epoch ends with all of it
            size += VALIDATION * self._size(job.validation_file)
        return start + epochs * size / BYTES_PER_TOKEN / speed

    def _size(self, file: str) -> int:
        return (self._records.home.files / file).stat().st_size

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
