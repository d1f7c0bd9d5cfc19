"""What an analysis finds, and what can be done about it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

Form = Literal["completion", "chat"]
Change = Callable[[str], str]


@dataclass(frozen=True)
class Remedy:
    """What is done to the data: rows are left out, or each text of a column is changed.

    Args:
        words: what is done, in a sentence that begins with a verb.
        drop: positions of rows to leave out.
        column: ``"prompt"`` or ``"completion"``, whose texts change.
        change: from the text as it is to the text as it should be.
        necessary: it is done without asking.
        adds: an ending is put to each text, which has to be known when the model is asked later.
    """

    words: str
    drop: Sequence[int] = ()
    column: str = ""
    change: Change | None = None
    necessary: bool = False
    adds: bool = False


@dataclass(frozen=True)
class Finding:
    """Something that an analysis saw.

    Args:
        code: its name, for programs.
        what: what was seen, in a sentence.
        rows: where, as numbers in the file.
        remedy: what can be done about it, or None where only a person can tell.
    """

    code: str
    what: str
    rows: Sequence[int] = field(default=())
    remedy: Remedy | None = None

    def places(self, most: int = 5) -> str:
        """The first few of the rows, as text."""
        listed = ", ".join(str(number) for number in self.rows[:most])
        return listed + (", …" if len(self.rows) > most else "")
