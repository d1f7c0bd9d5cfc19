"""Reading Excel files."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from openai_lesson.errors import LessonError
from openai_lesson.prepare.columns import choose
from openai_lesson.prepare.table import Table

# What files of the format before 2007, and those with a password, begin with.
_COMPOUND = bytes.fromhex("D0CF11E0A1B11AE1")


def read_excel(path: Path, prompt: str | None, completion: str | None) -> Table:
    """Read the first sheet of an Excel file.

    Raises:
        LessonError: it is protected by a password, damaged or no Excel file, or its columns can't be told.
    """
    _check(path)
    try:
        with pd.ExcelFile(path, engine="calamine") as book:
            sheets = [str(name) for name in book.sheet_names]
            frame = pd.read_excel(book, header=None, dtype=str, keep_default_na=False, na_values=[])
    except PermissionError:
        raise
    except Exception as error:  # the library has errors of its own for each way in which a file is damaged
        raise LessonError(
            f"{path} can't be read as an Excel file ({error}). Open it in a spreadsheet, and save it as CSV UTF-8."
        ) from None
    if frame.empty:
        raise LessonError(f"The first sheet of {path}, {sheets[0]!r}, is empty. Only the first one is read.")
    return from_cells(frame.fillna(""), path, "XLSX", _note(sheets), prompt, completion)


def from_cells(
    frame: pd.DataFrame, path: Path, form: str, notes: list[str], prompt: str | None, completion: str | None
) -> Table:
    """The table in a frame of texts whose first row is the header."""
    header = [str(cell) for cell in frame.iloc[0]]
    while header and not header[-1]:
        header.pop()
    choice = choose(header, path.name, prompt, completion)
    first = 0 if choice.headless else 1
    prompts, completions = (
        frame[frame.columns[at]].iloc[first:].tolist() for at in (choice.prompt, choice.completion)
    )
    numbers = range(first + 1, first + 1 + len(prompts))
    return Table(prompts, completions, numbers, path.name, form, "row", notes + choice.notes, choice.changes)


def _check(path: Path) -> None:
    with path.open("rb") as file:
        head = file.read(len(_COMPOUND))
        rest = file.read() if head == _COMPOUND else b""
    if "EncryptedPackage".encode("utf-16-le") in rest:
        raise LessonError(f"{path} is protected by a password. Open it in a spreadsheet, and save it without one.")
    if head == _COMPOUND:
        raise LessonError(f"{path} is in Excel's format of before 2007. Save it as XLSX, or as CSV UTF-8.")


def _note(sheets: list[str]) -> list[str]:
    if len(sheets) == 1:
        return []
    return [
        "Your Excel file contains more than one sheet. Only the first one is read: "
        f"{sheets[0]!r}, and not {', '.join(map(repr, sheets[1:]))}"
    ]
