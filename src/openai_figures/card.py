"""Something that is updated in place: a figure in a notebook, one line in a terminal."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from typing import Any

from openai_figures import visible
from openai_figures.figure import Figure


class Card:
    """Something that is updated in place.

    In a notebook the cell's output changes where it stands, and is saved as it was last, also when it was changed
    by a later cell. `Output()` widgets, the other way, lose what is written from threads.
    """

    def __init__(self) -> None:
        """Nothing is shown until the first `show`."""
        self._handle: Any = None
        self._last = ""

    def show(self, line: str, figure: Callable[[], Figure] | None = None) -> None:
        """Show a line, or in a notebook the figure that stands for it."""
        if not in_notebook():
            return self._show_line(line)
        shown = figure() if figure else Figure(line)
        if shown.text == self._last:
            return
        self._last = shown.text
        from IPython.display import display

        if self._handle is None:
            self._handle = display(shown.bundle(), raw=True, display_id=True)
        else:
            self._handle.update(shown.bundle(), raw=True)

    def _show_line(self, line: str) -> None:
        """A line that is wider than the terminal would wrap, and then nothing could overwrite it."""
        line = visible.line(line)[: shutil.get_terminal_size((120, 24)).columns - 1]
        if line != self._last:
            print(f"\r{line:<{len(self._last)}}", end="", flush=True, file=sys.stderr)
            self._last = line

    def clear(self) -> None:
        """Take the line away in a terminal, so that something else can be printed there. `show` brings it back."""
        if self._handle is None and self._last:
            print(f"\r{'':<{len(self._last)}}\r", end="", flush=True, file=sys.stderr)
            self._last = ""

    def close(self) -> None:
        """End the line in a terminal."""
        if self._handle is None and self._last:
            print(file=sys.stderr)
            self._last = ""


def in_notebook() -> bool:
    """Whether there is a notebook to show things in."""
    shell = sys.modules.get("IPython") and sys.modules["IPython"].get_ipython()
    return bool(shell and hasattr(shell, "kernel"))
