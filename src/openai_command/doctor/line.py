"""One line of the doctor: what was looked at, how it is, and the command that mends it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """How something is. Only `WRONG` keeps the lesson from working."""

    OK = "OK"
    WARNING = "WARNING"
    WRONG = "WRONG"


@dataclass(frozen=True)
class Line:
    """A state, a sentence or two, and a command for a terminal (empty: nothing to mend)."""

    state: State
    text: str
    mend: str = ""

    def __str__(self) -> str:
        """As it is printed."""
        mend = f"  Mend it:  {self.mend}" if self.mend else ""
        return f"{self.state:<7}  {self.text}{mend}"


def ok(text: str) -> Line:
    """All is well."""
    return Line(State.OK, text)


def warning(text: str, mend: str = "") -> Line:
    """It may go wrong, or will be slow."""
    return Line(State.WARNING, text, mend)


def wrong(text: str, mend: str = "") -> Line:
    """The lesson will not work so."""
    return Line(State.WRONG, text, mend)
