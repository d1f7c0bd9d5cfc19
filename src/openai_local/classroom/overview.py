"""``/`` and ``/page/…``: the class's page. ``/v1/class``: what it shows, and an instructor's word on the queue.

The page is static files only. What they show comes from ``/v1``, with a key: the class at one moment, who has done
what, which jobs there are, how busy the machine is; and a job's losses.
It is looked up once for all who ask within a second, in few queries, so that a hundred pages can ask every two
seconds. What somebody may see of it is cut out for each.
"""

import hashlib
import math
import re
import time
from collections import Counter
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Any

import psutil
from openai.types import FileObject, Model
from openai.types.fine_tuning import FineTuningJob
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from openai_local.classroom.limits import Quota
from openai_local.errors import visible, visible_line
from openai_local.runners.local import LocalRunner
from openai_local.service.auth import Identity
from openai_local.service.context import Context, context, identity, one
from openai_local.service.errors import APIError, invalid
from openai_local.service.job_records import ENDED
from openai_local.service.routes.fine_tuning import find
from openai_local.training.job_folder import Journal

FRESH_SECONDS = 1.0  # a look at the class is shared for so long
MOST_JOBS = 200  # so many jobs are told, the newest
POINTS = 200  # about so many steps of a curve are sent; more can't be told apart on a page
KEPT = 64  # so many jobs' curves stay in memory
_WAIT = ("validating_files", "queued")
_EVENTS = 12  # the last ones; among them is the last step
_JOB = "status model fine_tuned_model training_file created_at finished_at estimated_finish".split()
_NO_LOSSES: dict[str, Any] = dict.fromkeys(("step", "total_steps", "training_loss", "validation_loss"))
_SHOWN = ("training_loss", "validation_loss", "full_validation_loss")
_LOSSES = dict(zip(("train_loss", "valid_loss", "full_valid_loss"), _SHOWN, strict=True))
FOLDER = Path(__file__).parent / "page"
_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_NAMES = frozenset(path.name for path in FOLDER.iterdir())
HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
        "form-action 'none'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
    ),
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-cache",  # kept, but the service is asked each time whether it is still the same
}
"""What a browser is told with each file besides `trusted_hosts.HEADERS`: run and load nothing but these files."""


class Classroom:
    """Looks at the class of one service."""

    def __init__(self, service: Context, quota: Quota) -> None:
        self._service, self._quota, self._lock = service, quota, Lock()
        self._seen: dict[str, Any] = {}  # what was looked up last, and when that was
        self._looked_at = float("-inf")
        self._losses: dict[str, dict[str, Any]] = {}  # of jobs that are over
        psutil.cpu_percent()  # the next call tells what happened since this one

    def view(self, who: Identity) -> dict[str, Any]:
        """What somebody sees: an instructor everything, a learner what is theirs and how much there is to do."""
        with self._lock:
            if time.monotonic() - self._looked_at > FRESH_SECONDS:
                self._seen = self._look()
                self._looked_at = time.monotonic()
            now = self._seen
        learners = now["learners"]
        mine = learners.get(who.name) or _learner(who.name)
        return now | {
            "you": {"name": who.name, "instructor": who.instructor},
            "jobs": [job for job in now["jobs"] if who.sees in (None, job["owner"])][:MOST_JOBS],
            "learners": list(learners.values()) if who.instructor else [mine],
        }

    def _look(self) -> dict[str, Any]:
        jobs, runner = self._jobs(), self._service.queue.runner
        by_status, memory = Counter(job["status"] for job in jobs), psutil.virtual_memory()
        kind = "local" if isinstance(runner, LocalRunner) else type(runner).__name__.removesuffix("Runner").lower()
        return {
            "at": time.time(),
            "machine": {  # per cent of all cores, bytes, and the length of the processors' queue
                "cpu": psutil.cpu_percent(),
                "cores": psutil.cpu_count(),
                "load": [round(number, 2) for number in psutil.getloadavg()],
                "memory_used": memory.total - memory.available,
                "memory_total": memory.total,
            },
            "runner": {"kind": kind, "at_once": runner.at_once},
            "queue": {"running": by_status["running"], "waiting": sum(by_status[word] for word in _WAIT)},
            "jobs": jobs,
            "learners": self._learners(jobs),
        }

    def _jobs(self) -> list[dict[str, Any]]:
        """All jobs, newest first; their losses only where they are shown to anybody."""
        store = self._service.store
        fields = [f"body.{name}" for name in _JOB]
        rows = store.table(FineTuningJob, *fields, "body.error.message", "private.model_name")
        files = {id_: visible_line(name) for id_, _, name in store.table(FileObject, "body.filename")}
        places, shown, jobs = self._service.queue.places, Counter[str](), []
        for number, (id_, owner, *values, error, name) in enumerate(rows):
            job = dict(zip(_JOB, values, strict=True))
            shown[owner] += 1
            place = places.get(id_) if job["status"] in _WAIT else None
            handed_over = job["status"] == "queued" and place is None
            said = store.events(id_, limit=1) if handed_over else []  # why it does not run yet, on a cluster
            seen = number < MOST_JOBS or shown[owner] <= MOST_JOBS
            jobs.append(
                {
                    "id": id_,
                    "owner": owner,
                    **job,
                    "file": files.get(job["training_file"]),
                    "suffix": _suffix(name or ""),
                    "error": error and visible(error),
                    "ahead": place.ahead if place else None,
                    "starts_in": place.starts_in if place else None,
                    "waits": said[0]["message"] if said else None,
                    **(self._last_losses(id_, job["status"]) if seen else _NO_LOSSES),
                }
            )
        return jobs

    def _last_losses(self, job: str, status: str) -> dict[str, Any]:
        if status in _WAIT or job in self._losses:
            return self._losses.get(job, _NO_LOSSES)
        found = dict(_NO_LOSSES)
        for event in reversed(self._service.store.events(job, limit=_EVENTS)):
            if event.get("type") == "metrics" and isinstance(data := event["data"], dict):
                found |= {"step": data["step"], "total_steps": data["total_steps"]}
                found["training_loss"] = data.get("train_loss", found["training_loss"])
                valid = data.get("full_valid_loss", data.get("valid_loss"))
                found["validation_loss"] = found["validation_loss"] if valid is None else valid
        if status in ENDED:
            self._losses[job] = found
        return found

    def _learners(self, jobs: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
        """Everybody who has a learner's key, owns something or has asked, by name."""
        store, seen = self._service.store, self._quota.activity()
        learners: dict[str, dict[str, Any]] = {}

        def learner(name: str) -> dict[str, Any]:
            return learners.setdefault(name, _learner(name, *seen.get(name, (0, 0))))

        keys = store.keys()
        for name in [key.name for key in keys if not key.instructor] + [name for name in seen if seen[name][0]]:
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


def _learner(name: str, asked: int = 0, seen_at: int = 0) -> dict[str, Any]:
    """Somebody who has nothing yet. ``jobs`` counts by state; ``models`` leaves checkpoints out."""
    nothing = {"files": 0, "jobs": {}, "models": 0, "stored": 0}
    return {"name": name, **nothing, "asked": asked, "seen_at": seen_at or None}


def _suffix(model: str) -> str | None:
    """The word that a job's owner gave, out of its model's name: one of today, or of 2022."""
    found = re.fullmatch(r"ft:.*:([a-z0-9-]*):[0-9a-f]{8}", model)
    found = found or re.fullmatch(r".*:ft-personal:(.+?)(?:-\d+){6}", model)
    return (found[1] or None) if found else None


class Curve:
    """A job's losses over its steps, read as the job tells them and thinned for the way. They grow."""

    def __init__(self, journal: Journal) -> None:
        self._journal, self._offset, self._lock = journal, 0, Lock()
        self._steps: dict[int, dict[str, Any]] = {}
        self._total: int | None = None

    def read(self) -> dict[str, Any]:
        """What is known now: ``total_steps`` (None before the first), and ``points``.

        Each has ``step``, ``training_loss``, ``validation_loss`` (of a few examples), ``full_validation_loss``.
        """
        with self._lock:
            for offset, entry in self._journal.read(self._offset):
                self._offset = offset
                if entry["kind"] == "event" and entry["type"] == "metrics":
                    self._take(entry["data"])
            return {"total_steps": self._total, "points": self._thinned()}

    def _take(self, data: dict[str, Any]) -> None:
        step, self._total = data["step"], data["total_steps"]
        point = self._steps.setdefault(step, {"step": step, **dict.fromkeys(_SHOWN)})
        point |= {_LOSSES[name]: value for name, value in data.items() if name in _LOSSES}

    def _thinned(self) -> list[dict[str, Any]]:
        """Every so manieth step, and those that are worth more: the ends of epochs and the last one."""
        steps = [self._steps[step] for step in sorted(self._steps)]
        each = math.ceil(len(steps) / POINTS)
        return [
            point
            for number, point in enumerate(steps)
            if number % each == 0 or number == len(steps) - 1 or point["full_validation_loss"] is not None
        ]


_curve = lru_cache(KEPT)(lambda folder: Curve(Journal(folder)))


def show(request: Request) -> Response:
    """The class as the caller may see it."""
    return JSONResponse(request.app.state.classroom.view(identity(request)))


def curve(request: Request) -> Response:
    """One job's losses over its steps."""
    journal = context(request).records.journal(find(request).id)
    return JSONResponse({"id": journal.folder.name, **_curve(journal.folder).read()})


def first(request: Request) -> Response:
    """Let a job be the next one."""
    return _put(request, first=True)


def last(request: Request) -> Response:
    """Let a job wait until no other waits."""
    return _put(request, first=False)


def _put(request: Request, *, first: bool) -> Response:
    job = find(request)
    if not identity(request).instructor:
        raise APIError(403, "Only an instructor can change the queue's order.", code="insufficient_permissions")
    if job.status not in ("validating_files", "queued"):
        message = f"Job {job.id} is {job.status}, so it has no place in the queue."
        raise invalid("fine_tuning_job_id", message)
    return one(context(request).queue.put(job, first=first))


def page(request: Request) -> Response:
    """The page itself, or a style or a script of it."""
    name = request.path_params.get("name", "index.html")
    path = FOLDER / name
    if path.suffix not in _TYPES or name not in _NAMES:
        raise HTTPException(404)
    content = path.read_bytes()
    headers = HEADERS | {"etag": f'"{hashlib.sha256(content).hexdigest()[:32]}"'}
    if headers["etag"] in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(content, media_type=_TYPES[path.suffix], headers=headers)


ROUTES = [
    Route("/class", show, methods=["GET"]),
    Route("/class/jobs/{id}/curve", curve, methods=["GET"]),
    Route("/class/jobs/{id}/first", first, methods=["POST"]),
    Route("/class/jobs/{id}/last", last, methods=["POST"]),
]
PAGE = [Route("/", page, methods=["GET"]), Route("/page/{name}", page, methods=["GET"])]
