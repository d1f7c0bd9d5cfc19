"""Reading the table of a web page."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from lxml import etree, html

from openai_data.encoding import find_encoding
from openai_data.errors import LessonError
from openai_data.sheets import from_cells
from openai_data.table import Table

_CELLS, _MANY_CELLS = 10, 1_000_000
"""A table gets a cell for each column in each row; where most rows lack most of them, it is no table."""


def read_page(path: Path, prompt: str | None, completion: str | None) -> Table:
    """Read the longest table of a web page that has two columns or more.

    Raises:
        LessonError: the page has none, or its columns can't be told.
    """
    text = path.read_text(encoding=find_encoding(path))
    try:
        page = html.document_fromstring(text)
    except etree.ParserError:  # there is nothing in it
        page = html.document_fromstring("<html/>")
    tables = [_cells(table) for table in page.iter("table")]
    tables = [rows for rows in tables if len(rows) > 1 and max(map(len, rows)) >= 2]
    if not tables:
        raise LessonError(f"{path.name} has no table with two columns. Copy the text into a spreadsheet instead.")
    notes = [] if len(tables) == 1 else [f"The page has {len(tables)} tables. The longest was taken"]
    rows = max(tables, key=len)
    width = max(map(len, rows))
    if width * len(rows) > _CELLS * sum(map(len, rows)) + _MANY_CELLS:
        raise LessonError(f"The longest table of {path.name} has rows of very different lengths. Copy it by hand.")
    frame = pd.DataFrame([row + [""] * (width - len(row)) for row in rows])
    return from_cells(frame, path, "HTML", notes, prompt, completion)


def _cells(table: html.HtmlElement) -> list[list[str]]:
    """The texts of a table's cells, row by row, with single spaces."""
    rows = ([cell for cell in row if cell.tag in ("td", "th")] for row in table.iter("tr"))
    return [[" ".join(cell.text_content().split()) for cell in row] for row in rows if row]
