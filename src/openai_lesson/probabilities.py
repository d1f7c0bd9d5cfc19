"""How sure a model is of each token that it writes.

At every place of an answer, a model gives every token that it knows a probability. `how_sure` shows those of
the tokens that it wrote as colours: blue for sure, orange for unsure. Under one half they are underlined too: all
other tokens together were likelier. The mouse, and the table, tell the numbers and the other candidates. The
colours let the page's own text colour through, light or dark.

Being sure is not being right: a model that was trained on few answers is often sure, and wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import openai
import pandas as pd

from openai_data import Form
from openai_data.errors import LessonError
from openai_figures.figure import BLUE, ORANGE, Figure
from openai_lesson.asking import Token, stream
from openai_lesson.connection import host

_UNSURE = 0.5
_WORTH_SAYING = 0.1
"""Candidates under one tenth are left out: they are any words, ugly ones too. `Answer.table` has them."""
_BANDS = (
    (0.9, BLUE, 0.22, "90% and more"),
    (_UNSURE, ORANGE, 0.2, "50 to 90%"),
    (0.1, ORANGE, 0.4, "10 to 50%"),
    (0.0, ORANGE, 0.65, "under 10%"),
)
"""From which probability on, the colour, how much of it, and the words for it."""
_VISIBLE = str.maketrans({" ": "␣", "\n": "↵", "\t": "⇥", "\r": "↵"})


@dataclass(frozen=True)
class Answer:
    """An answer that shows how sure the model was: coloured in a notebook, a table as text.

    Args:
        question: what was asked.
        model: who was asked.
        tokens: the answer's tokens, with their probabilities.
    """

    question: str
    model: str
    tokens: tuple[Token, ...]

    @property
    def text(self) -> str:
        """The answer, without spaces at its ends."""
        return joined(self.tokens)

    @property
    def table(self) -> pd.DataFrame:
        """One row per token: ``token``, ``probability`` (0 to 1), ``others`` (a list of token and probability)."""
        rows = [(token.text, token.probability, list(token.others)) for token in self.tokens]
        return pd.DataFrame(rows, columns=["token", "probability", "others"])

    def figure(self) -> Figure:
        """The answer to look at."""
        cells = [(visible(token.text), _percent(token.probability), _others(token)) for token in self.tokens]
        table = pd.DataFrame(cells, columns=["token", "probability", "what else it could have said"])
        with pd.option_context("display.max_colwidth", None):
            rows = table.to_html(index=False, justify="left", border=0)
        html = (
            f'<div style="line-height: 1.9; white-space: pre-wrap">{coloured(self.tokens)}</div>{legend()}'
            f"<details><summary>All tokens as a table</summary>{rows}</details>"
        )
        lines = (
            f"{token:<18} {share:>11}   {others}".rstrip() for token, share, others in [table.columns, *cells]
        )
        return Figure("\n".join([self.text, "", *lines]), html=html)

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        return self.figure().bundle()

    def __repr__(self) -> str:
        """The answer, and its tokens as a table."""
        return self.figure().text


def how_sure(
    client: openai.OpenAI,
    question: str,
    model: str,
    *,
    form: Form | None = None,
    max_tokens: int = 60,
    temperature: float = 0.0,
) -> Answer:
    """Ask a model one question, and find out how sure it is of each token of its answer.

    Args:
        client: from `connect`.
        question: the question.
        model: the model's name.
        form: ``"completion"`` to have the question continued, ``"chat"`` to have it answered in a conversation.
            Ask a model as it was trained; nothing takes the form that suits the host.
        max_tokens: how long the answer may become.
        temperature: 0 for the likeliest answer, up to 2 for surprises. The probabilities are those before the
            temperature changes them.

    Returns:
        The answer. A notebook shows it with colours.

    Raises:
        LessonError: the host answers, but tells no probabilities.
        openai.OpenAIError: the host can't be reached, or refuses the question.
    """
    tokens = tuple(
        stream(
            client,
            question,
            model,
            form=form or host(client).form,
            max_tokens=max_tokens,
            temperature=temperature,
            probabilities=True,
        )
    )
    if any(token.probability is None for token in tokens):
        raise LessonError(
            f"{host(client).name} does not tell how sure {model} is. "
            "Ask a model on this machine:  client = connect('local')"
        )
    return Answer(question, model, tokens)


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


def visible(text: str) -> str:
    """A token's text with its spaces and line ends made visible. The end of an answer has none."""
    return text.translate(_VISIBLE) if text else "(end)"


def _mark(token: Token, titles: bool) -> str:
    if token.probability is None:
        return escape(token.text)
    title = f"{_percent(token.probability)} sure"
    if others := _others(token):
        title += f"; or: {others}"
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


def _percent(probability: float | None) -> str:
    return "" if probability is None else f"{probability:.1%}"


def _others(token: Token) -> str:
    likely = [(text, probability) for text, probability in token.others if probability >= _WORTH_SAYING]
    return "   ".join(f"{visible(text)} {_percent(probability)}" for text, probability in likely)
