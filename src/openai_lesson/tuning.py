"""Starting a fine-tune and following it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import openai
from openai.types.fine_tuning import FineTuningJob

from openai_lesson import visible
from openai_lesson.connection import host
from openai_lesson.errors import LessonError
from openai_lesson.uploading import upload
from openai_lesson.watching import Watcher, line_of, reason


def start(
    client: openai.OpenAI,
    path: str | Path,
    model: str | None = None,
    *,
    validation: str | Path | None = None,
    **options: Any,
) -> FineTuningJob:
    """Upload a JSONL file and start a fine-tune with it.

    Args:
        client: from `connect`.
        path: the training file.
        model: the model to train (nothing: the one that suits the host).
        validation: a file with examples to measure with; none of them is learned.
        options: what `client.fine_tuning.jobs.create` takes besides, such as ``suffix`` or ``seed``.

    Returns:
        The job, which has just been queued. `follow` shows how it goes.

    Raises:
        LessonError: there is no such file, or the host refuses the job.
    """
    file = upload(client, path)
    if validation is not None:
        options["validation_file"] = upload(client, validation).id
    try:
        return client.fine_tuning.jobs.create(training_file=file.id, model=model or host(client).model, **options)
    except openai.PermissionDeniedError as error:
        raise refusal(error, "client = connect('local')") from None


def refusal(error: openai.PermissionDeniedError, instead: str) -> Exception:
    """What to raise when a host does not let an account train.

    Args:
        error: what the host said.
        instead: what to type to train on this machine.
    """
    if error.code != "training_not_available":
        return error
    return LessonError(
        "OpenAI does not let this account train models: since May 2026 it takes no new fine-tuning "
        f"customers. Train on this machine instead:  {instead}"
    )


def latest(client: openai.OpenAI) -> FineTuningJob:
    """The job that was started last.

    Raises:
        LessonError: there is none.
    """
    for job in client.fine_tuning.jobs.list(limit=1):
        return job
    raise LessonError("There is no fine-tuning job yet. Run the notebook 02-train first.")


def latest_model(client: openai.OpenAI, *, suffix: str | None = None) -> str:
    """The name of the model that was trained last.

    Args:
        client: from `connect`.
        suffix: the suffix that it was started with (nothing: any).

    Raises:
        LessonError: there is none.
    """
    for job in client.fine_tuning.jobs.list():
        name = job.fine_tuned_model
        if name and (suffix is None or re.search(rf":{re.escape(suffix)}(:|-\d{{4}}-)", name)):
            return name
    which = "" if suffix is None else f" with the suffix {suffix!r}"
    raise LessonError(f"There is no fine-tuned model{which} yet. Run the notebook 02-train first.")


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
    watcher = Watcher(client, job, tell=_tell, come_back=f"follow(client, {job!r})")
    try:
        current = watcher.watch()
    except KeyboardInterrupt:
        print(f"Training goes on. Come back with:  follow(client, {job!r})")
        print(f"To end it for good:  client.fine_tuning.jobs.cancel({job!r})")
        return watcher.job
    if current.status == "failed":
        raise LessonError(f"The job {current.id} failed: {reason(current)}")
    return current


def _tell(created_at: float, message: str) -> None:
    print(line_of(created_at, visible.line(message)))
