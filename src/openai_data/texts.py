"""Reading text files: tables with a delimiter between the cells, and plain lines."""

from __future__ import annotations

import csv
import io
import re
import warnings
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import pandas as pd

from openai_data.columns import choose
from openai_data.encoding import find_encoding
from openai_data.errors import LessonError
from openai_data.table import Table

_NAMES = {",": "a comma", ";": "a semicolon", "\t": "a tab", "|": "a vertical bar"}
_SAMPLE = 256 * 1024
_SAMPLE_ROWS = 50
_CELLS_PER_BYTE, _MANY_CELLS = 5, 5_000_000
"""A cell takes at least the sign behind it, but a cell may hold lines that look like rows."""


def read_lines(path: Path, prompt: str | None, completion: str | None) -> Table:
    """Read a text file: each line is a completion, and there are no prompts."""
    with path.open(encoding=find_encoding(path)) as file:
        lines = file.read().split("\n")
    return Table([""] * len(lines), lines, range(1, len(lines) + 1), path.name, "TXT", "line")


def read_delimited(path: Path, prompt: str | None, completion: str | None) -> Table:
    """Read a CSV or TSV file.

    Raises:
        LessonError: rows or quotation marks are broken, or the columns can't be told.
    """
    encoding = find_encoding(path)
    form = path.suffix[1:].upper()
    dialect = _dialect(path, encoding, "\t" if form == "TSV" else ",")
    choice = choose(dialect.rows[0], path.name, prompt, completion)
    _check_second(path, dialect)
    _check_width(path, len(dialect.rows[0]))
    frame = _parse(path, encoding, dialect, headless=choice.headless)
    prompts, completions = (frame.iloc[:, at].tolist() for at in (choice.prompt, choice.completion))
    first = dialect.blank + (1 if choice.headless else 2)
    notes = _notes(encoding, dialect, form) + choice.notes
    numbers = range(first, first + len(prompts))
    return Table(prompts, completions, numbers, path.name, form, "row", notes, choice.changes)


@dataclass(frozen=True)
class _Dialect:
    """How a table is written, and its first rows. `blank` empty lines stand before them."""

    delimiter: str
    quote: str
    blank: int
    rows: list[list[str]]

    def score(self) -> float:
        """How much this looks like a table: quotes that fit, rows of equal length, columns with known names."""
        if len(self.rows[0]) < 2 or (self.quote == "'" and not self._single_quotes_fit()):
            return 0.0
        even = sum(len(row) == len(self.rows[0]) for row in self.rows) / len(self.rows)
        try:
            known = not choose(self.rows[0], "").notes
        except LessonError:
            known = False
        return 1.0 + even + known

    def _single_quotes_fit(self) -> bool:
        """Whether no cell keeps an apostrophe at an end, as it would if ' were no quotation mark here."""
        return not any(cell.startswith("'") or cell.endswith("'") for row in self.rows for cell in row)


def _dialect(path: Path, encoding: str, usual: str) -> _Dialect:
    """Delimiter and quotation mark, by which of them make the most even table."""
    with path.open(encoding=encoding, newline="") as file:
        text = file.read(_SAMPLE)
    signs = sorted(_NAMES, key=lambda sign: sign != usual)
    found = [_sample(text, delimiter, quote) for delimiter in signs for quote in ('"', "'")]
    if not found[0].rows:
        raise LessonError(f"{path} has no rows. Put the names of the columns into the first row.")
    return max(found, key=_Dialect.score)  # the first of several that are as good


def _sample(text: str, delimiter: str, quote: str) -> _Dialect:
    csv.field_size_limit(max(csv.field_size_limit(), _SAMPLE))
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, quotechar=quote)
    rows = list(islice(reader, _SAMPLE_ROWS))
    if len(text) == _SAMPLE and 1 < len(rows) < _SAMPLE_ROWS:
        rows.pop()  # it may be cut off
    blank = next((number for number, row in enumerate(rows) if row), 0)
    return _Dialect(delimiter, quote, blank, [row for row in rows if row])


def _notes(encoding: str, dialect: _Dialect, form: str) -> list[str]:
    found = []
    if not encoding.startswith("utf-8"):
        found.append(f"The file is not UTF-8. It was read as {encoding}")
    if dialect.delimiter != ("\t" if form == "TSV" else ","):
        found.append(f"The cells are separated by {_NAMES[dialect.delimiter]}")
    if dialect.quote != '"':
        found.append(f"Texts stand between {dialect.quote} and {dialect.quote}")
    return found


def _check_second(path: Path, dialect: _Dialect) -> None:
    """pandas takes the first row of data as the measure for the others, even against the header."""
    width = len(dialect.rows[0])
    if any(any(row[width:]) for row in dialect.rows[1:2]):
        raise _uneven(path, dialect.blank + 2, width, len(dialect.rows[1]), dialect.delimiter)


def _check_width(path: Path, width: int) -> None:
    """pandas makes a cell for each column of each row, also of short ones: a small file could fill the memory."""
    rows = 0
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            rows += block.count(b"\n") + block.count(b"\r")
    if rows * (width - 1) > _CELLS_PER_BYTE * path.stat().st_size + _MANY_CELLS:
        raise LessonError(
            f"{path} has {width:,} columns, but most of its {rows:,} rows have far fewer cells. Delete the "
            "columns that are not needed."
        )


def _uneven(path: Path, number: int, expected: int, found: int, delimiter: str) -> LessonError:
    return LessonError(
        f"Row {number} of {path} has {found} cells, but the header has {expected}. A text that holds "
        f'{_NAMES[delimiter]} must stand between quotation marks:  "…"'
    )


def _parse(path: Path, encoding: str, dialect: _Dialect, *, headless: bool) -> pd.DataFrame:
    """All columns as texts. What is empty stays empty, and no word means "nothing"."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", pd.errors.ParserWarning)  # empty cells at the ends of rows
            frame = pd.read_csv(
                path,
                sep=dialect.delimiter,
                quotechar=dialect.quote,
                encoding=encoding,
                header=None if headless else 0,
                skiprows=dialect.blank,
                dtype=object,
                na_filter=False,
                index_col=False,
                skip_blank_lines=False,
            )
    except pd.errors.ParserError as error:
        raise _broken(path, dialect.delimiter, str(error)) from None
    if frame.empty:
        raise LessonError(f"{path} has a header and no rows of data. Put an example into each row.")
    return frame


def _broken(path: Path, delimiter: str, said: str) -> LessonError:
    """pandas' message in plain words."""
    if found := re.search(r"Expected (\d+) fields in line (\d+), saw (\d+)", said):
        expected, number, seen = map(int, found.groups())
        return _uneven(path, number, expected, seen, delimiter)
    if found := re.search(r"EOF inside string starting at row (\d+)", said):
        return LessonError(
            f"In {path}, a quotation mark opens in row {int(found[1]) + 1} and is never closed. Close it, or "
            "delete it."
        )
    return LessonError(f"{path} can't be read as a table: {said.removeprefix('Error tokenizing data. C error: ')}")
