"""Fine-tuning with one call each: start it, follow it, look at its losses, take the model home.

`start` is what a learner has done by hand: `client.files.create`, then `client.fine_tuning.jobs.create`. `follow`
asks for the job and its events again and again, as a learner did in a loop, and draws what it hears.
"""

import os
import re
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import openai
import pandas as pd
from openai.types.fine_tuning import FineTuningJob

from openai_data.errors import LessonError
from openai_data.local_cli import output
from openai_lesson.connection import found_here, host, is_local, is_openai
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


def history(client: openai.OpenAI, job: FineTuningJob | str) -> pd.DataFrame:
    """The losses of a job at the end of each epoch.

    Args:
        client: from `connect`.
        job: a job that is over, or its id.

    Returns:
        A table with the columns ``epoch``, ``step``, ``training loss`` (the mean of the epoch's steps, in nats per
        token), ``validation loss`` (over all validation examples after the epoch; missing without a validation
        file) and ``tokens right`` (the share of the answers' tokens that were the likeliest, from 0 to 1).

    Raises:
        LessonError: the job has no steps yet.
    """
    job = client.fine_tuning.jobs.retrieve(job if isinstance(job, str) else job.id)
    steps: dict[int, dict[str, Any]] = {}
    for event in client.fine_tuning.jobs.list_events(job.id, limit=100):
        if isinstance(event.data, dict) and "step" in event.data:
            steps.setdefault(int(event.data["step"]), {}).update(event.data)
    epochs = job.hyperparameters.n_epochs
    if not steps or not isinstance(epochs, int):
        raise LessonError(f"The job {job.id} has not taken a step yet. Wait for it:  follow(client, {job.id!r})")
    table = pd.DataFrame(steps.values()).set_index("step").sort_index()
    for name in ("train_loss", "full_valid_loss", "train_mean_token_accuracy"):
        if name not in table:
            table[name] = float("nan")
    length = max(1, int(table.get("total_steps", table.index.to_series()).max()) // epochs)
    groups = table.groupby((table.index - 1) // length + 1)
    return pd.DataFrame(
        {
            "epoch": list(groups.groups),
            "step": groups.apply(lambda part: part.index.max()).to_numpy(),
            "training loss": groups["train_loss"].mean().round(4).to_numpy(),
            "validation loss": groups["full_valid_loss"].last().round(4).to_numpy(),
            "tokens right": groups["train_mean_token_accuracy"].mean().round(4).to_numpy(),
        }
    )


Format = Literal["gguf", "peft", "merged"]
"""``gguf``: for Ollama and llama.cpp. ``peft``: a LoRA adapter, for transformers and vLLM. ``merged``: one model
that is whole."""


def export(
    model: str, format: Format = "gguf", to: str | os.PathLike[str] = "my-model", *, replace: bool = False
) -> None:
    """Write a model that was trained on this machine into a new folder, with a model card.

    It prints where the folder is, how large, and how to serve it. At another host it only says that there is
    nothing to take home, so that a notebook runs there to its end.

    Args:
        model: its name, or that of a checkpoint.
        format: see `Format`.
        to: the folder to make.
        replace: whether a folder that an earlier export made may be replaced.

    Raises:
        LessonError: there is no such model, or the folder can't be written. The message says what to type instead.
    """
    if elsewhere := _other_host():
        print(f"{elsewhere} does not hand models out. You can take home what was trained on this machine.")
        if elsewhere != "OpenAI":
            print(f"If it is your class's, ask your instructor, who can:  openai-local export {model} --to DIR")
        return
    words = ["export", model, "--format", format, "--to", os.fspath(to)]
    print(output(*words, *(["--replace"] if replace else [])))


def _other_host() -> str | None:
    """What the host is called that notebooks speak to; None for the service on this machine."""
    url = os.environ.get("OPENAI_BASE_URL", "")
    name = urlsplit(url).hostname or ""
    if not url or found_here(url) or is_local(name):
        return None
    return "OpenAI" if is_openai(name) else name
