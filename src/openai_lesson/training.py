"""Fine-tuning with one call each: start it, and follow it.

`start` is what a learner has done by hand: `client.files.create`, then `client.fine_tuning.jobs.create`. `follow`
asks for the job and its events again and again, as a learner did in a loop, and draws what it hears.
"""

import re
from pathlib import Path
from typing import Any

import openai
from openai.types.fine_tuning import FineTuningJob

from openai_data.errors import LessonError
from openai_lesson.connection import host
from openai_lesson.watching import Watcher, reason


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
    options["training_file"] = _upload(client, path)
    if validation is not None:
        options["validation_file"] = _upload(client, validation)
    try:
        return client.fine_tuning.jobs.create(model=model or host(client).model, **options)
    except openai.PermissionDeniedError as error:
        from openai_lesson.other_hosts import refusal  # late: this machine refuses nobody

        raise refusal(error, "client = connect('local')") from None


def _upload(client: openai.OpenAI, path: str | Path) -> str:
    try:
        with Path(path).open("rb") as file:
            return client.files.create(file=file, purpose="fine-tune").id
    except FileNotFoundError:
        where = f"There is no file {path} in {Path.cwd()}."
        raise LessonError(f"{where} Run the notebook 01-prepare-data first.") from None
    except OSError as error:
        raise LessonError(f"{path} can't be read: {error.strerror}.") from None


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
        LessonError: the job failed, and the message says why; or there is no job.
    """
    job = job or next(iter(client.fine_tuning.jobs.list(limit=1)), None)
    if job is None:
        raise LessonError("There is no fine-tuning job yet. Run the notebook 02-train first.")
    job = job if isinstance(job, str) else job.id
    watcher = Watcher(client, job, come_back=f"follow(client, {job!r})")
    try:
        current = watcher.watch()
    except KeyboardInterrupt:
        print(f"Training goes on. Come back with:  follow(client, {job!r})")
        print(f"To end it for good:  client.fine_tuning.jobs.cancel({job!r})")
        return watcher.job
    if current.status == "failed":
        raise LessonError(f"The job {current.id} failed: {reason(current)}")
    return current
