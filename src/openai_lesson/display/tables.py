"""Tables as plain text."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


def text_table(table: pd.DataFrame, widths: Sequence[int]) -> str:
    """A table as plain text, each column wrapped to its width in characters."""

    def lines(cells: Sequence[str]) -> Iterator[str]:
        wrapped = [textwrap.wrap(cell, width) or [""] for cell, width in zip(cells, widths, strict=True)]
        for parts in zip_longest(*wrapped, fillvalue=""):
            yield " │ ".join(part.ljust(width) for part, width in zip(parts, widths, strict=True)).rstrip()

    rule = "─┼─".join("─" * width for width in widths)
    blocks = ["\n".join(lines([str(cell) for cell in row])) for row in table.itertuples(index=False)]
    return "\n".join([*lines(list(table.columns)), rule, f"\n{rule}\n".join(blocks)])
