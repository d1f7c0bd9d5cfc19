"""A playground: one question, two models side by side, and the answers while they come.

It is made of widgets, which need a running kernel. So the same output also holds a static twin, with the first
question and its answers as HTML and as text: for GitHub, for printed pages, for a terminal.

The two answers are streamed in turn, a token of each, in the button's own callback. That needs no thread, and the
text goes into the widgets' values: what threads print into an `Output` widget gets lost.
"""

import time
from collections.abc import Iterator
from html import escape
from itertools import zip_longest
from typing import Any

import ipywidgets as widgets
import openai
import pandas as pd

from openai_data.errors import LessonError
from openai_figures.confidence import Token, coloured, joined, legend
from openai_figures.progress import in_notebook
from openai_figures.tables import Listing
from openai_lesson.asking import MAX_TOKENS, stream
from openai_lesson.connection import host

PAUSE_SECONDS = 0.1
"""How often an answer is drawn at most: Jupyter drops messages if a kernel sends a megabyte in a second."""
_VIEW = "application/vnd.jupyter.widget-view+json"
_READABLE = "line-height: 1.7; white-space: pre-wrap; overflow-wrap: anywhere"


class Pane:
    """One model and its answer, in a widget that is drawn while the answer comes.

    Args:
        title: what the model is, in the learner's words.
        model: its name.
    """

    def __init__(self, title: str, model: str) -> None:
        """Nothing is answered yet."""
        self.title, self.model = title, model
        self.tokens: list[Token] = []
        self.trouble = ""
        self.widget = widgets.HTML(layout=widgets.Layout(flex="1 1 18em", min_width="0", margin="0 1em 0 0"))

    @property
    def text(self) -> str:
        """The answer, or what went wrong."""
        return "\n".join(filter(None, [joined(self.tokens), self.trouble]))

    def answer(self, client: openai.OpenAI, question: str, sure: bool, **how: Any) -> Iterator[None]:
        """Ask, and draw the answer while it comes: one step per token. An error is told as a sentence.

        With `sure`, the probabilities are shown. `how` is what `stream` takes besides.
        """
        self.tokens, self.trouble, drawn = [], "", 0.0
        self.draw(sure, busy=True)
        try:
            for token in stream(client, question, self.model, **how):
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
        """Put what there is into the widget: the answer, or what went wrong."""
        answer = coloured(self.tokens, titles=not busy) if sure else escape(joined(self.tokens))
        said = "<br>".join(filter(None, [answer, escape(self.trouble)]))
        self.widget.value = (
            f'<div role="group" aria-label="{escape(self.title)}" aria-busy="{str(busy).lower()}">'
            f"<b>{escape(self.title)}</b><br><small>{escape(self.model)}</small>"
            f'<div style="{_READABLE}">{said}{" …" if busy else ""}</div></div>'
        )


def _trouble(error: Exception, client: openai.OpenAI) -> str:
    """An error in one sentence, without a key: nothing masks what widgets show."""
    if isinstance(error, openai.APIConnectionError) and host(client).local:
        return host(client).silence
    if isinstance(error, openai.OpenAIError | LessonError):
        from openai_lesson.other_hosts import sentence  # late: there is seldom an error

        return sentence(error, client.api_key)
    return f"The answer broke off ({type(error).__name__}). Ask again."


class Playground:
    """The widgets, and what they do. The arguments are those of `playground`."""

    def __init__(self, client: openai.OpenAI, model: str, question: str) -> None:
        """Nothing is asked yet."""
        self._client = client
        self.panes = (Pane("Base model", host(client).model), Pane("Trained model", model))
        wide = {"description_width": "9em"}
        row = widgets.Layout(width="auto", flex="1 1 auto", max_width="44em")
        self.question = widgets.Text(question, description="Question", style=wide, layout=row)
        self.temperature = widgets.FloatSlider(
            0, min=0, max=2, step=0.1, description="Temperature", style=wide, layout=row
        )
        self.length = widgets.IntSlider(
            60, min=1, max=MAX_TOKENS, description="Length in tokens", style=wide, layout=row
        )
        self.sure = widgets.Checkbox(False, description="Show how sure the model is", indent=False)
        self.button = widgets.Button(description="Ask", tooltip="Ask both models", button_style="primary")
        self.temperature.tooltip = "0: the likeliest answer. 2: surprises."
        self.length.tooltip = "The longest that an answer may become."
        self._legend = widgets.HTML()
        answers = [pane.widget for pane in self.panes]
        self.box = widgets.VBox(
            [
                self.question,
                self.temperature,
                self.length,
                widgets.HBox([self.button, self.sure]),
                widgets.HBox(answers, layout=widgets.Layout(flex_flow="row wrap")),
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
        how = {
            "max_tokens": self.length.value,
            "temperature": self.temperature.value,
            "probabilities": sure or host(self._client).local,
        }
        self.button.disabled = True
        try:
            for _ in zip_longest(*(pane.answer(self._client, question, sure, **how) for pane in self.panes)):
                pass
        finally:
            self.button.disabled = False
            self._legend.value = legend() if sure else ""

    def twin(self) -> Listing:
        """The question and both answers, without widgets."""
        answers = {f"{pane.title}: {pane.model}": pane.text for pane in self.panes}
        return Listing(pd.DataFrame([{"question": self.question.value} | answers]), (26, 38, 38))

    def bundle(self) -> dict[str, Any]:
        """The widgets and their twin, as one output of a notebook."""
        view, twin = self.box._repr_mimebundle_()[_VIEW], self.twin()
        return {_VIEW: view, "text/html": twin._repr_html_(), "text/plain": repr(twin)}

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


def playground(client: openai.OpenAI, model: str, question: str = "What is sin?") -> None:
    """Ask the base model and the trained model side by side, as often as you like.

    The first question is asked at once. In a notebook you can then change everything and ask again. Elsewhere the
    two answers are printed.

    Args:
        client: from `connect`.
        model: the trained model. The base model is the one that suits the host.
        question: the first question.
    """
    made = Playground(client, model, question)
    made.ask()
    if not in_notebook():
        return print(made.twin())
    from IPython.display import display

    display(made.bundle(), raw=True)
