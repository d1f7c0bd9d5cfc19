"""The tokens of an answer, coloured by how sure a model was of each.

Blue is sure, orange is unsure. Under one half a token is underlined too: all other tokens together were likelier.
The mouse tells the numbers and the other candidates. The colours let the page's own text colour through, light or
dark.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Protocol

from openai_figures.figure import BLUE, ORANGE

_UNSURE = 0.5
_WORTH_SAYING = 0.1
"""Candidates under one tenth are left out: they are any words, ugly ones too."""
_BANDS = (
    (0.9, BLUE, 0.22, "90% and more"),
    (_UNSURE, ORANGE, 0.2, "50 to 90%"),
    (0.1, ORANGE, 0.4, "10 to 50%"),
    (0.0, ORANGE, 0.65, "under 10%"),
)
"""From which probability on, the colour, how much of it, and the words for it."""
_VISIBLE = str.maketrans({" ": "␣", "\n": "↵", "\t": "⇥", "\r": "↵"})


class Weighed(Protocol):
    """A token: its text, its probability from 0 to 1 if that is known, and the other candidates with theirs."""

    @property
    def text(self) -> str: ...  # noqa: D102

    @property
    def probability(self) -> float | None: ...  # noqa: D102

    @property
    def others(self) -> tuple[tuple[str, float], ...]: ...  # noqa: D102


def coloured(tokens: Sequence[Weighed], *, titles: bool = True) -> str:
    """Tokens as HTML, coloured by their probability; those without one as they are.

    Args:
        tokens: the tokens, in their order.
        titles: whether each says its probability and the other candidates when the mouse rests on it. While an
            answer is streamed that would be much to send again and again.
    """
    return "".join(_mark(token, titles) for token in tokens).lstrip(" ")


def legend() -> str:
    """What the colours mean, as HTML."""
    words = " · ".join(_span(words, low, "") for low, _, _, words in _BANDS)
    return f"<div><small>How sure the model is: {words}</small></div>"


def joined(tokens: Sequence[Weighed]) -> str:
    """Tokens as text, without spaces at the ends."""
    return "".join(token.text for token in tokens).strip()


def _mark(token: Weighed, titles: bool) -> str:
    if token.probability is None:
        return escape(token.text)
    title = f"{percent(token.probability)} sure"
    if also := others(token):
        title += f"; or: {also}"
    return _span(token.text, token.probability, title if titles else "")


def _span(text: str, probability: float, title: str) -> str:
    """Underlined by an element of its own: pages that take colours away, as GitHub does, leave that."""
    colour, strength = next((colour, strength) for low, colour, strength, _ in _BANDS if probability >= low)
    red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    # The space before a word stays outside, so that words, not gaps, are marked.
    space = " " * (len(text) - len(text.lstrip(" ")))
    inner = escape(text[len(space) :].replace("\n", "↵\n"))
    if probability < _UNSURE:
        inner = f"<u>{inner}</u>"
    said = f' title="{escape(title)}"' if title else ""
    style = f"background-color: rgba({red},{green},{blue},{strength}); border-radius: 3px"
    return f'{space}<span style="{style}"{said}>{inner}</span>'


def visible(text: str) -> str:
    """A token's text with its spaces and line ends made visible. The end of an answer has none."""
    return text.translate(_VISIBLE) if text else "(end)"


def percent(probability: float | None) -> str:
    """A probability in per cent; nothing if it is not known."""
    return "" if probability is None else f"{probability:.1%}"


def others(token: Weighed) -> str:
    """The other candidates that are worth saying, with their probabilities."""
    likely = [(text, probability) for text, probability in token.others if probability >= _WORTH_SAYING]
    return "   ".join(f"{visible(text)} {percent(probability)}" for text, probability in likely)
