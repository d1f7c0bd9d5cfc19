"""The questions and answers of a file, as two lists of texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pandas as pd

from openai_data.errors import LessonError

COLUMNS = ["prompt", "completion"]


@dataclass
class Table:
    """Prompts and completions, row by row.

    Lists of texts rather than a data frame: a million rows are read, looked at and written in seconds.

    Args:
        prompts: the questions; all empty where a file holds answers only.
        completions: the answers, as many.
        numbers: where each row stands in the file, as `unit` counts it.
        name: the file's name.
        format: what the file is: ``CSV``, ``JSONL`` …
        unit: ``"row"`` (the header is row 1) or ``"line"``.
        notes: what had to be decided to read the file, in sentences.
        changes: what was done to the columns, in sentences that begin with a verb.
    """

    prompts: list[str]
    completions: list[str]
    numbers: Sequence[int]
    name: str
    format: str
    unit: str = "row"
    notes: list[str] = field(default_factory=list)
    changes: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        """How many rows there are."""
        return len(self.prompts)

    def frame(self) -> pd.DataFrame:
        """The table as a data frame with the columns ``prompt`` and ``completion``."""
        return pd.DataFrame({"prompt": self.prompts, "completion": self.completions}, dtype="object")

    def keep(self, wanted: Sequence[bool]) -> Table:
        """The rows for which `wanted` is true."""
        chosen = [position for position, want in enumerate(wanted) if want]
        return Table(
            [self.prompts[position] for position in chosen],
            [self.completions[position] for position in chosen],
            [self.numbers[position] for position in chosen],
            self.name,
            self.format,
            self.unit,
            self.notes,
            self.changes,
        )


def from_frame(frame: pd.DataFrame) -> Table:
    """The table in a data frame with the columns ``prompt`` and ``completion``.

    Raises:
        LessonError: it lacks one of them.
    """
    if missing := [column for column in COLUMNS if column not in frame.columns]:
        found = ", ".join(map(str, frame.columns))
        raise LessonError(f"The table has no column {' and no column '.join(missing)}. Its columns are: {found}.")
    prompts, completions = (frame[column].fillna("").astype(str).tolist() for column in COLUMNS)
    return Table(prompts, completions, range(2, len(frame) + 2), "table", "table")
