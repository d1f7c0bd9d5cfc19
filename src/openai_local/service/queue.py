"""The queue: takes fine-tuning jobs from `validating_files` to their end, in turns.

One thread checks files. Another starts jobs, as many at once as the runner takes, and follows each. Both go by
what the database says, so a service that was stopped at any point goes on where it was.
"""

import contextlib
import threading
import time
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from openai.types.fine_tuning import FineTuningJob

from openai_local.errors import LocalError
from openai_local.home import link
from openai_local.models.base_models import Bases
from openai_local.runners import Runner
from openai_local.service.errors import ErrorLog
from openai_local.service.job_process import JobProcess, not_so_long
from openai_local.service.job_records import ALIVE, Records
from openai_local.service.scheduling import Forecast, Place, Waiting, in_order, places
from openai_local.training.dataset import DataError, count
from openai_local.training.job_folder import FILES, Job, Journal, data_file

LOOK_SECONDS = 0.5  # how often the jobs that run are looked at
PLACE_SECONDS = 5.0  # how often it is estimated anew when each job will start
BUSY = ("validating_files", "queued", "running")
TOLD = frozenset((0, 1, 2, 3, 5, 10, 20, 50, 100))  # a job tells when it has moved up to one of these places


class Queue:
    """Works off the jobs in the database."""

    def __init__(self, records: Records, bases: Bases, runner: Runner, forecast: Forecast) -> None:
        self.records, self.store, self.bases, self.runner = records, records.store, bases, runner
        self._forecast = forecast
        self._turns = self.store.last_turns()
        self._processes: dict[str, JobProcess] = {}
        self._waiting: list[Waiting] = []  # in the order in which they will be started
        self.places: dict[str, Place] = {}  # where the jobs that wait stand, by their ids
        self._placed_at = 0.0
        self._news = {step: threading.Event() for step in (self._check, self._train)}
        self._errors = ErrorLog(records.home.path)
        self._stopping = False
        self._threads = [
            threading.Thread(target=self._forever, args=(step, news), daemon=True)
            for step, news in self._news.items()
        ]

    def start(self) -> None:
        """Start working, with what an earlier service left undone first."""
        self.records.settle()
        for status in ("paused", "cancelled", "running", "queued"):
            for job in self.store.page(FineTuningJob, status=status, order="asc"):
                journal = self.records.journal(job.id)
                if status == "running" or (journal.folder.exists() and self.runner.look(journal).alive):
                    self._follow(job.id)
        for id_ in self.records.with_data() - self._processes.keys():
            self.records.let_go(id_)
        self.wake()
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
        for news in self._news.values():
            news.set()

    def busy(self) -> bool:
        """Whether any job has something to do."""
        return bool(self.store.table(FineTuningJob, status=BUSY))

    # What people ask for. Each returns the job as it is then, also if it could not be done any more.

    def cancel(self, job: FineTuningJob) -> FineTuningJob:
        """End a job before its time. Its checkpoints stay."""
        after = self._change(job, "cancelled", ALIVE, "The job was cancelled.", {"status": "cancelled"})
        with contextlib.suppress(OSError):  # it goes when the process has ended, at the latest
            self.records.journal(job.id).snapshot.unlink(missing_ok=True)
        if job.id not in self._processes:
            self.records.let_go(job.id)
        return after

    def pause(self, job: FineTuningJob) -> FineTuningJob:
        """Stop a job for a while. It writes down where it is within seconds."""
        return self._change(job, "paused", BUSY, "The job was paused.")

    def resume(self, job: FineTuningJob) -> FineTuningJob:
        """Let a paused job go on where it was."""
        next_ = "queued" if self.records.journal(job.id).folder.exists() else "validating_files"
        return self._change(job, next_, ["paused"], "The job was resumed.")

    def _change(self, job: FineTuningJob, status: str, states: Collection[str], *told: Any) -> FineTuningJob:
        after = self.records.change(job, status, states, *told)
        self.wake()
        return after

    def put(self, job: FineTuningJob, *, first: bool) -> FineTuningJob:
        """Let a job be the next one, or else wait until no other waits."""
        side, where = (-1, "before") if first else (1, "behind")
        ranks = [rank or 0 for _, _, rank in self.store.table(FineTuningJob, "private.rank", status=["queued"])]
        rank = side * (1 + max([side * rank for rank in ranks if side * rank > 0], default=0))
        self.store.note_private(FineTuningJob, job.id, rank=rank)
        self.records.tell(job.id, f"The job was put {where} all others.")
        self.wake()
        return job

    def _forever(self, step: Callable[[bool, list[Exception]], None], news: threading.Event) -> None:
        while not self._stopping:
            woken = news.wait(timeout=LOOK_SECONDS)
            news.clear()
            failures: list[Exception] = []
            _try(failures, step, woken, failures)
            if failures:
                self._errors.failed(step, failures[0])
                time.sleep(LOOK_SECONDS)
                news.set()  # what it was told is not forgotten
            else:
                self._errors.works(step)

    def _check(self, _: bool, failures: list[Exception]) -> None:
        for job in self.store.page(FineTuningJob, status="validating_files", order="asc"):
            _try(failures, self._check_one, job)

    def _check_one(self, job: FineTuningJob) -> None:
        lines = {}
        try:
            for param in FILES:
                if file := getattr(job, param):
                    lines[param] = count(self._uploaded(file, param), param)
            seconds = self._forecast.seconds(job, lines["training_file"])
            most_minutes = self.store.private(FineTuningJob, job.id).get("most_minutes")
            if seconds and most_minutes and seconds > 60 * most_minutes:  # what nobody can estimate may begin
                took = f"This job would train for about {seconds / 60:,.0f} minutes"
                raise DataError(not_so_long(took, most_minutes), code="training_too_long")
        except DataError as error:
            self.records.fail(job.id, error.code, str(error), error.param)
            return
        self.store.note_private(FineTuningJob, job.id, seconds=seconds)
        validated = "Files validated, moving job to queued state"
        self.records.tell(job.id, validated, {"status": "queued"}, key="validated")
        self.records.move(job.id, ["validating_files"], "queued")
        self.wake()

    def _train(self, news: bool, failures: list[Exception]) -> None:
        for id_, process in list(self._processes.items()):
            if _try(failures, process.look):
                del self._processes[id_]
                self.records.let_go(id_)
                news = True
        if news:
            rows = self.store.table(FineTuningJob, "private.seconds", "private.rank", status=["queued"])
            waiting = [
                Waiting(id_, owner, seconds, rank or 0)
                for id_, owner, seconds, rank in reversed(rows)
                if id_ not in self._processes
            ]
            self._waiting = in_order(waiting, self._turns)
            while self._waiting and len(self._processes) < self.runner.at_once:
                _try(failures, self._begin, self._waiting.pop(0))
        if news or time.monotonic() - self._placed_at > PLACE_SECONDS:
            self._placed_at = time.monotonic()
            self._tell_places()

    def _begin(self, waiting: Waiting) -> None:
        job = self.store.get(FineTuningJob, waiting.id)
        if job is None or job.status != "queued":
            return
        journal = self.records.journal(job.id)
        try:
            self._prepare(job, journal)
        except DataError as error:
            self.records.fail(job.id, error.code, str(error), error.param)
            return
        except LocalError as error:  # its base model was removed meanwhile
            self.records.fail(job.id, "server_error", str(error))
            return
        turn = 1 + max(self._turns.values(), default=0)
        self.store.note_private(FineTuningJob, job.id, turn=turn)
        self._turns[waiting.owner] = turn
        self.records.tell(job.id, "Jobs ahead in the queue: 0", {"jobs_ahead": 0}, key="ahead")
        self.runner.release(journal)  # of the process before a pause
        self._follow(job.id).look()

    def _follow(self, id_: str) -> JobProcess:
        return self._processes.setdefault(id_, JobProcess(self.records, self.runner, id_))

    def _tell_places(self) -> None:
        """Tell each job that waits how many are before it, at first and whenever that is worth a word."""
        running = [self._forecast.left(id_) for id_ in self._processes]
        before, self.places = self.places, places(self._waiting, running, self.runner.at_once)
        for id_, place in self.places.items():
            known = before.get(id_)
            if known is None or (place.ahead != known.ahead and place.ahead in TOLD):
                data = {"jobs_ahead": place.ahead}
                if place.starts_in is not None:
                    data["starts_in_seconds"] = round(place.starts_in)
                self.records.tell(id_, _sentence(place), data)

    def _uploaded(self, file: str, param: str) -> Path:
        path = self.records.home.files / file
        if path.parent.exists() and not path.exists():
            gone = f"The file {file} is no longer there. Upload it again."
            raise DataError(gone, param=param)
        return path

    def _prepare(self, job: FineTuningJob, journal: Journal) -> None:
        """Make the job's directory: the data, and what to do with it."""
        journal.folder.mkdir(mode=0o700, exist_ok=True)
        journal.forget_pause()
        files = {}
        for param in FILES:
            if file := getattr(job, param):
                copy = data_file(journal.folder, param)
                if not copy.exists():
                    link(self._uploaded(file, param), copy)
                files[param] = str(copy)
        private = self.store.private(FineTuningJob, job.id)
        of_2022 = private.get("of_2022", {})
        journal.write_job(
            Job(
                id=job.id,
                base=private["base"],
                weights=str(self.bases.require(private["base"]).weights),
                training_file=files["training_file"],
                validation_file=files.get("validation_file"),
                seed=job.seed,
                **private["hyperparameters"],
                prompt_weight=of_2022.get("prompt_loss_weight", 0.0),
                classification=of_2022.get("classification"),
                of_2022=bool(of_2022),
            )
        )


def _sentence(place: Place) -> str:
    said = f"Jobs ahead in the queue: {place.ahead}"
    if place.starts_in is None:
        return said
    minutes = round(place.starts_in / 60)
    about = f"{minutes} min" if minutes > 1 else f"{max(10, round(place.starts_in, -1)):.0f} s"
    return f"{said}. This one starts in about {about}."


def _try(failures: list[Exception], act: Callable[..., Any], *args: Any) -> Any:
    """Call a function. If it fails, its error goes to `failures`, and other jobs go on."""
    try:
        return act(*args)
    except Exception as error:
        failures.append(error)
