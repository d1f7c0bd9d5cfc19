"""One job's process, from the moment it is started to its end or its pause.

The queue calls `JobProcess.look` twice a second; nothing here waits. All goes by what the database and the job's
directory say, so a service that was stopped at any point goes on where it was.
"""

import time
from pathlib import Path
from typing import Any

from openai.types.fine_tuning import FineTuningJob

from openai_local.errors import LocalError
from openai_local.runners import Runner, Status
from openai_local.service.job_records import ALIVE, ENDED, Records
from openai_local.training.job_folder import Journal, new_id

PAUSE_SECONDS = 10.0  # how long a paused job may take to write down where it is
MOST_SECONDS = 10.0
"""Of the time between two looks, so much counts as training at most: a machine that slept has not trained."""
FULL = "There is no room left on the disk. The training waits until there is."
TOO_LONG = 2  # so many times as long as it may, a job trains at most: how long it will take is only estimated
TRIES = 2  # how often a process may end without having got any further before its job counts as failed


class JobProcess:
    """The process of one job whose directory is ready."""

    def __init__(self, records: Records, runner: Runner, job: str) -> None:
        """`look` starts the process if there is none."""
        self.records, self.runner, self.id = records, runner, job
        self.journal = records.journal(job)
        self._offset, self._tries, self._steps = 0, 0, -1
        self._halted_at: float | None = None
        self._told: str | None = None
        self._most_minutes = records.store.private(FineTuningJob, job).get("most_minutes")
        self._trained, self._looked_at = 0.0, time.monotonic()
        self._mark = new_id("process")  # what is told again in vain is told once

    def look(self) -> bool:
        """See what is new and do what has to be done. Returns whether the process is over."""
        status = self.runner.look(self.journal)
        if not self.journal.folder.exists():
            return True
        self._offset = self.records.copy(self.id, self._offset)
        job = self.records.store.get(FineTuningJob, self.id)
        if self._halted_at is not None or job is None or job.status not in ("queued", "running"):
            return self._halt(job, status)
        if (result := self.journal.result()) is not None:
            self.runner.release(self.journal)
            self.records.copy(self.id, self._offset)
            self.records.move(self.id, ["queued"], "running")  # it was too quick to be seen running
            if result["status"] == "failed":
                self.records.fail(self.id, result["code"], result["message"], result["param"])
            else:
                self._finish(result)
            return True
        if not status.alive:
            return self._start_again(job, status)
        waits = status.waits or (FULL if self.journal.waits() else None)
        if waits and waits != self._told:
            self.records.tell(self.id, waits)
        self._told = waits
        if status.waits is None and job.status == "queued":
            self.records.move(self.id, ["queued"], "running")
        self._watch_the_clock(status)
        return False

    def _watch_the_clock(self, status: Status) -> None:
        """Let a job fail that has trained for much longer than it may. The next look ends its process."""
        now = time.monotonic()
        since, self._looked_at = now - self._looked_at, now
        if status.waits is None:
            self._trained += min(since, MOST_SECONDS)
        if self._most_minutes and self._trained > TOO_LONG * 60 * self._most_minutes:
            took = f"It has trained for {self._trained / 60:,.0f} minutes"
            self.records.fail(self.id, "training_too_long", not_so_long(took, self._most_minutes))

    def _finish(self, result: dict[str, Any]) -> None:
        try:
            self.records.finish(self.id, result)
        except FileNotFoundError as error:
            lost = f"The training ended well, but its file {Path(error.filename).name} is gone. Train again."
            self.records.fail(self.id, "server_error", lost)

    def _start_again(self, job: FineTuningJob, status: Status) -> bool:
        """Start the process: for the first time, or as it ended before its work. Returns whether it is over."""
        if status.ended == "cancelled":
            self.records.change(job, "cancelled", ALIVE, status.said or "The job was cancelled.")
            self.journal.snapshot.unlink(missing_ok=True)
            return True
        if status.ended == "failed":
            self.records.fail(self.id, "server_error", status.said or _last_words(self.journal, status))
            return True
        done = len(list(self.journal.rows()))
        tries = self._tries + 1 if done <= self._steps else 1
        if tries > TRIES:
            self.records.fail(self.id, "server_error", _last_words(self.journal, status))
            return True
        if self._steps >= 0 or status.said:
            said = "The training process ended without a result and is started again."
            said = f"{status.said} {status.then}".strip() if status.said else said
            self.records.tell(self.id, said, level="warn", key=f"again {self._mark} {done} {tries}")
        try:
            self.runner.start(self.journal)
        except LocalError as error:
            self.records.fail(self.id, "server_error", str(error))
            return True
        self._tries, self._steps = tries, done  # here, as a disk that takes nothing is no try
        return False

    def _halt(self, job: FineTuningJob | None, status: Status) -> bool:
        """End the process: at once, or if its job is paused after it wrote down where it is."""
        over = job is None or job.status in ENDED
        if self._halted_at is None:
            self._halted_at = time.monotonic()
            if not over:
                self.journal.request_pause()
        late = time.monotonic() - self._halted_at > PAUSE_SECONDS
        if status.alive and (over or status.waits or late):
            self.runner.stop(self.journal)
            status = self.runner.look(self.journal)
        if status.alive:
            return False
        self.runner.release(self.journal)
        if job is not None:
            self.records.copy(self.id, self._offset)
        if over:
            self.journal.snapshot.unlink(missing_ok=True)
        return True


def not_so_long(how_long: str, most_minutes: int) -> str:
    """Why a job is not trained to its end, beginning with how long it takes."""
    return (
        f"{how_long}, and one job may train for {most_minutes}. Take fewer epochs (n_epochs) or smaller files, or "
        "ask your instructor."
    )


def _last_words(journal: Journal, status: Status) -> str:
    """What to tell of a process that got nowhere."""
    if status.said:
        again = f"That happened {TRIES} times, and the training got no further."
        return f"{status.said} {again} The log is {journal.log}."
    log = journal.log.read_text(encoding="utf-8", errors="replace").strip() if journal.log.exists() else ""
    said = f" Its last words: {log.splitlines()[-1]}" if log else ""
    return f"The training process ended twice without a result.{said} The log is {journal.log}."
