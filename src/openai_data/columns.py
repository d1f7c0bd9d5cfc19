"""Which columns of a file are the prompt and the completion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from openai_data.errors import LessonError
from openai_figures import visible

# What people call the two, in the order in which they are looked for.
_PAIRS = (
    ("prompt", "completion"),
    ("question", "answer"),
    ("questions", "answers"),
    ("q", "a"),
    ("header", "content"),
    ("heading", "content"),
    ("title", "content"),
    ("input", "output"),
    ("instruction", "output"),
    ("instruction", "response"),
    ("prompt", "response"),
    ("question", "response"),
    ("source", "target"),
    ("text", "label"),
    ("term", "definition"),
    ("user", "assistant"),
)
_WORDS_OF_A_TEXT = 6
_SHOWN, _LONGEST_NAME = 50, 200


@dataclass(frozen=True)
class Choice:
    """The positions of the two columns, and what is to be said about that.

    `headless` means that the first row is no header but data.
    """

    prompt: int
    completion: int
    headless: bool = False
    notes: list[str] = field(default_factory=list)
    changes: list[str] = field(default_factory=list)


def choose(header: Sequence[str], name: str, prompt: str | None = None, completion: str | None = None) -> Choice:
    """Choose the columns by what the user said, by their names, or by position where there are two.

    Args:
        header: the names of all columns.
        name: the file's, for messages.
        prompt: the column that the user chose for the prompt, if any.
        completion: the same for the completion.

    Raises:
        LessonError: it can't be told which they are.
    """
    if prompt or completion:
        return _by_wish(header, name, prompt, completion)
    if len(header) < 2:
        raise LessonError(
            f"{name} has only one column ({', '.join(_brief(header)) or 'without a name'}). Two are needed: the "
            "prompt (the question) and the completion (the answer). Is there another sign between them than a "
            "comma?"
        )
    return _by_name(header, name) or _by_position(header, name)


def _plain(text: str) -> str:
    return text.strip().lower()


def _by_wish(header: Sequence[str], name: str, prompt: str | None, completion: str | None) -> Choice:
    found = _by_name(header, name) if not (prompt and completion) else None
    first = _position(header, prompt, name) if prompt else (found.prompt if found else None)
    second = _position(header, completion, name) if completion else (found.completion if found else None)
    if first is None or second is None:
        option = "--prompt-column" if first is None else "--completion-column"
        raise LessonError(
            f"Name the other column of {name} too:  {option} NAME. Its columns are: {_list(header)}."
        )
    if first == second:
        raise LessonError(f"The prompt and the completion can't both be the column {_short(header[first])!r}.")
    return Choice(first, second, changes=_changes(header, first, second))


def _position(header: Sequence[str], wanted: str, name: str) -> int:
    """A column by its name or its number, counted from 1."""
    found = [i for i, column in enumerate(header) if column == wanted]
    found = found or [i for i, column in enumerate(header) if _plain(column) == _plain(wanted)]
    if not found and wanted.isdecimal() and 1 <= int(wanted) <= len(header):
        found = [int(wanted) - 1]
    if not found:
        raise LessonError(f"{name} has no column {wanted!r}. Its columns are: {_list(header)}.")
    _refuse_twins(header, found, name)
    return found[0]


def _by_name(header: Sequence[str], name: str) -> Choice | None:
    plain = [_plain(column) for column in header]
    for first, second in _PAIRS:
        if first in plain and second in plain:
            for wanted in (first, second):
                _refuse_twins(header, [i for i, column in enumerate(plain) if column == wanted], name)
            positions = plain.index(first), plain.index(second)
            return Choice(*positions, changes=_changes(header, *positions))
    return None


def _refuse_twins(header: Sequence[str], found: list[int], name: str) -> None:
    if len(found) > 1:
        places = " and ".join(str(i + 1) for i in found[:_SHOWN])
        raise LessonError(
            f"{name} has {len(found)} columns called {_short(header[found[0]])!r} (columns {places}). Give one of "
            "them another name, or delete it."
        )


def _by_position(header: Sequence[str], name: str) -> Choice:
    missing = [wanted for wanted in ("prompt", "completion") if wanted not in map(_plain, header)]
    if len(header) > 2 or len(missing) == 1:
        raise LessonError(
            f"{name} has no column {' and no column '.join(missing)}. Its columns are: {_list(header)}. Say which "
            "ones to take:  --prompt-column NAME --completion-column NAME"
        )
    if any(map(_looks_like_data, header)):
        note = f"{name} has no header: its first row was taken as data, its first column as the prompt"
        return Choice(0, 1, headless=True, notes=[note])
    note = (
        f"The first column, {_short(header[0])!r}, was taken as the prompt, the second, {_short(header[1])!r}, as "
        "the completion"
    )
    return Choice(0, 1, notes=[note], changes=_changes(header, 0, 1))


def _looks_like_data(cell: str) -> bool:
    return cell.rstrip().endswith(("?", ".", "!")) or len(cell.split()) >= _WORDS_OF_A_TEXT


def _changes(header: Sequence[str], prompt: int, completion: int) -> list[str]:
    found = []
    for position, wanted in ((prompt, "prompt"), (completion, "completion")):
        if (given := header[position]) != wanted:
            verb = (
                "Lower case column name to" if _plain(given) == wanted else f"Take column/key `{_short(given)}` as"
            )
            found.append(f"{verb} `{wanted}`")
    if others := [column for i, column in enumerate(header) if i not in (prompt, completion)]:
        found.append(f"Remove additional columns/keys: {_brief(others)}")
    return found


def _brief(columns: Sequence[str]) -> list[str]:
    """The names of columns, as far as somebody would read them."""
    return [_short(column) for column in columns[:_SHOWN]] + [f"and {len(columns) - _SHOWN:,} more"] * (
        len(columns) > _SHOWN
    )


def _short(column: str) -> str:
    """The name of a column in one line, as far as somebody would read it."""
    return visible.line(column if len(column) <= _LONGEST_NAME else f"{column[:_LONGEST_NAME]}…")


def _list(header: Sequence[str]) -> str:
    return ", ".join(repr(column) for column in _brief(header))
