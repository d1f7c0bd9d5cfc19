"""How a training goes, as a card: state, step, time left, the losses as a curve, and how many tokens are right."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from openai_figures.figure import BLUE, FAINT, GREEN, ORANGE, Figure, box, drawing, label, line

_WIDTH, _HEIGHT = 640, 280
_LEFT, _TOP, _RIGHT, _BOTTOM = 56, 84, 620, 232

Point = tuple[int, float]
"""A step, and a loss or a share there."""


def bar(done: float) -> str:
    """A bar of twenty-five characters; `done` is from 0 to 1."""
    return f"|{'█' * int(25 * done)}{'·' * (25 - int(25 * done))}|"


@dataclass
class Progress:
    """What is known of a job.

    `losses` holds the training loss (nats per token) at each step, `validation` the loss over all validation
    examples at the end of each epoch, `accuracies` the share of the training tokens said right at each step.
    `place` says where the job stands in the queue, `log` holds what happened, a line each.
    """

    model: str = ""
    state: str = ""
    step: int = 0
    total_steps: int = 0
    finish: float | None = None
    place: str = ""
    losses: list[Point] = field(default_factory=list)
    validation: list[Point] = field(default_factory=list)
    accuracies: list[Point] = field(default_factory=list)
    log: list[str] = field(default_factory=list)

    def text(self) -> str:
        """One line, with a bar."""
        done = bar(self.step / self.total_steps if self.total_steps else 0.0)
        if self._waits():
            return f"{self.state:<16} {self.place}"
        parts = [f"{self.state:<16} {done} step {self.step}/{self.total_steps or '?'}"]
        if self.losses:
            parts.append(f"loss {recent(self.losses):.3f}")
        if left := self.time_left():
            parts.append(left)
        return "  ".join(parts)

    def _waits(self) -> bool:
        return bool(self.place) and self.state == "queued"

    def time_left(self) -> str:
        """How much longer, in words; empty if unknown or over."""
        if self.finish is None or self.state != "running":
            return ""
        seconds = max(0, round(self.finish - time.time()))
        return f"about {seconds} s left" if seconds < 90 else f"about {round(seconds / 60)} min left"

    def card(self) -> Figure:
        """The card. As text it is the line with the bar, and below it what happened."""
        return Figure("\n".join([self.text(), *self.log]), self.svg())

    def svg(self) -> str:
        """The card as a picture."""
        done = self.step / self.total_steps if self.total_steps else 0.0
        title = " · ".join(filter(None, [self.state, self.model]))
        facts = "  ·  ".join(filter(None, [f"step {self.step} of {self.total_steps or '?'}", self.time_left()]))
        return drawing(
            _WIDTH,
            _HEIGHT,
            [
                label(16, 22, title, extra='font-size="14" font-weight="bold"'),
                box(16, 31, _WIDTH - 36, 7, FAINT),
                box(16, 31, (_WIDTH - 36) * done, 7, GREEN),
                label(16, 56, self.place if self._waits() else facts),
                label(_RIGHT, 56, self._numbers(), "end"),
                *_curves(self),
                label(16, _HEIGHT - 6, self.log[-1] if self.log else "", extra='font-size="11"'),
            ],
            self.text(),
        )

    def _numbers(self) -> str:
        numbers = [f"training loss {recent(self.losses):.3f}"] if self.losses else []
        numbers += [f"validation loss {self.validation[-1][1]:.3f}"] if self.validation else []
        numbers += [f"tokens right {recent(self.accuracies):.0%}"] if self.accuracies else []
        return "  ·  ".join(numbers)


def recent(points: Sequence[Point]) -> float:
    """The mean of the last ten."""
    values = [value for _, value in points[-10:]]
    return sum(values) / len(values)


def _curves(progress: Progress) -> Iterator[str]:
    """The axes and the curves of the losses, in the lower part of the card."""
    total = max(progress.total_steps, 1)
    highest = max([loss for _, loss in [*progress.losses, *progress.validation]], default=1.0) * 1.05

    def x(step: float) -> float:
        return _LEFT + (_RIGHT - _LEFT) * step / total

    def y(loss: float) -> float:
        return _BOTTOM - (_BOTTOM - _TOP) * loss / highest

    for share in (0.0, 0.5, 1.0):
        level = highest * share
        yield line(_LEFT, y(level), _RIGHT, y(level))
        yield label(_LEFT - 6, y(level) + 4, f"{level:.1f}", "end")
        yield label(x(total * share), _BOTTOM + 16, f"{total * share:.0f}", "middle")
    yield label(16, _TOP - 10, "loss", extra='font-size="11"')
    yield label((_LEFT + _RIGHT) / 2, _BOTTOM + 16 + 14, "step", "middle", 'font-size="11"')
    yield _polyline([(x(step), y(loss)) for step, loss in progress.losses], ORANGE)
    yield label(_RIGHT, _TOP - 10, "── training", "end", f'font-size="11" fill="{ORANGE}"')
    if progress.validation:
        points = [(x(step), y(loss)) for step, loss in progress.validation]
        yield _polyline(points, BLUE)
        for px, py in points:
            yield f'<circle cx="{px:.1f}" cy="{py:.1f}" r="3" fill="{BLUE}"/>'
        yield label(_RIGHT - 80, _TOP - 10, "─●─ validation", "end", f'font-size="11" fill="{BLUE}"')


def _polyline(points: Sequence[tuple[float, float]], colour: str) -> str:
    joined = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polyline points="{joined}" fill="none" stroke="{colour}" stroke-width="1.6"/>'
