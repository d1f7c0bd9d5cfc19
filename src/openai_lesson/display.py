"""What one looks at: a card that updates in place while a model trains, and tables as plain text.

The card is a picture (SVG) where pictures can be shown and a line of text elsewhere: in a terminal, and in tools
that read the notebook without a browser. Its colours read on a light and on a dark page.
"""

from __future__ import annotations

import shutil
import sys
import textwrap
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from html import escape
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

_WIDTH, _HEIGHT = 640, 230
_LEFT, _TOP, _RIGHT, _BOTTOM = 56, 64, 620, 196
_INK, _FAINT, _TRAIN, _BAR = "#808890", "#80889055", "#d9822b", "#2f9e68"


def bar(done: float) -> str:
    """A bar of twenty-five characters; `done` is from 0 to 1."""
    return f"|{'█' * int(25 * done)}{'·' * (25 - int(25 * done))}|"


@dataclass
class Progress:
    """What is known of a job: its state, how far it is, and the training loss (nats per token) at each step."""

    model: str = ""
    state: str = ""
    step: int = 0
    total_steps: int = 0
    finish: float | None = None
    losses: list[tuple[int, float]] = field(default_factory=list)

    def text(self) -> str:
        """One line, with a bar."""
        done = bar(self.step / self.total_steps if self.total_steps else 0.0)
        parts = [f"{self.state:<16} {done} step {self.step}/{self.total_steps or '?'}"]
        if self.losses:
            parts.append(f"loss {self._recent_loss():.3f}")
        if left := self.time_left():
            parts.append(left)
        return "  ".join(parts)

    def time_left(self) -> str:
        """How much longer, in words; empty if unknown or over."""
        if self.finish is None or self.state != "running":
            return ""
        seconds = max(0, round(self.finish - time.time()))
        return f"about {seconds} s left" if seconds < 90 else f"about {round(seconds / 60)} min left"

    def _recent_loss(self) -> float:
        recent = [loss for _, loss in self.losses[-10:]]
        return sum(recent) / len(recent)

    def svg(self) -> str:
        """The card as a picture."""
        done = self.step / self.total_steps if self.total_steps else 0.0
        title = " · ".join(filter(None, [self.state, self.model]))
        facts = [f"step {self.step} of {self.total_steps or '?'}", self.time_left()]
        facts += [f"training loss {self._recent_loss():.3f}"] if self.losses else []
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{_HEIGHT}" '
            f'viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="sans-serif" font-size="12" fill="{_INK}">'
            f"<title>{escape(self.text())}</title>"
            f'<text x="16" y="22" font-size="14" font-weight="bold">{escape(title)}</text>'
            f'<text x="16" y="54">{escape("  ·  ".join(filter(None, facts)))}</text>'
            f'<rect x="16" y="31" width="{_WIDTH - 36}" height="7" rx="3" fill="{_FAINT}"/>'
            f'<rect x="16" y="31" width="{(_WIDTH - 36) * done:.0f}" height="7" rx="3" fill="{_BAR}"/>'
            f"{_curve(self.losses, max(self.total_steps, 1))}</svg>"
        )


def _curve(losses: Sequence[tuple[int, float]], total: int) -> str:
    """The axes and the curve of the loss, in the lower part of the card."""
    highest = max([loss for _, loss in losses], default=1.0) * 1.05

    def x(step: float) -> float:
        return _LEFT + (_RIGHT - _LEFT) * step / total

    def y(loss: float) -> float:
        return _BOTTOM - (_BOTTOM - _TOP) * loss / highest

    parts = []
    for share in (0.0, 0.5, 1.0):
        level = highest * share
        parts.append(
            f'<line x1="{_LEFT}" x2="{_RIGHT}" y1="{y(level):.1f}" y2="{y(level):.1f}" stroke="{_FAINT}"/>'
        )
        parts.append(f'<text x="{_LEFT - 6}" y="{y(level) + 4:.1f}" text-anchor="end">{level:.1f}</text>')
        parts.append(
            f'<text x="{x(total * share):.1f}" y="{_BOTTOM + 16}" text-anchor="middle">{total * share:.0f}</text>'
        )
    middle = (_LEFT + _RIGHT) / 2
    parts.append(
        f'<text x="{middle}" y="{_BOTTOM + 31}" text-anchor="middle">step (the curve is the training loss)</text>'
    )
    points = " ".join(f"{x(step):.1f},{y(loss):.1f}" for step, loss in losses)
    parts.append(f'<polyline points="{points}" fill="none" stroke="{_TRAIN}" stroke-width="1.6"/>')
    return "".join(parts)


def text_table(table: pd.DataFrame, widths: Sequence[int]) -> str:
    """A table as plain text, each column wrapped to its width in characters."""

    def lines(cells: Sequence[str]) -> Iterator[str]:
        wrapped = [textwrap.wrap(cell, width) or [""] for cell, width in zip(cells, widths, strict=True)]
        for parts in zip_longest(*wrapped, fillvalue=""):
            yield " │ ".join(part.ljust(width) for part, width in zip(parts, widths, strict=True)).rstrip()

    rule = "─┼─".join("─" * width for width in widths)
    blocks = ["\n".join(lines([str(cell) for cell in row])) for row in table.itertuples(index=False)]
    return "\n".join([*lines(list(table.columns)), rule, f"\n{rule}\n".join(blocks)])


class Card:
    """Something that is updated in place: a picture with a line of text in a notebook, the line in a terminal."""

    def __init__(self) -> None:
        """Nothing is shown until the first `show`."""
        self._handle: Any = None
        self._last = ""

    def show(self, line: str, picture: Callable[[], str] | None = None) -> None:
        """Show a line, or in a notebook the SVG picture that stands for it."""
        if not _in_notebook():
            return self._show_line(line)
        if line == self._last:
            return
        self._last = line
        from IPython.display import display

        bundle = {"text/plain": line, **({"image/svg+xml": picture()} if picture else {})}
        if self._handle is None:
            self._handle = display(bundle, raw=True, display_id=True)
        else:
            self._handle.update(bundle, raw=True)

    def _show_line(self, line: str) -> None:
        """A line that is wider than the terminal would wrap, and then nothing could overwrite it."""
        line = line[: shutil.get_terminal_size((120, 24)).columns - 1]
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


def _in_notebook() -> bool:
    shell = sys.modules.get("IPython") and sys.modules["IPython"].get_ipython()
    return bool(shell and hasattr(shell, "kernel"))
