"""The queue: takes fine-tuning jobs from `validating_files` to their end, one at a time.

One thread checks files, another trains: it starts the runner, has the job's directory copied into the database,
and sees to it that a job which was paused or cancelled stops. Both go by what the database says, so a service that
was stopped at any point goes on where it was.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from openai.types.fine_tuning import FineTuningJob
from openai.types.fine_tuning.fine_tuning_job import Error

from openai_local.engine.bases import Bases
from openai_local.engine.examples import DataError, read
from openai_local.engine.journal import Job, Journal
from openai_local.errors import LocalError
from openai_local.home import link
from openai_local.service.records import ENDED, Records
from openai_local.runners.local import LocalRunner

log = logging.getLogger(__name__)

PAUSE_SECONDS = 10.0
"""How long a paused job may take to write down where it is."""


class Queue:
    """Works off the jobs in the database."""

    def __init__(self, records: Records, bases: Bases, runner: LocalRunner) -> None:
        """`start` sets it going."""
        self.records, self.store, self.bases, self.runner = records, records.store, bases, runner
        self._changed = threading.Condition()
        self._stopping = False
        self._threads = [
            threading.Thread(target=self._forever, args=(step,), daemon=True)
            for step in (self._check_next, self._train_next)
        ]

    def start(self) -> None:
        """Start working, with what an earlier service left undone first."""
        for status in ("paused", "cancelled"):
            for job in self.store.page(FineTuningJob, status=status):
                if self.runner.alive(journal := self.records.journal(job.id)):
                    self._halt(job, journal, patience=0)
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
        """Whether any job has something to do."""
        return any(map(self._next, ("validating_files", "queued", "running")))

    # What people ask for. Each returns the job as it is then, also if it could not be done any more.

    def cancel(self, job: FineTuningJob) -> FineTuningJob:
        """End a job before its time. Its checkpoints stay."""
        after = self._set(job, "cancelled", lambda status: status not in ENDED, "The job was cancelled.")
        self.records.journal(job.id).snapshot.unlink(missing_ok=True)
        return after

    def pause(self, job: FineTuningJob) -> FineTuningJob:
        """Stop a job for a while. It writes down where it is within seconds."""
        running = ("validating_files", "queued", "running")
        return self._set(job, "paused", lambda status: status in running, "The job was paused.")

    def resume(self, job: FineTuningJob) -> FineTuningJob:
        """Let a paused job go on where it was."""
        next_ = "queued" if self.records.journal(job.id).folder.exists() else "validating_files"
        return self._set(job, next_, lambda status: status == "paused", "The job was resumed.")

    def _set(
        self, job: FineTuningJob, status: Any, possible: Callable[[str], bool], message: str
    ) -> FineTuningJob:
        done = False

        def change(job: FineTuningJob) -> None:
            nonlocal done
            if possible(job.status):
                job.status, job.estimated_finish, done = status, None, True
                job.finished_at = int(time.time()) if status in ENDED else None

        after = self.store.update(FineTuningJob, job.id, change) or job
        if done:
            self.records.tell(job.id, message)
            self.wake()
        return after

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
                    read(self.records.home.files / file, param)
        except DataError as error:
            self._fail(job.id, error.code, str(error), error.param)
            return True
        self.records.tell(job.id, "Files validated, moving job to queued state", key="validated")
        ahead = sum(len(self.store.page(FineTuningJob, status=status)) for status in ("queued", "running"))
        self.records.tell(job.id, f"Jobs ahead in the queue: {ahead}", key="ahead")
        self._move(job.id, "validating_files", "queued")
        self.wake()
        return True

    # Training

    def _train_next(self) -> bool:
        job = self._next("running") or self._next("queued")
        if job is None:
            return False
        journal = self.records.journal(job.id)
        if job.status == "queued":
            try:
                self._prepare(job, journal)
            except LocalError as error:  # its base model was removed meanwhile
                self._fail(job.id, "server_error", str(error), None)
                return True
            self._move(job.id, "queued", "running")
        self._follow(job.id, journal)
        return True

    def _prepare(self, job: FineTuningJob, journal: Journal) -> None:
        """Make the job's directory: the data, and what to do with it."""
        journal.folder.mkdir(mode=0o700, exist_ok=True)
        journal.forget_pause()
        files: dict[str, str | None] = {"training_file": None, "validation_file": None}
        for param in files:
            if file := getattr(job, param):
                copy = journal.folder / f"{param}.jsonl"
                copy.unlink(missing_ok=True)
                link(self.records.home.files / file, copy)
                files[param] = str(copy)
        private = self.store.private(FineTuningJob, job.id)
        of_2022 = private.get("of_2022", {})
        journal.write_job(
            Job(
                id=job.id,
                base=private["base"],
                weights=str(self.bases.require(private["base"]).weights),
                training_file=str(files["training_file"]),
                validation_file=files["validation_file"],
                seed=job.seed,
                **private["hyperparameters"],
                prompt_weight=of_2022.get("prompt_loss_weight", 0.0),
                classification=of_2022.get("classification"),
                of_2022=bool(of_2022),
            )
        )

    def _follow(self, id_: str, journal: Journal) -> None:
        """Run one job to its end or its pause, or until the service stops."""
        offset, tries, steps = 0, 0, -1
        while not self._stopping:
            alive = self.runner.alive(journal)
            offset = self.records.copy(id_, offset)
            job = self.store.get(FineTuningJob, id_)
            if job is None or job.status != "running":
                return self._halt(job, journal, patience=PAUSE_SECONDS, offset=offset)
            if (result := journal.result()) is not None:
                self.runner.release(journal)
                self.records.copy(id_, offset)
                return self._finish(id_, result)
            if not alive:
                done = len(list(journal.rows()))
                tries = tries + 1 if done <= steps else 1
                if tries > 2:
                    return self._fail(id_, "server_error", _last_words(journal), None)
                if steps >= 0:
                    message = "The training process ended without a result and is started again."
                    self.records.tell(id_, message, level="warn")
                steps = done
                self.runner.start(journal)
            time.sleep(0.5)

    def _halt(self, job: FineTuningJob | None, journal: Journal, *, patience: float, offset: int = 0) -> None:
        """End a job's process: at once if it was cancelled, otherwise after it wrote down where it is."""
        if self.runner.alive(journal) and job and job.status != "cancelled":
            journal.request_pause()
            deadline = time.monotonic() + patience
            while self.runner.alive(journal) and time.monotonic() < deadline:
                if self._stopping:
                    return
                time.sleep(0.1)
            if patience == 0:
                return
        self.runner.stop(journal)
        if job:
            self.records.copy(job.id, offset)
        if job is None or job.status == "cancelled":
            journal.snapshot.unlink(missing_ok=True)

    def _finish(self, id_: str, result: dict[str, Any]) -> None:
        if result["status"] == "failed":
            return self._fail(id_, result["code"], result["message"], result["param"])
        self.records.finish(id_, result)

    def _fail(self, id_: str, code: str, message: str, param: str | None) -> None:
        def change(job: FineTuningJob) -> None:
            if job.status not in ENDED:
                job.status, job.error = "failed", Error(code=code, message=message, param=param)
                job.finished_at, job.estimated_finish = int(time.time()), None

        self.records.tell(id_, f"The job failed: {message}", level="error", key="failed")
        self.store.update(FineTuningJob, id_, change)

    def _move(self, id_: str, old: str, new: Any) -> None:
        def change(job: FineTuningJob) -> None:
            if job.status == old:
                job.status = new

        self.store.update(FineTuningJob, id_, change)


def _last_words(journal: Journal) -> str:
    lines = (
        journal.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        if journal.log.exists()
        else []
    )
    said = f" Its last words: {lines[-1]}" if lines else ""
    return f"The training process ended twice without a result.{said} The log is {journal.log}."
