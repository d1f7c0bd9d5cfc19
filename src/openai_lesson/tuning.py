"""Starting a fine-tune and following it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import openai
from openai.types import FileObject
from openai.types.fine_tuning import FineTuningJob, FineTuningJobEvent

from openai_lesson.connection import host
from openai_lesson.display import Card, Progress
from openai_lesson.errors import LessonError

ENDED = ("succeeded", "failed", "cancelled")
_PATIENCE = 120.0


def upload(client: openai.OpenAI, path: str | Path) -> FileObject:
    """Upload a JSONL file to train on.

    Raises:
        LessonError: there is no such file.
    """
    path = Path(path)
    if not path.is_file():
        raise LessonError(f"There is no file {path} in {Path.cwd()}. Run the notebook 01-prepare-data first.")
    with path.open("rb") as file:
        return client.files.create(file=(path.name, file), purpose="fine-tune")


def start(client: openai.OpenAI, path: str | Path, model: str | None = None, **options: Any) -> FineTuningJob:
    """Upload a JSONL file and start a fine-tune with it.

    Args:
        client: from `connect`.
        path: the training file.
        model: the model to train (nothing: the one that suits the host).
        options: what `client.fine_tuning.jobs.create` takes besides, such as ``suffix`` or ``seed``.

    Returns:
        The job, which has just been queued. `follow` shows how it goes.

    Raises:
        LessonError: there is no such file, or the host refuses the job.
    """
    file = upload(client, path)
    try:
        return client.fine_tuning.jobs.create(training_file=file.id, model=model or host(client).model, **options)
    except openai.PermissionDeniedError as error:
        if error.code != "training_not_available":
            raise
        raise LessonError(
            "OpenAI does not let this account train models: since May 2026 it takes no new fine-tuning "
            "customers. Train on this machine instead:  client = connect('local')"
        ) from None


def latest(client: openai.OpenAI) -> FineTuningJob:
    """The job that was started last.

    Raises:
        LessonError: there is none.
    """
    for job in client.fine_tuning.jobs.list(limit=1):
        return job
    raise LessonError("There is no fine-tuning job yet. Run the notebook 02-train first.")


def latest_model(client: openai.OpenAI) -> str:
    """The name of the model that was trained last.

    Raises:
        LessonError: there is none.
    """
    for job in client.fine_tuning.jobs.list():
        if job.fine_tuned_model:
            return job.fine_tuned_model
    raise LessonError("There is no fine-tuned model yet. Run the notebook 02-train first.")


def follow(client: openai.OpenAI, job: FineTuningJob | str | None = None) -> FineTuningJob:
    """Show how a job goes until it is over: its events, a progress bar and the falling loss.

    Interrupting it (the square button, or Ctrl-C) stops the showing, not the training. Call it again at any
    time, also after the notebook was closed: everything that happened meanwhile is shown.

    Args:
        client: from `connect`.
        job: a job or its id (nothing: the one that was started last).

    Returns:
        The job as it is at the end, or at the interruption.

    Raises:
        LessonError: the job failed; the message says why.
    """
    if not isinstance(job, str):
        job = (job or latest(client)).id
    current = client.fine_tuning.jobs.retrieve(job)
    watcher = _Watcher(client, current)
    try:
        while not watcher.look():
            time.sleep(2.0)
    except KeyboardInterrupt:
        watcher.card.close()
        print(f"Training goes on. Come back with:  follow(client, '{current.id}')")
        print(f"To end it for good:  client.fine_tuning.jobs.cancel('{current.id}')")
        return watcher.job
    watcher.card.close()
    if watcher.job.status == "failed":
        reason = watcher.job.error.message if watcher.job.error else "no reason was given"
        raise LessonError(f"The job {current.id} failed: {reason}")
    return watcher.job


class _Watcher:
    """Asks for what is new and shows it. A connection that breaks is tried again for two minutes."""

    def __init__(self, client: openai.OpenAI, job: FineTuningJob) -> None:
        self.client, self.job, self.card = client, job, Card()
        self.progress = Progress()
        self.seen: set[str] = set()
        self.reached = time.monotonic()

    def look(self) -> bool:
        """Fetch and show the news. Returns whether the job is over."""
        try:
            self.job = self.client.fine_tuning.jobs.retrieve(self.job.id)
            news = self._news()
        except openai.APIConnectionError:
            if time.monotonic() - self.reached > _PATIENCE:
                raise
            return False
        self.reached = time.monotonic()
        for event in news:
            self._take(event)
        progress = self.progress
        progress.model = self.job.fine_tuned_model or self.job.model
        progress.state, progress.finish = self.job.status, self.job.estimated_finish
        self.card.show(progress.text(), progress.svg)
        return self.job.status in ENDED

    def _news(self) -> list[FineTuningJobEvent]:
        """The events that were not seen yet, oldest first."""
        new: list[FineTuningJobEvent] = []
        for event in self.client.fine_tuning.jobs.list_events(self.job.id, limit=20):
            if event.id in self.seen:
                break
            new.append(event)
        self.seen.update(event.id for event in new)
        return new[::-1]

    def _take(self, event: FineTuningJobEvent) -> None:
        data: Any = event.data
        if event.type == "metrics" and isinstance(data, dict) and "step" in data:
            self.progress.step = int(data["step"])
            self.progress.total_steps = int(data.get("total_steps") or 0)
            if data.get("train_loss") is not None:
                self.progress.losses.append((self.progress.step, float(data["train_loss"])))
        else:
            moment = time.strftime("%H:%M:%S", time.localtime(event.created_at))
            print(f"{moment}  {event.message}")
