"""The questions that a verification asks: the lesson's three sets, or the learner's own tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from openai_lesson import catechism
from openai_lesson.errors import LessonError

Asked = Literal["trained", "base"]


@dataclass(frozen=True)
class Question:
    """A question of a set, and which model is to answer it.

    `shown` stands for the question in everything that is shown. It is the question itself, unless its table has a
    column of that name.
    """

    set: str
    number: int
    prompt: str
    expected: str
    shown: str
    asked: Asked


def lesson_sets() -> dict[str, pd.DataFrame]:
    """The lesson's sets: the Shorter Catechism, its questions in modern English, and what only the Larger asks."""
    return {
        "trained on": catechism.load(),
        "in other words": catechism.paraphrased(),
        "never seen": catechism.unseen(),
    }


def chosen(tables: Mapping[str, pd.DataFrame], asked: Asked, every: int) -> Iterator[Question]:
    """Every so many questions of each table, the first one included.

    Args:
        tables: with the columns ``prompt`` and ``completion``, by their names. ``number`` (if not: counted from
            1) and ``shown`` may be there too.
        asked: which model is to answer.
        every: 1 takes all.

    Raises:
        LessonError: a table lacks a column, has an empty cell, or has no rows.
    """
    for title, table in tables.items():
        _check(title, table)
        numbers = table.number if "number" in table else range(1, len(table) + 1)
        shown = table.shown if "shown" in table else table.prompt
        rows = zip(numbers, table.prompt, table.completion, shown, strict=True)
        for number, prompt, completion, instead in list(rows)[::every]:
            yield Question(title, number, str(prompt), str(completion).strip(), str(instead), asked)


def _check(title: str, table: pd.DataFrame) -> None:
    """Raise a `LessonError` if a table can't be asked."""
    for column in ("prompt", "completion"):
        if column not in table:
            raise LessonError(
                f'The table "{title}" has no column "{column}". Rename the one that is meant:\n'
                f'    table = table.rename(columns={{"its name": "{column}"}})'
            )
        if table[column].isna().any():
            row = int(table[column].isna().to_numpy().argmax()) + 1
            raise LessonError(
                f'The table "{title}" has an empty cell: "{column}" in row {row}. Leave out such rows:\n'
                f'    table = table.dropna(subset=["prompt", "completion"])'
            )
    if table.empty:
        raise LessonError(f'The table "{title}" has no rows, so there is nothing to ask.')
