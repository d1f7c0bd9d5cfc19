"""A job's losses over its steps, for the class's page: read as the job tells them, and thinned for the way."""

from __future__ import annotations

import math
from collections import OrderedDict
from threading import Lock
from typing import Any

from openai_local.engine.journal import Journal

POINTS = 200
"""About so many steps are sent; more can't be told apart on a page."""
KEPT = 64
"""So many jobs' curves stay in memory."""
_NAMES = {
    "train_loss": "training_loss",
    "valid_loss": "validation_loss",
    "full_valid_loss": "full_validation_loss",
}


class Curve:
    """The curve of one job, which grows while it trains."""

    def __init__(self, journal: Journal) -> None:
        """Nothing is read yet."""
        self._journal, self._offset, self._lock = journal, 0, Lock()
        self._steps: dict[int, dict[str, Any]] = {}
        self._total: int | None = None

    def read(self) -> dict[str, Any]:
        """What is known now.

        Returns:
            ``total_steps`` (None before the first), and ``points``: for each step ``step``, ``training_loss``,
            ``validation_loss`` (of a few validation examples) and, at the end of an epoch,
            ``full_validation_loss`` (of all).
        """
        with self._lock:
            for offset, entry in self._journal.read(self._offset):
                self._offset = offset
                if entry["kind"] == "event" and entry["data"]:
                    self._take(entry["data"])
            return {"total_steps": self._total, "points": self._thinned()}

    def _take(self, data: dict[str, Any]) -> None:
        step, self._total = data["step"], data["total_steps"]
        point = self._steps.setdefault(step, {"step": step, **dict.fromkeys(_NAMES.values())})
        point |= {_NAMES[name]: value for name, value in data.items() if name in _NAMES}

    def _thinned(self) -> list[dict[str, Any]]:
        """Every so manieth step, and those that are worth more: the ends of epochs and the last one."""
        steps = [self._steps[step] for step in sorted(self._steps)]
        each = math.ceil(len(steps) / POINTS)
        return [
            point
            for number, point in enumerate(steps)
            if number % each == 0 or number == len(steps) - 1 or point["full_validation_loss"] is not None
        ]


class Curves:
    """The curves that somebody looked at lately."""

    def __init__(self) -> None:
        """None yet."""
        self._lock = Lock()
        self._kept: OrderedDict[str, Curve] = OrderedDict()

    def of(self, job: str, journal: Journal) -> Curve:
        """The curve of a job."""
        with self._lock:
            found = self._kept.setdefault(job, Curve(journal))
            self._kept.move_to_end(job)
            if len(self._kept) > KEPT:
                self._kept.popitem(last=False)
            return found
