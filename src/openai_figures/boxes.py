"""A text in boxes, one for each token: in HTML with colours, in plain text with strokes and brackets.

What counts is underlined as well as orange. Where a page takes the colours away, as GitHub does, ``<code>`` still
makes boxes and ``<u>`` still underlines.
"""

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from html import escape

from openai_figures.figure import BLUE, ORANGE, Figure

READ, COUNTED = "the model reads these", "the loss counts these"
_SIGNS = {"\n": "⏎", "\r": "␍", "\t": "→"}
_TIMES = "\N{MULTIPLICATION SIGN}"
_SHADES = ("24", "4a")
"""How opaque neighbours are, in turn."""
_WIDTH = 100
_BOX = "color:inherit;padding:2px 1px;margin:1px;border-radius:3px;white-space:nowrap;background:"
_UNDERLINE = f"text-decoration:underline 3px {ORANGE};text-underline-offset:4px"


@dataclass(frozen=True)
class Box:
    """A piece of text, its tokens (several if none alone holds a whole character), and whether they count."""

    text: str
    tokens: tuple[int, ...]
    counts: bool = False


def figure(boxes: Sequence[Box], said: str, *, legend: bool) -> Figure:
    """Boxes to look at, and below them a sentence; with `legend`, also what the two colours mean.

    As text, a stroke ends what is only read, and brackets hold what counts.
    """
    several = any(len(box.tokens) > 1 for box in boxes)
    below = [f"{_TIMES}2, {_TIMES}3, …: so many tokens make this piece together."] * several + [said]
    signs = "<wbr>".join(_html_box(box, _SHADES[place % 2]) for place, box in enumerate(boxes))
    notes = [f"{_framed(READ, False)} &nbsp; {_framed(COUNTED, True)}"] * legend
    notes += [f'<span style="opacity:.8">{escape(line)}</span>' for line in below]
    html = (
        f'<div dir="auto" style="line-height:2;max-width:60em">{signs}</div>'
        f'<div style="line-height:1.8;margin-top:.6em">{"<br>".join(notes)}</div>'
    )
    words = [f"text│  {READ}      [text]  {COUNTED}"] * legend
    return Figure("\n".join([*_lines(boxes), "", *words, *below]), html=html)


def _html_box(box: Box, shade: str) -> str:
    named = f"token {box.tokens[0]}" if len(box.tokens) == 1 else f"tokens {', '.join(map(str, box.tokens))}"
    inner = "".join(
        escape(sign) if sign == character else f'<span style="opacity:.5">{sign}</span>'
        for character in box.text
        for sign in [_visible(character, space="·")]
    )
    if len(box.tokens) > 1:
        inner += f'<sub style="opacity:.6">{_TIMES}{len(box.tokens)}</sub>'
    return _framed(inner, box.counts, shade, f' title="{named}"') + ("<br>" if "\n" in box.text else "")


def _framed(inner: str, counts: bool, shade: str = _SHADES[1], extra: str = "") -> str:
    colour = ORANGE if counts else BLUE
    marked = f'<u style="{_UNDERLINE}">{inner}</u>' if counts else inner
    return f'<code{extra} style="{_BOX}{colour}{shade}">{marked}</code>'


def _lines(boxes: Iterable[Box]) -> Iterator[str]:
    line = ""
    for box in boxes:
        shown = "".join(_visible(character, space=" ") for character in box.text)
        shown += f"{_TIMES}{len(box.tokens)}" if len(box.tokens) > 1 else ""
        shown = f"[{shown}]" if box.counts else f"{shown}│"
        if line and len(line + shown) > _WIDTH:
            yield line
            line = ""
        line += shown
        if "\n" in box.text:
            yield line
            line = ""
    if line:
        yield line


def _visible(character: str, space: str) -> str:
    """A character as one can see it: a sign for a space or a new line, a code for others that show nothing."""
    if character == " ":
        return space
    if character in _SIGNS:
        return _SIGNS[character]
    hidden = unicodedata.category(character)[0] in "CZ" and character not in "\u200c\u200d"
    return f"U+{ord(character):04X}" if hidden else character
