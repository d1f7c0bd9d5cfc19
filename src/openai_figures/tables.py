"""Tables of texts to read: as plain text, and as HTML whose columns are equally wide."""

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from itertools import zip_longest
from typing import TYPE_CHECKING

from openai_figures import visible

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Listing:
    """Texts to read: a table that a notebook shows whole; as text, each column is wrapped to its width."""

    table: "pd.DataFrame"
    widths: tuple[int, ...]

    def _repr_html_(self) -> str:
        return html_table(self.table)

    def __repr__(self) -> str:
        """The table as text. Numbers have two decimals."""
        numbers = self.table.select_dtypes("float")
        return text_table(self.table.assign(**numbers.map("{:.2f}".format)), self.widths)


def text_table(table: "pd.DataFrame", widths: Sequence[int]) -> str:
    """A table as plain text, each column wrapped to its width in characters."""

    def lines(cells: Sequence[str]) -> Iterator[str]:
        wrapped = [textwrap.wrap(cell, width) or [""] for cell, width in zip(cells, widths, strict=True)]
        for parts in zip_longest(*wrapped, fillvalue=""):
            yield " │ ".join(part.ljust(width) for part, width in zip(parts, widths, strict=True)).rstrip()

    rule = "─┼─".join("─" * width for width in widths)
    blocks = [
        "\n".join(lines([visible.answer(str(cell)) for cell in row])) for row in table.itertuples(index=False)
    ]
    return "\n".join([*lines(list(table.columns)), rule, f"\n{rule}\n".join(blocks)])


def html_table(table: "pd.DataFrame") -> str:
    """A table as HTML that gets no wider than the page. A text over 300 letters is cut off, with a "…"."""
    cell = "text-align: left; vertical-align: top; white-space: normal; overflow-wrap: anywhere"

    def row(kind: str, values: Sequence[object]) -> str:
        texts = [f"{value:.2f}" if isinstance(value, float) else str(value) for value in values]
        texts = [text if len(text) <= 300 else text[:299] + "…" for text in texts]
        return "<tr>" + "".join(f'<{kind} style="{cell}">{escape(text)}</{kind}>' for text in texts) + "</tr>"

    rows = "".join(row("td", values) for values in table.itertuples(index=False))
    head = row("th", list(table.columns))
    return f'<table style="width: 100%"><thead>{head}</thead><tbody>{rows}</tbody></table>'
