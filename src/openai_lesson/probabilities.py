"""How sure a model is of each token that it writes.

At every place of an answer, a model gives every token that it knows a probability. Being sure is not being right:
a model that was trained on few answers is often sure, and wrong.
"""

from dataclasses import dataclass

import openai
import pandas as pd

from openai_data.errors import LessonError
from openai_figures.confidence import coloured, joined, legend, others, percent, visible
from openai_figures.figure import Figure
from openai_lesson.asking import Token, stream
from openai_lesson.connection import host


@dataclass(frozen=True)
class Answer:
    """An answer that shows how sure the model was: coloured in a notebook, a table as text.

    Args:
        tokens: the answer's tokens, with their probabilities.
    """

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
        return self.figure().bundle()

    def __repr__(self) -> str:
        """The answer, and its tokens as a table."""
        return self.figure().text


def how_sure(client: openai.OpenAI, question: str, model: str, *, max_tokens: int = 60) -> Answer:
    """Ask a model one question, and find out how sure it is of each token of its answer.

    Args:
        client: from `connect`.
        question: the question.
        model: the model's name.
        max_tokens: how long the answer may become.

    Returns:
        The answer. A notebook shows it with colours.

    Raises:
        LessonError: the host answers, but tells no probabilities.
        openai.OpenAIError: the host can't be reached, or refuses the question.
    """
    tokens = tuple(stream(client, question, model, max_tokens=max_tokens, probabilities=True))
    if any(token.probability is None for token in tokens):
        raise LessonError(
            f"{host(client).name} does not tell how sure {model} is. "
            "Ask a model on this machine:  client = connect('local')"
        )
    return Answer(tokens)
