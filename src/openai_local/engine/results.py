"""The table of results: a row per step, with OpenAI's columns of today or those of 2022."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from openai_local.home import write_whole

TODAY = {
    "step": "step",
    "train_loss": "train_loss",
    "train_accuracy": "train_accuracy",
    "valid_loss": "valid_loss",
    "valid_mean_token_accuracy": "valid_accuracy",
}
OF_2022 = {
    "step": "step",
    "elapsed_tokens": "elapsed_tokens",
    "elapsed_examples": "elapsed_examples",
    "training_loss": "train_loss",
    "training_sequence_accuracy": "train_sequence_accuracy",
    "training_token_accuracy": "train_accuracy",
    "validation_loss": "valid_loss",
    "validation_sequence_accuracy": "valid_sequence_accuracy",
    "validation_token_accuracy": "valid_accuracy",
}
"""Column: the name in a row of `Journal.rows`."""


def write_table(path: Path, rows: Iterable[dict[str, Any]], *, of_2022: bool) -> None:
    """Write the rows as CSV, whole or not at all. Several rows for one step are put together.

    In the form of 2022 a column is there only if some row has a value in it, as it was then, and the
    classification metrics follow at the end.
    """
    steps: dict[int, dict[str, Any]] = {}
    for row in rows:
        steps.setdefault(row["step"], {}).update(row)
    columns = dict(OF_2022 if of_2022 else TODAY)
    if of_2022:
        known = {name for row in steps.values() for name in row}
        metrics = (name for row in steps.values() for name in row if name.startswith("classification/"))
        columns = {title: name for title, name in columns.items() if name in known}
        columns |= {name: name for name in dict.fromkeys(metrics)}
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(columns)
    for row in steps.values():
        table.writerow([_cell(row.get(name)) for name in columns.values()])
    write_whole(path, text.getvalue())


def _cell(value: Any) -> Any:
    return f"{value:.5f}" if isinstance(value, float) else value
