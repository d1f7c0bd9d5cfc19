"""A playground: one question, two models side by side, and the answers while they come.

It is made of widgets, which need a running kernel. So the same output also holds a static twin, with the first
question and its answers as HTML and as text: for GitHub, for printed pages, for a terminal.

The two answers are streamed in turn, a token of each, in the button's own callback. That needs no thread, and the
text goes into the widgets' values: what threads print into an `Output` widget gets lost.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from html import escape
from itertools import zip_longest
from typing import Any

import ipywidgets as widgets
import openai
import pandas as pd

from openai_data import Form
from openai_data.errors import LessonError
from openai_figures.figure import Figure
from openai_figures.progress import in_notebook
from openai_figures.tables import text_table
from openai_lesson.asking import Token, stream
from openai_lesson.connection import host, sentence
from openai_lesson.probabilities import coloured, joined, legend

_VIEW = "application/vnd.jupyter.widget-view+json"
_LONGEST = 200
_CELL = "text-align: left; vertical-align: top; white-space: pre-wrap"


class Playground:
    """The widgets, and what they do.

    Args:
        client: from `connect`.
        model: the trained model. It is asked as the host trains.
        base: the base model (nothing: the one that suits the host). It is asked in a conversation.
        question: the first question.
        temperature: where the slider stands at first.
        max_tokens: where the other slider stands at first.
        sure: whether the probabilities are shown at first.
    """

    def __init__(
        self,
        client: openai.OpenAI,
        model: str,
        base: str | None,
        question: str,
        temperature: float,
        max_tokens: int,
        sure: bool,
    ) -> None:
        """Nothing is asked yet."""
        self._client, suits = client, host(client)
        self.panes = (Pane("Base model", base or suits.model, "chat"), Pane("Trained model", model, suits.form))
        wide = {"description_width": "9em"}
        row = widgets.Layout(width="auto", flex="1 1 auto", max_width="44em")
        self.question = widgets.Text(question, description="Question", style=wide, layout=row)
        self.temperature = widgets.FloatSlider(
            temperature, min=0, max=2, step=0.1, description="Temperature", style=wide, layout=row
        )
        self.length = widgets.IntSlider(
            max_tokens, min=1, max=_LONGEST, description="Length in tokens", style=wide, layout=row
        )
        self.sure = widgets.Checkbox(sure, description="Show how sure the model is", indent=False)
        self.button = widgets.Button(description="Ask", tooltip="Ask both models", button_style="primary")
        self.temperature.tooltip = "0: the likeliest answer. 2: surprises."
        self.length.tooltip = "The longest that an answer may become."
        self._legend = widgets.HTML()
        self.box = widgets.VBox(
            [
                self.question,
                self.temperature,
                self.length,
                widgets.HBox([self.button, self.sure]),
                widgets.HBox([pane.widget for pane in self.panes], layout=widgets.Layout(flex_flow="row wrap")),
                self._legend,
            ]
        )
        self.button.on_click(lambda _: self.ask())
        self.question.on_msg(self._typed)
        self.sure.observe(lambda _: self._switched(), "value")

    def ask(self) -> None:
        """Ask both models what the field says, as the sliders stand. An error is told in the model's pane."""
        question, sure = self.question.value.strip(), self.sure.value
        if not question or self.button.disabled:
            return
        known = sure or host(self._client).local
        self.button.disabled = True
        try:
            turns = [
                pane.answer(self._client, question, self.length.value, self.temperature.value, sure, known)
                for pane in self.panes
            ]
            for _ in zip_longest(*turns):
                pass
        finally:
            self.button.disabled = False
            self._legend.value = legend() if sure else ""

    def twin(self) -> Figure:
        """The question and both answers, without widgets."""
        question, (base, trained) = self.question.value, self.panes
        names = [f"{pane.title}: {pane.model}" for pane in self.panes]
        table = pd.DataFrame([[question, base.text, trained.text]], columns=["question", *names])
        cells = "".join(f'<td style="{_CELL}">{pane.html(self.sure.value)}</td>' for pane in self.panes)
        heads = "".join(f'<th scope="col" style="text-align: left">{escape(name)}</th>' for name in names)
        html = (
            f'<table><caption style="text-align: left">{escape(question)}</caption>'
            f"<thead><tr>{heads}</tr></thead><tbody><tr>{cells}</tr></tbody></table>"
        )
        return Figure(text_table(table, (26, 38, 38)), html=html + (legend() if self.sure.value else ""))

    def bundle(self) -> dict[str, Any]:
        """The widgets and their twin, as one output of a notebook."""
        return {_VIEW: self.box._repr_mimebundle_()[_VIEW], **self.twin().bundle()}

    def _typed(self, _: Any, content: dict[str, Any], __: Any) -> None:
        """Enter. What the field offers instead, a change of its value, also comes when a learner leaves it."""
        if content.get("event") == "submit":
            self.ask()

    def _switched(self) -> None:
        """Show or hide the probabilities; ask again only if they are not known."""
        sure = self.sure.value
        if sure and any(token.probability is None for pane in self.panes for token in pane.tokens):
            return self.ask()
        for pane in self.panes:
            pane.draw(sure)
        self._legend.value = legend() if sure else ""


def playground(
    client: openai.OpenAI,
    model: str,
    base: str | None = None,
    question: str = "What is sin?",
    *,
    temperature: float = 0.0,
    max_tokens: int = 60,
    sure: bool = False,
) -> None:
    """Ask the base model and the trained model side by side, as often as you like.

    The first question is asked at once. In a notebook you can then change everything and ask again. Elsewhere the
    two answers are printed.

    Args:
        client: from `connect`.
        model: the trained model.
        base: the base model (nothing: the one that suits the host).
        question: the first question.
        temperature: 0 for the likeliest answer, up to 2 for surprises.
        max_tokens: how long an answer may become, 1 to 200 tokens.
        sure: whether the tokens are coloured by their probability.
    """
    made = Playground(client, model, base, question, temperature, max_tokens, sure)
    made.ask()
    if not in_notebook():
        return print(made.twin().text)
    from IPython.display import display

    display(made.bundle(), raw=True)


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
