"""Something to look at: a picture (SVG) or marked text (HTML), and the same in plain text.

Every picture of the lesson is a `Figure`. A notebook shows its best form; a terminal, a test and a reader without
pictures get the text. The colours read on a light and on a dark page, and for people who see colours differently
each also has its own place, shape or word.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from html import escape

from openai_figures import visible

INK, FAINT = "#808890", "#80889055"
ORANGE, BLUE, GREEN = "#d9822b", "#3f8fd2", "#2f9e68"


@dataclass(frozen=True)
class Figure:
    """What is shown: as plain text, and as a picture (`svg`) or, if it is read, not looked at, as marked text."""

    text: str
    svg: str = ""
    html: str = ""

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        forms = {"image/svg+xml": self.svg, "text/html": self.html, "text/plain": self.text}
        return {kind: form for kind, form in forms.items() if form}

    def __repr__(self) -> str:
        """The text."""
        return self.text


def drawing(width: int, height: int, parts: Iterable[str], title: str) -> str:
    """An SVG picture out of its parts. `title` is read aloud to those who can't see it."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="12" fill="{INK}" role="img">'
        f"<title>{_written(title)}</title>{''.join(parts)}</svg>"
    )


def label(x: float, y: float, text: str, anchor: str = "start", extra: str = "") -> str:
    """Text in a picture. `anchor` is ``start``, ``middle`` or ``end``; `extra` holds further SVG attributes."""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{extra and " " + extra}>{_written(text)}</text>'


def _written(text: str) -> str:
    """A text as SVG can hold it: signs that no XML may have are shown as codes, as a name may have them."""
    return escape(visible.sentence(text))


def box(x: float, y: float, width: float, height: float, colour: str) -> str:
    """A filled box in a picture."""
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" rx="2" fill="{colour}"/>'


def line(x1: float, y1: float, x2: float, y2: float, colour: str = FAINT) -> str:
    """A straight line in a picture."""
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}"/>'
