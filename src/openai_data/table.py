"""The questions and answers of a file as two lists of texts, and which of its columns they are."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import compress

import pandas as pd

from openai_data.errors import LessonError

COLUMNS = ["prompt", "completion"]
# What people call the two, in the order in which they are looked for.
_PAIRS = (
    "prompt completion|question answer|questions answers|q a|header content|heading content|title content|"
    "input output|instruction output|instruction response|prompt response|question response|source target|"
    "text label|term definition|user assistant"
).split("|")
_WORDS_OF_A_TEXT = 6
_SHOWN, _LONGEST_NAME = 50, 200


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

    def keep(self, wanted: Sequence[bool]) -> "Table":
        """The rows for which `wanted` is true."""
        return replace(
            self,
            prompts=list(compress(self.prompts, wanted)),
            completions=list(compress(self.completions, wanted)),
            numbers=list(compress(self.numbers, wanted)),
        )


def from_frame(frame: pd.DataFrame) -> Table:
    """The table in a data frame. Raises `LessonError` if that lacks the column ``prompt`` or ``completion``."""
    if missing := [column for column in COLUMNS if column not in frame.columns]:
        found = ", ".join(map(str, frame.columns))
        raise LessonError(f"The table has no column {' and no column '.join(missing)}. Its columns are: {found}.")
    prompts, completions = (frame[column].fillna("").astype(str).tolist() for column in COLUMNS)
    return Table(prompts, completions, range(2, len(frame) + 2), "table", "table")


@dataclass(frozen=True)
class Choice:
    """The positions of the two columns in a header, and what had to be decided.

    `headless` means that the first row is no header but data.
    """

    header: Sequence[str]
    prompt: int
    completion: int
    notes: list[str] = field(default_factory=list)
    headless: bool = False

    def changes(self) -> list[str]:
        """What is done to the columns."""
        found = []
        positions = self.prompt, self.completion
        for wanted, given in zip(COLUMNS, [self.header[position] for position in positions], strict=True):
            if _plain(given) != wanted:
                found.append(f"Take column/key `{_short(given)}` as `{wanted}`")
            elif given != wanted:
                found.append(f"Lower case column name to `{wanted}`")
        if others := [column for position, column in enumerate(self.header) if position not in positions]:
            found.append(f"Remove additional columns/keys: {_brief(others)}")
        return [] if self.headless else found


def from_rows(
    rows: Iterable[Sequence[str]], choice: Choice, first: int, name: str, form: str, notes: list[str]
) -> Table:
    """The table in rows of cells, from the header on, which is row `first` of the file.

    The rows need not be equally long: a cell that one lacks is empty.
    """
    prompts, completions = [], []
    for row in rows:
        prompts.append(row[choice.prompt] if choice.prompt < len(row) else "")
        completions.append(row[choice.completion] if choice.completion < len(row) else "")
    if not choice.headless:
        del prompts[0], completions[0]
        first += 1
    numbers = range(first, first + len(prompts))
    return Table(prompts, completions, numbers, name, form, "row", notes + choice.notes, choice.changes())


Choose = Callable[[Sequence[str]], Choice]
"""Chooses the columns by the header, as `choice_of` does with what the user said."""


def choice_of(
    header: Sequence[str], name: str, prompt: str | None = None, completion: str | None = None
) -> Choice:
    """Choose the columns by what the user said, by their names, or by position where there are two.

    Args:
        header: the names of all columns.
        name: the file's, for messages.
        prompt: the name or number of the column that the user wants as the prompt, if any.
        completion: the same for the completion.

    Raises:
        LessonError: it can't be told which they are.
    """
    plain = list(map(_plain, header))
    known = next((pair for pair in map(str.split, _PAIRS) if set(pair) <= set(plain)), (None, None))
    if not (prompt or completion or known[0]):
        return _by_position(header, name)
    first, second = (
        _position(header, wish, name) if wish else _only(header, plain, usual, name) if usual else None
        for wish, usual in zip((prompt, completion), known, strict=True)
    )
    if first is None or second is None:
        option = "--prompt-column" if first is None else "--completion-column"
        raise LessonError(
            f"Name the other column of {name} too:  {option} NAME. Its columns are: {_list(header)}."
        )
    if first == second:
        raise LessonError(f"The prompt and the completion can't both be the column {_short(header[first])!r}.")
    return Choice(header, first, second)


def _position(header: Sequence[str], wanted: str, name: str) -> int:
    """A column by its name or its number, counted from 1."""
    if wanted in header:
        return _only(header, header, wanted, name)
    plain = list(map(_plain, header))
    if _plain(wanted) in plain:
        return _only(header, plain, _plain(wanted), name)
    if wanted.isdecimal() and 1 <= int(wanted) <= len(header):
        return int(wanted) - 1
    raise LessonError(f"{name} has no column {wanted!r}. Its columns are: {_list(header)}.")


def _only(header: Sequence[str], names: Sequence[str], wanted: str, name: str) -> int:
    """The position of a name that must be there once."""
    found = [position for position, column in enumerate(names) if column == wanted]
    if len(found) > 1:
        places = " and ".join(str(position + 1) for position in found[:_SHOWN])
        raise LessonError(
            f"{name} has {len(found)} columns called {_short(header[found[0]])!r} (columns {places}). Give one of "
            "them another name, or delete it."
        )
    return found[0]


def _by_position(header: Sequence[str], name: str) -> Choice:
    if len(header) < 2:
        raise LessonError(
            f"{name} has only one column ({', '.join(_brief(header)) or 'without a name'}). Two are needed: the "
            "prompt (the question) and the completion (the answer). Is there another sign between them than a "
            "comma?"
        )
    missing = [wanted for wanted in COLUMNS if wanted not in map(_plain, header)]
    if len(header) > 2 or len(missing) == 1:
        raise LessonError(
            f"{name} has no column {' and no column '.join(missing)}. Its columns are: {_list(header)}. Say which "
            "ones to take:  --prompt-column NAME --completion-column NAME"
        )
    if any(cell.rstrip().endswith(("?", ".", "!")) or len(cell.split()) >= _WORDS_OF_A_TEXT for cell in header):
        note = f"{name} has no header: its first row was taken as data, its first column as the prompt"
        return Choice(header, 0, 1, [note], headless=True)
    first, second = map(_short, header)
    note = f"The first column, {first!r}, was taken as the prompt, the second, {second!r}, as the completion"
    return Choice(header, 0, 1, [note])


def _plain(text: str) -> str:
    return text.strip().lower()


def _short(column: str) -> str:
    """The name of a column in one line, as far as somebody would read it."""
    from openai_figures import visible  # few files have names of which something has to be said

    return visible.line(column if len(column) <= _LONGEST_NAME else f"{column[:_LONGEST_NAME]}…")


def _brief(columns: Sequence[str]) -> list[str]:
    """The names of columns, as far as somebody would read them."""
    more = [f"and {len(columns) - _SHOWN:,} more"] if len(columns) > _SHOWN else []
    return [*map(_short, columns[:_SHOWN]), *more]


def _list(header: Sequence[str]) -> str:
    return ", ".join(map(repr, _brief(header)))
