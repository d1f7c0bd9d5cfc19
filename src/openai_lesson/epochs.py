"""How a training went, epoch by epoch, as a table."""

from __future__ import annotations

from typing import Any

import openai
import pandas as pd
from openai.types.fine_tuning import FineTuningJob

from openai_lesson.errors import LessonError

COLUMNS = ("epoch", "step", "training loss", "validation loss", "tokens right")


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
        },
        columns=list(COLUMNS),
    )
