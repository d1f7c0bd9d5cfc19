"""A histogram as a picture: one bar for each range, with how many fall into it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from openai_figures.figure import BLUE, INK, box, drawing, label, line

_WIDTH, _HEIGHT = 640, 220
_LEFT, _TOP, _RIGHT, _BOTTOM = 16, 52, 624, 168
_GAP = 6

Range = tuple[int, int, int]
"""From, up to and including, how many."""


def histogram(ranges: Sequence[Range], what: str, axis: str) -> str:
    """The picture as SVG.

    Args:
        ranges: at least one, from low to high.
        what: what is counted, such as ``"examples"``.
        axis: what the ranges are of.
    """
    numbers = "; ".join(f"{_words(low, high)}: {count:,}" for low, high, count in ranges)
    parts = [
        label(_LEFT, 20, f"how many {what}", extra='font-size="11"'),
        *_bars(ranges),
        line(_LEFT, _BOTTOM, _RIGHT, _BOTTOM, INK),
        label((_LEFT + _RIGHT) / 2, _BOTTOM + 38, axis, "middle"),
    ]
    return drawing(_WIDTH, _HEIGHT, parts, f"{axis}, and how many {what} have so many: {numbers}")


def _bars(ranges: Sequence[Range]) -> Iterator[str]:
    most = max(max(count for *_, count in ranges), 1)
    width = (_RIGHT - _LEFT) / len(ranges)
    size = 11 if max(len(_words(low, high)) for low, high, _ in ranges) * 6.2 < width else 9
    for place, (low, high, count) in enumerate(ranges):
        left, height = _LEFT + place * width, (_BOTTOM - _TOP) * count / most
        yield box(left + _GAP / 2, _BOTTOM - height, width - _GAP, height, BLUE)
        yield label(left + width / 2, _BOTTOM - height - 5, f"{count:,}", "middle")
        yield label(left + width / 2, _BOTTOM + 16, _words(low, high), "middle", f'font-size="{size}"')


def _words(low: int, high: int) -> str:
    return f"{low:,}" if low == high else f"{low:,}\N{EN DASH}{high:,}"
