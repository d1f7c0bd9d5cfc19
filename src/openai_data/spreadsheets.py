"""Reading the tables of Excel files and of web pages."""

import re
import zipfile
from functools import reduce
from pathlib import Path

import pandas as pd
from lxml import etree, html

from openai_data.errors import LessonError
from openai_data.table import Choose, Table, from_rows
from openai_data.text_files import find_encoding

# What files of the format before 2007, and those with a password, begin with.
_COMPOUND = bytes.fromhex("D0CF11E0A1B11AE1")
_PLACE = re.compile(rb"""\br\s*=\s*["']([A-Z]{1,3})([0-9]{1,7})["']""")
"""The place of a cell, such as B12, in a sheet's XML."""
_LONGEST_PLACE, _LONGEST_WHY = 40, 200
_UNPACKED_PER_BYTE, _MUCH = 60, 50_000_000
"""A file may unpack to so many times its bytes, and to so many in any case."""
_CELLS_PER_BYTE, _MANY_CELLS = 1, 5_000_000
"""The same for the cells of a sheet, of which the empty ones between others take memory too."""


def read_excel(path: Path, choose: Choose) -> Table:
    """Read the first sheet of an Excel file.

    Raises:
        LessonError: it is protected by a password, damaged or no Excel file, or its columns can't be told.
    """
    _check_format(path)
    try:
        _check_size(path)
        with pd.ExcelFile(path, engine="calamine") as book:
            sheets = [str(name) for name in book.sheet_names]
            frame = pd.read_excel(book, header=None, dtype=str, keep_default_na=False, na_values=[])
    except (LessonError, PermissionError):
        raise
    except Exception as error:  # the libraries have errors of their own for each way in which a file is damaged
        why = str(error)[:_LONGEST_WHY] + "…" * (len(str(error)) > _LONGEST_WHY)  # of the file's own
        raise LessonError(
            f"{path} can't be read as an Excel file ({why}). Open it in a spreadsheet, and save it as CSV UTF-8."
        ) from None
    if frame.empty:
        raise LessonError(f"The first sheet of {path}, {sheets[0]!r}, is empty. Only the first one is read.")
    notes = []
    if len(sheets) > 1:
        notes.append(
            "Your Excel file contains more than one sheet. Only the first one is read: "
            f"{sheets[0]!r}, and not {', '.join(map(repr, sheets[1:]))}"
        )
    return _table(frame.fillna("").to_numpy().tolist(), path, "XLSX", notes, choose)


def read_page(path: Path, choose: Choose) -> Table:
    """Read the longest table of a web page that has two columns or more.

    Raises:
        LessonError: the page has none, or its columns can't be told.
    """
    text = path.read_text(encoding=find_encoding(path))
    try:
        page = html.document_fromstring(text)
    except etree.ParserError:  # there is nothing in it
        page = html.document_fromstring("<html/>")
    tables = [_texts(table) for table in page.iter("table")]
    tables = [rows for rows in tables if len(rows) > 1 and max(map(len, rows)) >= 2]
    if not tables:
        raise LessonError(f"{path.name} has no table with two columns. Copy the text into a spreadsheet instead.")
    notes = [] if len(tables) == 1 else [f"The page has {len(tables)} tables. The longest was taken"]
    return _table(max(tables, key=len), path, "HTML", notes, choose)


def _texts(table: html.HtmlElement) -> list[list[str]]:
    """The texts of a table's cells, row by row, with single spaces."""
    rows = ([cell for cell in row if cell.tag in ("td", "th")] for row in table.iter("tr"))
    return [[" ".join(cell.text_content().split()) for cell in row] for row in rows if row]


def _table(rows: list[list[str]], path: Path, form: str, notes: list[str], choose: Choose) -> Table:
    """The table in rows of texts, of which the first is the header."""
    header = rows[0]
    while header and not header[-1]:
        header.pop()
    return from_rows(rows, choose(header), 1, path.name, form, notes)


def _check_format(path: Path) -> None:
    with path.open("rb") as file:
        head = file.read(len(_COMPOUND))
        rest = file.read() if head == _COMPOUND else b""
    if "EncryptedPackage".encode("utf-16-le") in rest:
        raise LessonError(f"{path} is protected by a password. Open it in a spreadsheet, and save it without one.")
    if head == _COMPOUND:
        raise LessonError(f"{path} is in Excel's format of before 2007. Save it as XLSX, or as CSV UTF-8.")


def _check_size(path: Path) -> None:
    """Refuse a file that is small only as long as it is packed, or whose cells are few but far apart."""
    room = _UNPACKED_PER_BYTE * path.stat().st_size + _MUCH
    with zipfile.ZipFile(path) as archive:
        if "xl/workbook.xml" not in archive.namelist():
            raise zipfile.BadZipFile("it holds no workbook")
        for member in archive.infolist():
            room -= _unpacked(archive, member, path, room)


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
                    column = reduce(lambda sum_, letter: sum_ * 26 + letter - 64, letters, 0)  # A is 1, AA is 27
                    rows, columns = max(rows, int(number)), max(columns, column)
                rest = text[-_LONGEST_PLACE:]
    if rows * columns > _CELLS_PER_BYTE * size + _MANY_CELLS:
        raise LessonError(
            f"{path} has cells very far from the others, up to row {rows:,} and column {columns:,}. Delete them, "
            "or copy the table into a new sheet."
        )
    return size
