"""The queue: takes fine-tuning jobs from `validating_files` to their end, one at a time.

One thread checks files, another trains: it starts the runner, copies what the job's directory says into the
database, and at the end registers the model. Both go by what the database says, so a service that was stopped
at any point goes on where it was.
"""

from __future__ import annotations

import logging
import os
import shutil
import threading
import time
from pathlib import Path
from typing import Any

from openai.types import FileObject, Model
from openai.types.fine_tuning import FineTuningJob, FineTuningJobEvent
from openai.types.fine_tuning.fine_tuning_job import Error

from openai_local.engine.base import BASES
from openai_local.engine.examples import DataError, read
from openai_local.engine.journal import Job, Journal, new_id
from openai_local.home import Home
from openai_local.service.runners import LocalRunner
from openai_local.service.store import Store

log = logging.getLogger(__name__)

ENDED = ("succeeded", "failed", "cancelled")


class Queue:
    """Works off the jobs in the database."""

    def __init__(self, store: Store, home: Home, cache: Path, runner: LocalRunner) -> None:
        """`start` sets it going."""
        self.store, self.home, self.cache, self.runner = store, home, cache, runner
        self._changed = threading.Condition()
        self._stopping = False
        self._threads = [
            threading.Thread(target=self._forever, args=(step,), daemon=True)
            for step in (self._check_next, self._train_next)
        ]

    def start(self) -> None:
        """Start working, with what an earlier service left undone first."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Stop working. A training process goes on; the next service finds it."""
        self._stopping = True
        self.wake()
        for thread in self._threads:
            thread.join()

    def wake(self) -> None:
        """Say that there may be something to do."""
        with self._changed:
            self._changed.notify_all()

    def busy(self) -> bool:
        """Whether any job is not over."""
        return any(
            self.store.page(FineTuningJob, status=status, limit=1)
            for status in ("validating_files", "queued", "running")
        )

    def cancel(self, job: FineTuningJob) -> FineTuningJob:
        """Cancel a job, unless it is over by now. Returns it as it is then."""

        def change(job: FineTuningJob) -> None:
            if job.status not in ENDED:
                job.status, job.finished_at, job.estimated_finish = "cancelled", int(time.time()), None

        after = self.store.update(FineTuningJob, job.id, change) or job
        if after.status == "cancelled":
            self.tell(job.id, "The job was cancelled.")
            self.runner.stop(self.journal(job.id))
            self.wake()
        return after

    def tell(self, job: str, message: str, *, level: Any = "info") -> None:
        """Add an event to a job."""
        event = FineTuningJobEvent(
            id=new_id("ftevent"),
            object="fine_tuning.job.event",
            created_at=int(time.time()),
            level=level,
            message=message,
            type="message",
        )
        self.store.add_events(job, [event])

    def journal(self, job: str) -> Journal:
        """The directory of a job."""
        return Journal(self.home.jobs / job)

    def _forever(self, step: Any) -> None:
        while not self._stopping:
            try:
                worked = step()
            except Exception:
                log.exception("the queue stumbled and goes on")
                worked = False
            if not worked:
                with self._changed:
                    self._changed.wait(timeout=1.0)

    def _next(self, status: str) -> FineTuningJob | None:
        waiting = self.store.page(FineTuningJob, status=status, order="asc", limit=1)
        return waiting[0] if waiting else None

    # Checking

    def _check_next(self) -> bool:
        job = self._next("validating_files")
        if job is None:
            return False
        try:
            for param in ("training_file", "validation_file"):
                if file := getattr(job, param):
                    read(self.home.files / file)
        except DataError as error:
            self._fail(job.id, error.code, str(error), param)
            return True
        self._move(job.id, "validating_files", "queued")
        self.tell(job.id, "Files validated, moving job to queued state")
        self.wake()
        return True

    # Training

    def _train_next(self) -> bool:
        job = self._next("running") or self._next("queued")
        if job is None:
            return False
        journal = self.journal(job.id)
        if job.status == "queued":
            self._prepare(job, journal)
            self._move(job.id, "queued", "running")
        self._follow(job, journal)
        return True

    def _prepare(self, job: FineTuningJob, journal: Journal) -> None:
        """Make the job's directory: the data, and what to do with it."""
        journal.folder.mkdir(mode=0o700, exist_ok=True)
        files: dict[str, str | None] = {"training_file": None, "validation_file": None}
        for param in files:
            if file := getattr(job, param):
                copy = journal.folder / f"{param}.jsonl"
                copy.unlink(missing_ok=True)
                _link(self.home.files / file, copy)
                files[param] = str(copy)
        private = self.store.private(FineTuningJob, job.id)
        journal.write_job(
            Job(
                id=job.id,
                base=private["base"],
                weights=str(BASES[private["base"]].weights(self.cache)),
                training_file=str(files["training_file"]),
                validation_file=files["validation_file"],
                seed=job.seed,
                **private["hyperparameters"],
            )
        )

    def _follow(self, job: FineTuningJob, journal: Journal) -> None:
        """Run one job to its end, or until the service stops."""
        offset, starts = 0, 0
        while not self._stopping:
            alive = self.runner.alive(journal)
            offset = self._copy_events(job.id, journal, offset)
            if (current := self.store.get(FineTuningJob, job.id)) is None or current.status != "running":
                self.runner.stop(journal)
                return
            if (result := journal.result()) is not None:
                self.runner.release(journal)
                self._copy_events(job.id, journal, offset)
                return self._finish(current, journal, result)
            if not alive:
                if starts == 2:
                    return self._fail(job.id, "server_error", _last_words(journal), None)
                starts += 1
                self.runner.start(journal)
            time.sleep(0.5)

    def _copy_events(self, job: str, journal: Journal, offset: int) -> int:
        events: list[FineTuningJobEvent] = []
        changes: dict[str, Any] = {}
        for behind, entry in journal.read(offset):
            offset = behind
            if entry.pop("kind") == "event":
                events.append(FineTuningJobEvent(object="fine_tuning.job.event", **entry))
            elif "finish" in entry:
                changes["estimated_finish"] = entry["finish"]
            else:
                changes.update(entry)
        if events:
            self.store.add_events(job, events)
        if changes:
            self.store.update(FineTuningJob, job, lambda item: _settle(item, changes))
        return offset

    def _finish(self, job: FineTuningJob, journal: Journal, result: dict[str, Any]) -> None:
        if result["status"] == "failed":
            return self._fail(job.id, result["code"], result["message"], result["param"])
        owner = self.store.owner(FineTuningJob, job.id) or ""
        name = self.store.private(FineTuningJob, job.id)["model_name"]
        table = self._keep_table(job.id, journal, owner)
        if self.store.get(Model, name) is None:
            model = Model(id=name, object="model", created=int(time.time()), owned_by=owner)
            self.store.add(model, owner, job=job.id, base=job.model)

        def change(job: FineTuningJob) -> None:
            job.status, job.fine_tuned_model, job.result_files = "succeeded", name, [table]
            job.trained_tokens, job.finished_at, job.estimated_finish = (
                result["trained_tokens"],
                int(time.time()),
                None,
            )

        self.tell(job.id, f"New fine-tuned model created: {name}")
        self.tell(job.id, "The job has successfully completed")
        self.store.update(FineTuningJob, job.id, change)

    def _keep_table(self, job: str, journal: Journal, owner: str) -> str:
        id_ = f"file-{job.removeprefix('ftjob-')}"
        path = self.home.files / id_
        path.unlink(missing_ok=True)
        _link(journal.table, path)
        if self.store.get(FileObject, id_) is None:
            file = FileObject(
                id=id_,
                object="file",
                bytes=path.stat().st_size,
                created_at=int(time.time()),
                filename="step_metrics.csv",
                purpose="fine-tune-results",
                status="processed",
            )
            self.store.add(file, owner)
        return id_

    def _fail(self, id_: str, code: str, message: str, param: str | None) -> None:
        def change(job: FineTuningJob) -> None:
            if job.status not in ENDED:
                job.status, job.error = "failed", Error(code=code, message=message, param=param)
                job.finished_at, job.estimated_finish = int(time.time()), None

        self.tell(id_, f"The job failed: {message}", level="error")
        self.store.update(FineTuningJob, id_, change)

    def _move(self, id_: str, old: str, new: Any) -> None:
        def change(job: FineTuningJob) -> None:
            if job.status == old:
                job.status = new

        self.store.update(FineTuningJob, id_, change)


def _settle(job: FineTuningJob, changes: dict[str, Any]) -> None:
    job.estimated_finish = changes.pop("estimated_finish", job.estimated_finish)
    changes.pop("created_at", None)
    for name, value in changes.items():
        setattr(job.hyperparameters, name, value)
        if job.method and job.method.supervised and job.method.supervised.hyperparameters:
            setattr(job.method.supervised.hyperparameters, name, value)


def _link(source: Path, target: Path) -> None:
    """The same file under a second name, or a copy where the file system has no such thing."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def _last_words(journal: Journal) -> str:
    lines = (
        journal.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        if journal.log.exists()
        else []
    )
    said = f" Its last words: {lines[-1]}" if lines else ""
    return f"The training process ended twice without a result.{said} The log is {journal.log}."
