"""What jobs leave in the database: events, checkpoints, models and tables of results.

The training process writes a job's directory; this copies what stands there. Everything can be copied twice (the
service may have been killed after the first time), because ids are derived from the job and the step.
"""

import contextlib
import time
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from openai.types import FileObject, Model
from openai.types.fine_tuning import FineTuningJob, FineTuningJobEvent
from openai.types.fine_tuning.fine_tuning_job import Error
from openai.types.fine_tuning.jobs import FineTuningJobCheckpoint

from openai_local.home import Home, link
from openai_local.service.store import Store, going, settle
from openai_local.training.job_folder import FILES, Journal, data_file, derived_id, new_id, remove_data

ENDED = ("succeeded", "failed", "cancelled")
ALIVE = ("validating_files", "queued", "running", "paused")
KEPT_CHECKPOINTS = 3
Data = dict[str, Any] | None  # what an event says, for programs


class Records:
    """The records of all jobs of one home."""

    def __init__(self, store: Store, home: Home, cache: Path | None = None) -> None:
        """The database, the folder in which the jobs' directories lie, and where base models are."""
        self.store, self.home, self._cache = store, home, cache

    def hidden(self, text: str) -> str:
        """A text for those who call the service. Where its folders lie is not their business."""
        text = text if self._cache is None else text.replace(str(self._cache), "CACHE")
        return text.replace(str(self.home.path), "HOME")

    def journal(self, job: str) -> Journal:
        """The directory of a job."""
        return Journal(self.home.jobs / job)

    def settle(self) -> None:
        """Bring to an end what an earlier service was killed in: files that came or went."""
        adapters = {self.adapter(self.store.private(Model, model.id)) for model in self.store.page(Model)}
        settle(self.home.files, "", lambda file: self.store.get(FileObject, file.name) is not None)
        settle(self.home.jobs, "*/", lambda file: file in adapters)

    def with_data(self) -> set[str]:
        """The jobs whose directories have copies of their data."""
        copies = (self.home.jobs.glob(f"*/{data_file(Path(), param)}") for param in FILES)
        return {path.parent.name for found in copies for path in found}

    def let_go(self, job: str) -> None:
        """Remove the copies of a job's data, if it is over. If the disk does not let us, the next service does."""
        found = self.store.get(FineTuningJob, job)
        if found and found.status in ENDED:  # a database from a backup may not know it
            with contextlib.suppress(OSError, ValueError):
                remove_data(self.journal(job).folder)

    def tell(
        self, job: str, message: str, data: Data = None, *, level: Any = "info", key: str | None = None
    ) -> None:
        """Add an event to a job; with a `key`, once in its life."""
        event = FineTuningJobEvent(
            id=derived_id("ftevent", job, key) if key else new_id("ftevent"),
            object="fine_tuning.job.event",
            created_at=int(time.time()),
            level=level,
            message=self.hidden(message),
            type="message",
            data=data,
        )
        self.store.add_events(job, [event])

    def move(self, job: str, states: Collection[str], status: str, **fields: Any) -> bool:
        """Bring a job in one of the `states` to another, and its `fields` and times. Returns whether it was so."""
        moved = False

        def change(item: FineTuningJob) -> None:
            nonlocal moved
            if item.status in states:
                ended = int(time.time()) if status in ENDED else None
                known = {"status": status, "finished_at": ended, "estimated_finish": None} | fields
                for name, value in known.items():
                    setattr(item, name, value)
                moved = True

        self.store.update(FineTuningJob, job, change)
        return moved

    def change(
        self, job: FineTuningJob, status: str, states: Collection[str], message: str, data: Data = None
    ) -> FineTuningJob:
        """Pause, resume or cancel a job that is in one of the `states`, and tell so. Returns it as it is then."""
        with self.store.together():
            if self.move(job.id, states, status):
                self.tell(job.id, message, data)
            return self.store.get(FineTuningJob, job.id) or job

    def fail(self, job: str, code: str, message: str, param: str | None = None) -> None:
        """End a job as failed, and say why."""
        error = Error(code=code, message=self.hidden(message), param=param)
        with self.store.together():
            data = {"status": "failed", "error": error.to_dict()}
            self.tell(job, f"The job failed: {message}", data, level="error", key="failed")
            self.move(job, ALIVE, "failed", error=error)

    def finish(self, job: str, result: dict[str, Any]) -> None:
        """Register the model and the table of results, and let the job succeed, all at once.

        A job that was cancelled or paused a moment ago stays so, as somebody was told that.
        """
        journal = self.journal(job)
        with self.store.together():
            found = self.store.get(FineTuningJob, job)
            if found is None or found.status != "running":
                return
            name = self.store.private(FineTuningJob, job)["model_name"]
            self._keep_model(job, name, journal.adapter)
            table = self._keep_table(job, journal)
            self.tell(job, f"New fine-tuned model created: {name}", {"fine_tuned_model": name}, key="model")
            self.tell(job, f"Result file created: {table}", {"result_file": table}, key="results")
            self.tell(job, "The job has successfully completed", {"status": "succeeded"}, key="succeeded")
            done = {"fine_tuned_model": name, "result_files": [table], "trained_tokens": result["trained_tokens"]}
            self.move(job, ["running"], "succeeded", **done)

    def copy(self, job: str, offset: int = 0) -> int:
        """Copy what the training process told from byte `offset` on. Returns the offset behind it."""
        events, checkpoints, finish, settled = [], [], None, dict[str, Any]()
        for behind, entry in self.journal(job).read(offset):
            offset, kind = behind, entry.pop("kind")
            if kind == "event":
                entry["message"] = self.hidden(entry["message"])
                events.append(FineTuningJobEvent(object="fine_tuning.job.event", **entry))
            elif kind == "checkpoint":
                checkpoints.append(entry)
            elif kind == "estimate":
                finish = entry["finish"]
            elif kind == "hyperparameters":
                del entry["created_at"]
                settled = entry

        def change(item: FineTuningJob) -> None:
            if finish and item.status == "running":
                item.estimated_finish = finish
            supervised = item.method.supervised if item.method else None
            for given in (item.hyperparameters, supervised and supervised.hyperparameters):
                for name, value in settled.items() if given else ():
                    setattr(given, name, value)

        if events or finish or settled:
            with self.store.together():
                self.store.add_events(job, events)
                if finish or settled:
                    self.store.update(FineTuningJob, job, change)
        for checkpoint in checkpoints:
            self._keep_checkpoint(job, **checkpoint)
        return offset

    def _keep_checkpoint(self, job: str, step: int, metrics: dict[str, float], created_at: int) -> None:
        file = self.journal(job).checkpoint_file(step)
        id_ = derived_id("ftckpt", job, step).replace("-", "_", 1)
        if not file.exists() or self.store.get(FineTuningJobCheckpoint, id_):
            return  # it is known, or was one of those that are not kept
        name = f"{self.store.private(FineTuningJob, job)['model_name']}:ckpt-step-{step}"
        checkpoint = FineTuningJobCheckpoint.construct(
            id=id_,
            object="fine_tuning.job.checkpoint",
            created_at=created_at,
            fine_tuned_model_checkpoint=name,
            fine_tuning_job_id=job,
            step_number=step,
            metrics=metrics,
        )
        with self.store.together():
            self.store.add(checkpoint, self.store.owner(FineTuningJob, job))
            self._keep_model(job, name, file, checkpoint=id_)
        kept = self.store.page(FineTuningJobCheckpoint, fine_tuning_job_id=job)
        for old in sorted(kept, key=lambda c: c.step_number)[:-KEPT_CHECKPOINTS]:
            self.forget_model(old.fine_tuned_model_checkpoint)

    def _keep_model(self, job: str, name: str, adapter: Path, **private: Any) -> None:
        if self.store.get(Model, name) is None:
            owner, base = self.store.owner(FineTuningJob, job), self.store.private(FineTuningJob, job)["base"]
            model = Model(id=name, object="model", created=int(time.time()), owned_by=owner)
            size = adapter.stat().st_size
            self.store.add(model, owner, job=job, base=base, adapter=adapter.name, bytes=size, **private)

    def _keep_table(self, job: str, journal: Journal) -> str:
        id_ = f"file-{job.removeprefix('ftjob-')}"
        path = self.home.files / id_
        path.unlink(missing_ok=True)
        link(journal.table, path)
        if self.store.get(FileObject, id_) is None:
            old = self.store.private(FineTuningJob, job).get("of_2022")
            name = "compiled_results.csv" if old else "step_metrics.csv"
            file = describe(path, id_, name, "fine-tune-results")
            self.store.add(file, self.store.owner(FineTuningJob, job))
        return id_

    def adapter(self, private: Mapping[str, Any]) -> Path:
        """The file of a fine-tuned model or checkpoint, by what is kept beside it in the database."""
        journal = self.journal(private["job"])
        return journal.folder / private.get("adapter", journal.adapter.name)  # first versions kept no name

    def forget_model(self, name: str) -> bool:
        """Remove a fine-tuned model or checkpoint. Returns whether it was there."""
        if not (private := self.store.private(Model, name)):
            return False
        with going(self.adapter(private)) as go, self.store.together():
            if not self.store.delete(Model, name):
                return False  # somebody else was quicker
            go()
            if checkpoint := private.get("checkpoint"):
                self.store.delete(FineTuningJobCheckpoint, checkpoint)
        return True

    def needing(self, base: str) -> list[str]:
        """The fine-tunes, and the jobs that are not over, that need a base model."""
        jobs = self.store.table(FineTuningJob, "private.base", status=ALIVE)
        models = self.store.table(Model, "private.base")
        return [id_ for id_, _, its_base in [*jobs, *models] if its_base == base]


def describe(path: Path, id_: str, filename: str, purpose: Any) -> FileObject:
    """What the client is told of a file that lies there."""
    return FileObject(
        id=id_,
        object="file",
        bytes=path.stat().st_size,
        created_at=int(time.time()),
        filename=filename,
        purpose=purpose,
        status="processed",
    )
