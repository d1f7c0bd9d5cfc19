"""The tokens of an answer, coloured by how sure a model was of each.

Blue is sure, orange is unsure. Under one half a token is underlined too: all other tokens together were likelier.
The mouse tells the numbers and the other candidates. The colours let the page's own text colour through, light or
dark.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import pandas as pd

from openai_figures.figure import BLUE, ORANGE, Figure

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


Candidate = tuple[str, float]
"""A token's text, and its probability from 0 to 1."""


@dataclass(frozen=True)
class Token:
    """A token of an answer.

    Args:
        text: its text, with the space before it. A character of several tokens, such as an emoji, is one `Token`,
            and its probability is the product of theirs.
        probability: from 0 to 1; nothing if the host did not say.
        others: the likeliest of the other tokens that could have stood there, the likeliest first. The end of the
            answer is one too, and has no text.
    """

    text: str
    probability: float | None = None
    others: tuple[Candidate, ...] = ()


@dataclass(frozen=True)
class Answer:
    """The tokens of an answer, with their probabilities: coloured in a notebook, a table as text."""

    tokens: tuple[Token, ...]

    @property
    def text(self) -> str:
        """The answer, without spaces at its ends."""
        return joined(self.tokens)

    def figure(self) -> Figure:
        """The answer to look at."""
        cells = [(visible(token.text), percent(token.probability), others(token)) for token in self.tokens]
        table = pd.DataFrame(cells, columns=["token", "probability", "what else it could have said"])
        with pd.option_context("display.max_colwidth", None):
            rows = table.to_html(index=False, justify="left", border=0)
        html = (
            f'<div style="line-height: 1.9; white-space: pre-wrap">{coloured(self.tokens)}</div>{legend()}'
            f"<details><summary>All tokens as a table</summary>{rows}</details>"
        )
        lines = (f"{a:<18} {b:>11}   {c}".rstrip() for a, b, c in [table.columns, *cells])
        return Figure("\n".join([self.text, "", *lines]), html=html)

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        return self.figure()._repr_mimebundle_()

    def __repr__(self) -> str:
        """The answer, and its tokens as a table."""
        return self.figure().text


def coloured(tokens: Sequence[Token], *, titles: bool = True) -> str:
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


def joined(tokens: Sequence[Token]) -> str:
    """Tokens as text, without spaces at the ends."""
    return "".join(token.text for token in tokens).strip()


def _mark(token: Token, titles: bool) -> str:
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


def others(token: Token) -> str:
    """The other candidates that are worth saying, with their probabilities."""
    likely = [(text, probability) for text, probability in token.others if probability >= _WORTH_SAYING]
    return "   ".join(f"{visible(text)} {percent(probability)}" for text, probability in likely)
