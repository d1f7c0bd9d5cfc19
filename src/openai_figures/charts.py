"""Bars that lie on their side: groups of them, as a picture and as text, and a histogram.

A bar in a group is a share of a whole. Its first part may be solid: a smaller share that lies within the bar's
own.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from openai_figures.figure import BLUE, INK, Figure, box, drawing, label, line

_WIDTH, _LEFT, _RIGHT = 640, 120, 420
_HEADER, _TITLE, _ROW, _THICK = 66, 26, 24, 16
_PALE, _PALEST = "77", "22"
"""How much colour is left of what is not solid, and of what is not there: opacity, in hexadecimal."""
_LETTERS = 25
"""How long a whole bar is as text."""


@dataclass(frozen=True)
class Bar:
    """One bar: its name, its share and the solid part of that (from 0 to 1), its colour, and a note beside it.

    `share` is never less than `solid`.
    """

    name: str
    share: float
    solid: float
    colour: str
    note: str


def bars(title: str, groups: Mapping[str, Sequence[Bar]], solid: str, whole: str) -> Figure:
    """Bars by the name of their group, a letter of text for four per cent.

    `title` says what the figure answers, `solid` and `whole` what a bar's solid part and the whole bar stand for.
    """
    width = max((len(bar.name) for group in groups.values() for bar in group), default=0)
    text, said, parts, y = [title], [title], [*_key(title, solid, whole)], _HEADER
    for name, group in groups.items():
        y += _TITLE
        text.append(name)
        parts.append(label(16, y, name, extra='font-weight="bold"'))
        parts.append(line(_LEFT, y + 6, _LEFT, y + 8 + _ROW * len(group)))
        for bar in group:
            full, end = int(_LETTERS * bar.solid), int(_LETTERS * bar.share)
            drawn = "█" * full + "▒" * (end - full) + "·" * (_LETTERS - end)
            text.append(f"  {bar.name:<{width}} |{drawn}| {bar.share:>4.0%}  {bar.note}")
            said.append(f"{name}, {bar.name}: {bar.share:.0%}, {bar.note}.")
            parts += _row(y + 8, bar)
            y += _ROW
        y += 8
    text += [f"█ {solid}", f"█▒ {whole}"]
    return Figure("\n".join(text), drawing(_WIDTH, y + 8, parts, " ".join(said)))


def _key(title: str, solid: str, whole: str) -> Iterator[str]:
    """The title, and what the parts of a bar stand for."""
    yield label(16, 22, title, extra='font-size="14" font-weight="bold"')
    yield box(16, 36, 24, 10, INK)
    yield label(46, 45, solid)
    yield box(16, 53, 24, 10, INK)
    yield box(40, 53, 24, 10, INK + _PALE)
    yield label(70, 62, whole)


def _row(y: float, bar: Bar) -> Iterator[str]:
    """A bar with its name before it, and its numbers behind the place where the longest would end."""
    wide = _RIGHT - _LEFT
    yield label(_LEFT - 8, y + 13, bar.name, "end")
    yield box(_LEFT, y, wide, _THICK, INK + _PALEST)
    yield box(_LEFT, y, wide * bar.share, _THICK, bar.colour + _PALE)
    yield box(_LEFT, y, wide * bar.solid, _THICK, bar.colour)
    yield label(_RIGHT + 44, y + 13, f"{bar.share:.0%}", "end", f'font-weight="bold" fill="{bar.colour}"')
    yield label(_RIGHT + 56, y + 13, bar.note)


def histogram(ranges: Sequence[tuple[int, int, int]], what: str, axis: str) -> str:
    """A histogram as SVG: one bar for each range, with how many fall into it.

    Args:
        ranges: from, up to and including, how many; at least one, from low to high.
        what: what is counted, such as ``"examples"``.
        axis: what the ranges are of.
    """
    names = [f"{low:,}" if low == high else f"{low:,}\N{EN DASH}{high:,}" for low, high, _ in ranges]
    counts = [count for *_, count in ranges]
    parts = [label(_LEFT - 8, 22, axis, "end"), label(_LEFT, 22, f"how many {what}")]
    for place, (name, count) in enumerate(zip(names, counts, strict=True)):
        y, long = 34 + _ROW * place, (_RIGHT - _LEFT) * count / max(*counts, 1)
        parts += [label(_LEFT - 8, y + 13, name, "end"), box(_LEFT, y, long, _THICK, BLUE)]
        parts.append(label(_LEFT + long + 8, y + 13, f"{count:,}"))
    numbers = "; ".join(f"{name}: {count:,}" for name, count in zip(names, counts, strict=True))
    return drawing(_WIDTH, 42 + _ROW * len(ranges), parts, f"{axis}, and how many {what} have so many: {numbers}")
