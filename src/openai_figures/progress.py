"""How a training goes: state, step, time left, the losses as curves, and how many tokens are right.

`Progress` is a line, or a picture with that line as its text. A `Card` shows either, and updates it in place.
"""

import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

from openai_figures import visible
from openai_figures.figure import BLUE, FAINT, GREEN, ORANGE, Figure, box, drawing, label, line

_WIDTH, _HEIGHT = 640, 280
_LEFT, _TOP, _RIGHT, _BOTTOM = 56, 84, 620, 232
_SMALL = 'font-size="11"'


def bar(done: float) -> str:
    """A bar of twenty-five characters; `done` is from 0 to 1."""
    return f"|{'█' * int(25 * done)}{'·' * (25 - int(25 * done))}|"


@dataclass
class Progress:
    """What is known of a job.

    `losses` holds pairs of a step and the training loss there (nats per token), `validation` the loss over all
    validation examples at the end of each epoch, `accuracies` the share of a step's tokens that are right.
    `place` says where the job stands in the queue, `log` holds what happened, a line each.
    """

    model: str = ""
    state: str = ""
    step: int = 0
    total_steps: int = 0
    finish: float | None = None
    place: str = ""
    losses: list[tuple[int, float]] = field(default_factory=list)
    validation: list[tuple[int, float]] = field(default_factory=list)
    accuracies: list[tuple[int, float]] = field(default_factory=list)
    log: list[str] = field(default_factory=list)

    def note(self, message: str, data: Any) -> None:
        """Take what an event tells in its ``data``: the numbers of a step, or that its message is on the queue."""
        if not isinstance(data, dict):
            return
        if "jobs_ahead" in data:
            self.place = message
        if "step" in data:
            self.step, self.total_steps = int(data["step"]), int(data.get("total_steps") or 0)
        for name, points in (
            ("train_loss", self.losses),
            ("full_valid_loss", self.validation),
            ("train_mean_token_accuracy", self.accuracies),
        ):
            if data.get(name) is not None:
                points.append((self.step, float(data[name])))

    def text(self) -> str:
        """One line, with a bar."""
        if self._waits():
            return f"{self.state:<16} {self.place}"
        step = f"{self.state:<16} {bar(self._done())} step {self.step}/{self.total_steps or '?'}"
        loss = f"loss {_recent(self.losses):.3f}" if self.losses else ""
        return "  ".join(filter(None, [step, loss, self.time_left()]))

    def _waits(self) -> bool:
        return bool(self.place) and self.state == "queued"

    def _done(self) -> float:
        return self.step / self.total_steps if self.total_steps else 0.0

    def time_left(self) -> str:
        """How much longer, in words; empty if unknown or over."""
        if self.finish is None or self.state != "running":
            return ""
        seconds = max(0, round(self.finish - time.time()))
        return f"about {seconds} s left" if seconds < 90 else f"about {round(seconds / 60)} min left"

    def card(self) -> Figure:
        """The card as a picture. As text it is the line with the bar, and below it what happened."""
        facts = [f"step {self.step} of {self.total_steps or '?'}", self.time_left()]
        numbers = [f"training loss {_recent(self.losses):.3f}"] if self.losses else []
        numbers += [f"validation loss {self.validation[-1][1]:.3f}"] if self.validation else []
        numbers += [f"tokens right {_recent(self.accuracies):.0%}"] if self.accuracies else []
        title = " · ".join(filter(None, [self.state, self.model]))
        parts = [
            label(16, 22, title, extra='font-size="14" font-weight="bold"'),
            box(16, 31, _WIDTH - 36, 7, FAINT),
            box(16, 31, (_WIDTH - 36) * self._done(), 7, GREEN),
            label(16, 56, self.place if self._waits() else "  ·  ".join(filter(None, facts))),
            label(_RIGHT, 56, "  ·  ".join(numbers), "end"),
            *self._curves(),
            label(16, _HEIGHT - 6, self.log[-1] if self.log else "", extra=_SMALL),
        ]
        return Figure("\n".join([self.text(), *self.log]), drawing(_WIDTH, _HEIGHT, parts, self.text()))

    def _curves(self) -> Iterator[str]:
        """The axes and the curves of the losses, in the lower part of the card, with a key above."""
        total = max(self.total_steps, 1)
        highest = max([loss for _, loss in [*self.losses, *self.validation]], default=1.0) * 1.05

        def x(step: float) -> float:
            return _LEFT + (_RIGHT - _LEFT) * step / total

        def y(loss: float) -> float:
            return _BOTTOM - (_BOTTOM - _TOP) * loss / highest

        def drawn(points: Sequence[tuple[float, float]], colour: str, dashes: str) -> str:
            joined = " ".join(f"{px:.1f},{py:.1f}" for px, py in points)
            style = f'fill="none" stroke="{colour}" stroke-width="1.6" stroke-dasharray="{dashes}"'
            return f'<polyline points="{joined}" {style}/>'

        for share in (0.0, 0.5, 1.0):
            level = highest * share
            yield line(_LEFT, y(level), _RIGHT, y(level))
            yield label(_LEFT - 6, y(level) + 4, f"{level:.1f}", "end")
            yield label(x(total * share), _BOTTOM + 16, f"{total * share:.0f}", "middle")
        yield label(16, _TOP - 10, "loss", extra=_SMALL)
        yield label((_LEFT + _RIGHT) / 2, _BOTTOM + 16 + 14, "step", "middle", _SMALL)
        for points, name, left, colour, dashes in (
            (self.losses, "training loss (solid line)", 190, ORANGE, "none"),
            (self.validation, "validation loss (dashed line, dots)", 390, BLUE, "7 4"),
        ):
            if points:
                yield drawn([(x(step), y(loss)) for step, loss in points], colour, dashes)
                yield drawn([(left, _TOP - 14), (left + 30, _TOP - 14)], colour, dashes)
                yield label(left + 36, _TOP - 10, name, extra=f'{_SMALL} fill="{colour}"')
        for step, loss in self.validation:
            yield f'<circle cx="{x(step):.1f}" cy="{y(loss):.1f}" r="3" fill="{BLUE}"/>'


def _recent(points: Sequence[tuple[int, float]]) -> float:
    """The mean of the last ten."""
    return fmean(value for _, value in points[-10:])


class Card:
    """Something that is updated in place: a figure in a notebook, one line in a terminal.

    In a notebook the cell's output changes where it stands, and is saved as it was last, also when it was changed
    by a later cell. `Output()` widgets, the other way, lose what is written from threads.
    """

    def __init__(self) -> None:
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
            self._handle = display(shown._repr_mimebundle_(), raw=True, display_id=True)
        else:
            self._handle.update(shown._repr_mimebundle_(), raw=True)

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
