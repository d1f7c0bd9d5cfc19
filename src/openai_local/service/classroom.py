"""The class at one moment: who has done what, which jobs there are, how busy the machine is.

It is looked up once for all who ask within a second, in few queries, so that a hundred pages can ask every two
seconds. What somebody may see of it is cut out for each.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from dataclasses import dataclass
from threading import Lock
from typing import Any

import psutil
from openai.types import FileObject, Model
from openai.types.fine_tuning import FineTuningJob

from openai_local import visible
from openai_local.runners.local import LocalRunner
from openai_local.service.activity import Seen
from openai_local.service.context import Context
from openai_local.service.curve import Curves
from openai_local.service.identity import Identity
from openai_local.service.job_records import ENDED

FRESH_SECONDS = 1.0
"""A look at the class is shared for so long."""
MOST_JOBS = 200
"""So many jobs are told, the newest."""
_EVENTS = 12  # the last ones; among them is the last step
_JOB = "status model fine_tuned_model training_file created_at finished_at estimated_finish".split()


@dataclass(frozen=True)
class Snapshot:
    """The class at one moment: Unix time in seconds, what everybody may see, and what belongs to somebody."""

    at: float
    shared: dict[str, Any]
    jobs: list[dict[str, Any]]
    learners: dict[str, dict[str, Any]]

    def jobs_of(self, owner: str | None) -> list[dict[str, Any]]:
        """The newest jobs of somebody, or with None of everybody."""
        return [job for job in self.jobs if owner in (None, job["owner"])][:MOST_JOBS]


class Classroom:
    """Looks at the class of one service."""

    def __init__(self, service: Context) -> None:
        """Nothing is looked at yet."""
        self._service, self._lock = service, Lock()
        self._snapshot: Snapshot | None = None
        self._looked_at = 0.0
        self._losses: dict[str, dict[str, Any]] = {}  # of jobs that are over
        self.curves = Curves()
        psutil.cpu_percent()  # the next call tells what happened since this one

    def view(self, who: Identity) -> dict[str, Any]:
        """What somebody sees: an instructor everything, a learner what is theirs and how much there is to do."""
        now = self._now()
        nothing = _learner(who.name, Seen())
        learners = list(now.learners.values()) if who.instructor else [now.learners.get(who.name, nothing)]
        return {
            "at": now.at,
            "you": {"name": who.name, "instructor": who.instructor},
            **now.shared,
            "jobs": now.jobs_of(who.sees),
            "learners": learners,
        }

    def _now(self) -> Snapshot:
        with self._lock:
            if self._snapshot is None or time.monotonic() - self._looked_at > FRESH_SECONDS:
                self._snapshot = self._look()
                self._looked_at = time.monotonic()
            return self._snapshot

    def _look(self) -> Snapshot:
        jobs = self._jobs()
        by_status = Counter(job["status"] for job in jobs)
        shared = {
            "machine": _machine(),
            "runner": self._runner(),
            "queue": {
                "running": by_status["running"],
                "waiting": by_status["validating_files"] + by_status["queued"],
            },
        }
        return Snapshot(time.time(), shared, jobs, self._learners(jobs))

    def _runner(self) -> dict[str, Any]:
        runner = self._service.settings.runner
        kind = "local" if isinstance(runner, LocalRunner) else type(runner).__name__.removesuffix("Runner").lower()
        return {"kind": kind, "at_once": runner.at_once}

    # Jobs

    def _jobs(self) -> list[dict[str, Any]]:
        """All jobs, newest first; their losses only where they are shown to anybody."""
        fields = [f"body.{name}" for name in _JOB]
        rows = self._service.store.table(FineTuningJob, *fields, "body.error.message", "private.model_name")
        files = {
            id_: visible.line(name) for id_, _, name in self._service.store.table(FileObject, "body.filename")
        }
        places, shown, jobs = self._service.queue.places(), Counter[str](), []
        for number, (id_, owner, *values, error, name) in enumerate(rows):
            job = dict(zip(_JOB, values, strict=True))
            shown[owner] += 1
            place = places.get(id_) if job["status"] in ("validating_files", "queued") else None
            seen = number < MOST_JOBS or shown[owner] <= MOST_JOBS
            jobs.append(
                {
                    "id": id_,
                    "owner": owner,
                    **job,
                    "file": files.get(job["training_file"]),
                    "suffix": _suffix(name or ""),
                    "error": error and visible.sentence(error),
                    "ahead": place.ahead if place else None,
                    "starts_in": place.starts_in if place else None,
                    "waits": self._waits(id_) if job["status"] == "queued" and place is None else None,
                    **(self._last_losses(id_, job["status"]) if seen else _NO_LOSSES),
                }
            )
        return jobs

    def _waits(self, job: str) -> str | None:
        """Why a job that was handed to a cluster does not run yet, in a sentence."""
        said = self._service.store.events(job, limit=1)
        return said[0].message if said else None

    def _last_losses(self, job: str, status: str) -> dict[str, Any]:
        if status in ("validating_files", "queued"):
            return _NO_LOSSES
        if (known := self._losses.get(job)) is not None:
            return known
        found = dict(_NO_LOSSES)
        for event in reversed(self._service.store.events(job, limit=_EVENTS)):
            if event.type == "metrics" and isinstance(data := event.data, dict):
                found |= {"step": data["step"], "total_steps": data["total_steps"]}
                found["training_loss"] = data.get("train_loss", found["training_loss"])
                valid = data.get("full_valid_loss", data.get("valid_loss"))
                found["validation_loss"] = found["validation_loss"] if valid is None else valid
        if status in ENDED:
            self._losses[job] = found
        return found

    # Learners

    def _learners(self, jobs: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
        """Everybody who has a learner's key, owns something or has asked, by name."""
        store, seen = self._service.store, self._service.activity.all()
        learners: dict[str, dict[str, Any]] = {}

        def learner(name: str) -> dict[str, Any]:
            if name not in learners:
                learners[name] = _learner(name, seen.get(name, Seen()))
            return learners[name]

        keys = store.keys()
        for key in keys:
            if not key.instructor:
                learner(key.name)
        for name, known in seen.items():
            if known.asked:
                learner(name)
        for job in jobs:
            states = learner(job["owner"])["jobs"]
            states[job["status"]] = states.get(job["status"], 0) + 1
        for _, owner, size, purpose in store.table(FileObject, "body.bytes", "body.purpose"):
            learner(owner)["stored"] += size or 0
            learner(owner)["files"] += purpose == "fine-tune"
        for _, owner, size, checkpoint in store.table(Model, "private.bytes", "private.checkpoint"):
            learner(owner)["stored"] += size or 0
            learner(owner)["models"] += checkpoint is None
        return dict(sorted(learners.items(), key=lambda item: item[0].casefold()))


_NO_LOSSES: dict[str, Any] = dict.fromkeys(("step", "total_steps", "training_loss", "validation_loss"))


def _learner(name: str, seen: Seen) -> dict[str, Any]:
    """Somebody who has nothing yet. ``jobs`` counts by state; ``models`` leaves checkpoints out."""
    return {
        "name": name,
        "files": 0,
        "jobs": {},
        "models": 0,
        "stored": 0,
        "asked": seen.asked,
        "seen_at": seen.seen_at or None,
    }


def _suffix(model: str) -> str | None:
    """The word that a job's owner gave, out of its model's name."""
    today = re.fullmatch(r"ft:.*:([a-z0-9-]*):[0-9a-f]{8}", model)
    of_2022 = re.fullmatch(r".*:ft-personal:(.+?)(?:-\d+){6}", model)
    found = today or of_2022
    return (found[1] or None) if found else None


def _machine() -> dict[str, Any]:
    """How busy this machine is: per cent of all cores, bytes, and the length of the processors' queue."""
    memory = psutil.virtual_memory()
    return {
        "cpu": psutil.cpu_percent(),
        "cores": psutil.cpu_count(),
        "load": [round(number, 2) for number in psutil.getloadavg()],
        "memory_used": memory.total - memory.available,
        "memory_total": memory.total,
    }
