"""Reading the table of a web page."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from lxml import etree, html

from openai_lesson.errors import LessonError
from openai_lesson.prepare.encoding import find_encoding
from openai_lesson.prepare.sheets import from_cells
from openai_lesson.prepare.table import Table


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
    frames = [pd.DataFrame(_cells(table)).fillna("") for table in page.iter("table")]
    frames = [frame for frame in frames if frame.shape[1] >= 2 and len(frame) > 1]
    if not frames:
        raise LessonError(f"{path.name} has no table with two columns. Copy the text into a spreadsheet instead.")
    notes = [] if len(frames) == 1 else [f"The page has {len(frames)} tables. The longest was taken"]
    return from_cells(max(frames, key=len), path, "HTML", notes, prompt, completion)


def _cells(table: html.HtmlElement) -> list[list[str]]:
    """The texts of a table's cells, row by row, with single spaces."""
    rows = ([cell for cell in row if cell.tag in ("td", "th")] for row in table.iter("tr"))
    return [[" ".join(cell.text_content().split()) for cell in row] for row in rows if row]
