"""Reading Excel files."""

from __future__ import annotations

import re
import struct
import zipfile
import zlib
from pathlib import Path

import pandas as pd

from openai_data.columns import choose
from openai_data.errors import LessonError
from openai_data.table import Table

# What files of the format before 2007, and those with a password, begin with.
_COMPOUND = bytes.fromhex("D0CF11E0A1B11AE1")
_PLACE = re.compile(rb"""\br\s*=\s*["']([A-Z]{1,3})([0-9]{1,7})["']""")
"""The place of a cell, such as B12, in a sheet's XML."""
_LONGEST_PLACE, _LONGEST_WHY = 40, 200
_UNPACKED_PER_BYTE, _MUCH = 60, 50_000_000
"""A file may unpack to so many times its bytes, and to so many in any case."""
_CELLS_PER_BYTE, _MANY_CELLS = 1, 5_000_000
"""The same for the cells of a sheet, of which the empty ones between others take memory too."""


def read_excel(path: Path, prompt: str | None, completion: str | None) -> Table:
    """Read the first sheet of an Excel file.

    Raises:
        LessonError: it is protected by a password, damaged or no Excel file, or its columns can't be told.
    """
    _check(path)
    _check_size(path)
    try:
        with pd.ExcelFile(path, engine="calamine") as book:
            sheets = [str(name) for name in book.sheet_names]
            frame = pd.read_excel(book, header=None, dtype=str, keep_default_na=False, na_values=[])
    except PermissionError:
        raise
    except Exception as error:  # the library has errors of its own for each way in which a file is damaged
        raise _no_book(path, str(error)) from None
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


def _check_size(path: Path) -> None:
    """Refuse a file that is small only as long as it is packed, or whose cells are few but far apart."""
    packed = path.stat().st_size
    try:
        with zipfile.ZipFile(path) as archive:
            if "xl/workbook.xml" not in archive.namelist():
                raise _NoWorkbookError
            room = _UNPACKED_PER_BYTE * packed + _MUCH
            for member in archive.infolist():
                room -= _unpacked(archive, member, path, room)
    except (_NoWorkbookError, EOFError, NotImplementedError, OSError, RuntimeError, ValueError) as error:
        raise _no_book(path, str(error)) from None
    except (zipfile.BadZipFile, zlib.error, struct.error, UnicodeDecodeError) as error:
        raise _no_book(path, str(error)) from None


def _unpacked(archive: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path, room: int) -> int:
    """How many bytes a member really has, whatever the archive says of it."""
    member.file_size, size, rows, columns, rest = room + 1, 0, 0, 0, b""
    sheet = member.filename.startswith("xl/worksheets/")
    with archive.open(member) as file:
        while block := file.read(1 << 20):
            size += len(block)
            if size > room:
                raise LessonError(f"{path} would fill the memory when it is unpacked. Save it as CSV UTF-8.")
            if sheet:
                text = rest + block
                for letters, number in _PLACE.findall(text):
                    rows, columns = max(rows, int(number)), max(columns, _column(letters))
                rest = text[-_LONGEST_PLACE:]
    if rows * columns > _CELLS_PER_BYTE * size + _MANY_CELLS:
        raise LessonError(
            f"{path} has cells very far from the others, up to row {rows:,} and column {columns:,}. Delete them, "
            "or copy the table into a new sheet."
        )
    return size


def _column(letters: bytes) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + letter - 64
    return number


def _no_book(path: Path, why: str) -> LessonError:
    brief = why if len(why) <= _LONGEST_WHY else f"{why[:_LONGEST_WHY]}…"  # it may hold what stands in the file
    return LessonError(
        f"{path} can't be read as an Excel file ({brief}). Open it in a spreadsheet, and save it as CSV UTF-8."
    )


class _NoWorkbookError(Exception):
    def __str__(self) -> str:
        return "it holds no workbook"


def _note(sheets: list[str]) -> list[str]:
    if len(sheets) == 1:
        return []
    return [
        "Your Excel file contains more than one sheet. Only the first one is read: "
        f"{sheets[0]!r}, and not {', '.join(map(repr, sheets[1:]))}"
    ]
