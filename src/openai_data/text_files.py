"""Reading text files: tables with a delimiter between the cells, and plain lines.

How the characters of a file are written, which sign stands between its cells and which around a text is found out.
"""

import csv
import io
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path

from openai_data.errors import LessonError
from openai_data.table import Choose, Table, choice_of, from_rows

_BYTE_ORDER_MARKS = {BOM_UTF8: "utf-8-sig", BOM_UTF16_LE: "utf-16", BOM_UTF16_BE: "utf-16"}
# Bytes that no character of cp1252 has.
_UNUSED = bytes([0x81, 0x8D, 0x8F, 0x90, 0x9D])

_NAMES = {",": "a comma", ";": "a semicolon", "\t": "a tab", "|": "a vertical bar"}
_SAMPLE = 256 * 1024
_SAMPLE_ROWS = 50
_END = "\x00end\x00"  # put behind the last row: if it is no row of its own then, a quotation mark is open


def find_encoding(path: Path) -> str:
    """How the text in a file is written.

    A mark at the beginning tells UTF-8 and UTF-16. Otherwise it is UTF-8 if all of it is, and cp1252 (what Excel
    writes on Windows) if no part of it can be meant as UTF-8.

    Returns:
        A name that `open` takes: ``utf-8``, ``utf-8-sig``, ``utf-16``, ``utf-16-le``, ``utf-16-be`` or ``cp1252``.

    Raises:
        LessonError: it is no text, or is written in two ways at once.
    """
    with path.open("rb") as file:
        head = file.read(4096)
    for mark, name in _BYTE_ORDER_MARKS.items():
        if head.startswith(mark):
            return name
    even, odd = head[0::2].count(0), head[1::2].count(0)  # in UTF-16, every other byte of western text is zero
    if len(head) >= 8 and max(even, odd) > 0.4 * len(head) / 2 and min(even, odd) == 0:
        return "utf-16-le" if odd else "utf-16-be"
    return _utf8_or_cp1252(path)


def _utf8_or_cp1252(path: Path) -> str:
    """Line by line, since where some lines are UTF-8 and others are not, neither reading is right."""
    foreign, other = 0, 0
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if b"\x00" in line:
                raise _no_text(path)
            if line.isascii():
                continue
            try:
                line.decode("utf-8")
                other = other or number
            except UnicodeDecodeError:
                foreign = foreign or number
                if line.translate(None, _UNUSED) != line:
                    raise _no_text(path) from None
    if other and foreign:
        raise LessonError(
            f"{path} is written in two ways: line {other} is UTF-8, but line {foreign} is not. It was put "
            "together from two files, it seems. Open both in an editor, save each as UTF-8, and join them again."
        )
    return "cp1252" if foreign else "utf-8"


def _no_text(path: Path) -> LessonError:
    return LessonError(
        f"{path} is not a text file: it holds bytes that no text has. Does it come from a spreadsheet? Then "
        "save it as CSV."
    )


def read_lines(path: Path, _: Choose) -> Table:
    """Read a text file: each line is a completion, and there are no prompts."""
    with path.open(encoding=find_encoding(path)) as file:
        lines = file.read().split("\n")
    return Table([""] * len(lines), lines, range(1, len(lines) + 1), path.name, "TXT", "line")


def read_delimited(path: Path, choose: Choose) -> Table:
    """Read a CSV or TSV file. Raises `LessonError` if rows or quotation marks are broken, or columns unclear."""
    encoding, form = find_encoding(path), path.suffix[1:].upper()
    usual = "\t" if form == "TSV" else ","
    csv.field_size_limit(2**31 - 1)  # a cell that is too long is refused later, with its row
    dialect = _dialect(path, encoding, usual)
    choice = choose(dialect.rows[0])
    notes = [] if encoding.startswith("utf-8") else [f"The file is not UTF-8. It was read as {encoding}"]
    if dialect.delimiter != usual:
        notes.append(f"The cells are separated by {_NAMES[dialect.delimiter]}")
    if dialect.quote != '"':
        notes.append(f"Texts stand between {dialect.quote} and {dialect.quote}")
    with path.open(encoding=encoding, newline="") as file:
        rows = _checked(dialect.reader(chain(file, [_END])), path, dialect)
        table = from_rows(islice(rows, dialect.blank, None), choice, dialect.blank + 1, path.name, form, notes)
    if not len(table):
        raise LessonError(f"{path} has a header and no rows of data. Put an example into each row.")
    return table


@dataclass
class _Dialect:
    """How a table is written, and its first rows. `blank` empty lines stand before them."""

    delimiter: str
    quote: str
    blank: int = 0
    rows: list[list[str]] = field(default_factory=list)

    def reader(self, lines: Iterable[str]) -> Iterator[list[str]]:
        """The cells of rows; a row without any is empty."""
        return csv.reader(lines, delimiter=self.delimiter, quotechar=self.quote)

    def score(self) -> float:
        """How much this looks like a table: quotes that fit, rows of equal length, columns with known names."""
        # If ' is a quotation mark here, no cell keeps one at an end.
        kept = self.quote == "'" and any("'" in (cell[:1], cell[-1:]) for row in self.rows for cell in row)
        if kept or len(self.rows[0]) < 2:
            return 0.0
        even = sum(len(row) == len(self.rows[0]) for row in self.rows) / len(self.rows)
        try:
            known = not choice_of(self.rows[0], "").notes
        except LessonError:
            known = False
        return 1.0 + even + known


def _dialect(path: Path, encoding: str, usual: str) -> _Dialect:
    """Delimiter and quotation mark, by which of them make the most even table."""
    with path.open(encoding=encoding, newline="") as file:
        text = file.read(_SAMPLE)
    signs = sorted(_NAMES, key=lambda sign: sign != usual)
    found = [_Dialect(delimiter, quote) for delimiter in signs for quote in ('"', "'")]
    for dialect in found:
        rows = list(islice(dialect.reader(io.StringIO(text, newline="")), _SAMPLE_ROWS))
        if len(text) == _SAMPLE and 1 < len(rows) < _SAMPLE_ROWS:
            rows.pop()  # it may be cut off
        dialect.blank = next((number for number, row in enumerate(rows) if row), 0)
        dialect.rows = [row for row in rows if row]
    if not found[0].rows:
        raise LessonError(f"{path} has no rows. Put the names of the columns into the first row.")
    return max(found, key=_Dialect.score)  # the first of several that are as good


def _checked(rows: Iterable[list[str]], path: Path, dialect: _Dialect) -> Iterator[list[str]]:
    """The rows up to the one that marks the end, if none has more cells than the header."""
    width, number = len(dialect.rows[0]), 0
    for number, row in enumerate(rows, 1):
        if len(row) < width and row == [_END]:
            return
        if len(row) > width and any(row[width:]) and not row[-1].endswith(_END):
            raise LessonError(
                f"Row {number} of {path} has {len(row)} cells, but the header has {width}. A text that holds "
                f'{_NAMES[dialect.delimiter]} must stand between quotation marks:  "…"'
            )
        yield row
    raise LessonError(
        f"In {path}, a quotation mark opens in row {number} and is never closed. Close it, or delete it."
    )
