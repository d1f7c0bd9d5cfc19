"""One model's answer in a widget: drawn while it comes, and an error told as a sentence."""

from __future__ import annotations

import time
from collections.abc import Iterator
from html import escape

import ipywidgets as widgets
import openai

from openai_lesson.asking.probabilities import coloured, joined
from openai_lesson.asking.streaming import Token, stream
from openai_lesson.cli.failing import sentence
from openai_lesson.connection import host
from openai_lesson.errors import LessonError
from openai_lesson.prepare import Form

PAUSE_SECONDS = 0.1
"""How often a pane is drawn at most: Jupyter's server drops messages if a kernel sends a megabyte in a second."""
_READABLE = "line-height: 1.7; white-space: pre-wrap; overflow-wrap: anywhere"


class Pane:
    """One model and its answer.

    Args:
        title: what the model is, in the learner's words.
        model: its name.
        form: how it is asked.
    """

    def __init__(self, title: str, model: str, form: Form) -> None:
        """Nothing is answered yet."""
        self.title, self.model, self.form = title, model, form
        self.tokens: list[Token] = []
        self.trouble = ""
        self.widget = widgets.HTML(layout=widgets.Layout(flex="1 1 18em", min_width="0", margin="0 1em 0 0"))

    @property
    def text(self) -> str:
        """The answer, or what went wrong."""
        return "\n".join(filter(None, [joined(self.tokens), self.trouble]))

    def answer(
        self, client: openai.OpenAI, question: str, max_tokens: int, temperature: float, sure: bool, known: bool
    ) -> Iterator[None]:
        """Ask, and draw the answer while it comes: one step per token.

        Args:
            client: from `connect`.
            question: what to ask.
            max_tokens: how long the answer may become.
            temperature: 0 for the likeliest answer, up to 2 for surprises.
            sure: whether the probabilities are shown.
            known: whether they are asked for.
        """
        self.tokens, self.trouble, drawn = [], "", 0.0
        self.draw(sure, busy=True)
        try:
            for token in stream(
                client,
                question,
                self.model,
                form=self.form,
                max_tokens=max_tokens,
                temperature=temperature,
                probabilities=known,
            ):
                self.tokens.append(token)
                if time.monotonic() - drawn >= PAUSE_SECONDS:
                    self.draw(sure, busy=True)
                    drawn = time.monotonic()
                yield
        except Exception as error:  # whatever it is: nobody sees what a widget's callback raises
            self.trouble = _trouble(error, client)
        if not self.text:
            self.trouble = "The model ended its answer before the first word."
        self.draw(sure)

    def draw(self, sure: bool, *, busy: bool = False) -> None:
        """Put what there is into the widget."""
        self.widget.value = (
            f'<div role="group" aria-label="{escape(self.title)}" aria-busy="{str(busy).lower()}">'
            f"<b>{escape(self.title)}</b><br><small>{escape(self.model)}</small>"
            f'<div style="{_READABLE}">{self.html(sure, titles=not busy)}{" …" if busy else ""}</div></div>'
        )

    def html(self, sure: bool, *, titles: bool = True) -> str:
        """The answer, or what went wrong, as HTML."""
        answer = coloured(self.tokens, titles=titles) if sure else escape(joined(self.tokens))
        return "<br>".join(filter(None, [answer, escape(self.trouble)]))


def _trouble(error: Exception, client: openai.OpenAI) -> str:
    """An error in one sentence, without a key: nothing masks what widgets show."""
    if isinstance(error, openai.APIConnectionError) and host(client).local:
        return host(client).silence
    if isinstance(error, openai.OpenAIError | LessonError):
        return sentence(error, client.api_key)
    return f"The answer broke off ({type(error).__name__}). Ask again."
