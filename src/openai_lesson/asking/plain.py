"""Asking a model, and asking two of them side by side."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import openai
import pandas as pd

from openai_lesson.connection import host
from openai_lesson.display import html_table, text_table
from openai_lesson.errors import LessonError
from openai_lesson.prepare import Form

MAX_TOKENS = 200


def ask(
    client: openai.OpenAI,
    question: str,
    model: str,
    *,
    form: Form | None = None,
    max_tokens: int = MAX_TOKENS,
    temperature: float = 0.0,
) -> str:
    """Ask a model one question.

    Args:
        client: from `connect`.
        question: the question.
        model: the model's name.
        form: ``"completion"`` to have the question continued, ``"chat"`` to have it answered in a conversation.
            Ask a model as it was trained; nothing takes the form that suits the host.
        max_tokens: how long the answer may become.
        temperature: 0 for the likeliest answer, up to 2 for surprises.

    Returns:
        The answer, without spaces at its ends.

    Raises:
        LessonError: there is nothing to ask yet, or the service on this machine is gone.
    """
    if question is ... or model is ...:
        raise LessonError("There are still three dots in this call. Put your own value in their place.")
    try:
        return _ask(client, question, model, form, max_tokens, temperature)
    except openai.APIConnectionError:
        if not host(client).local:
            raise
        raise LessonError(host(client).silence) from None


def _ask(
    client: openai.OpenAI, question: str, model: str, form: Form | None, max_tokens: int, temperature: float
) -> str:
    if (form or host(client).form) == "completion":
        completion = client.completions.create(
            model=model, prompt=question, max_tokens=max_tokens, temperature=temperature
        )
        return completion.choices[0].text.strip()
    chat = client.chat.completions.create(
        model=model,
        messages=[{"role": "user", "content": question}],
        max_completion_tokens=max_tokens,
        temperature=temperature,
    )
    return (chat.choices[0].message.content or "").strip()


@dataclass(frozen=True)
class Comparison:
    """Answers side by side: a table with the columns ``question``, ``base model`` and ``trained model``."""

    table: pd.DataFrame

    def _repr_html_(self) -> str:
        return html_table(self.table)

    def __repr__(self) -> str:
        """The table as text, with the answers wrapped."""
        return text_table(self.table, (26, 38, 38))


def compare(client: openai.OpenAI, questions: Iterable[str], trained: str, base: str | None = None) -> Comparison:
    """Ask the base model and the trained model the same questions.

    The base model is asked in a conversation, the form that its makers trained it in.

    Args:
        client: from `connect`.
        questions: what to ask; one question alone may be a text.
        trained: the fine-tuned model.
        base: the base model (nothing: the one that suits the host).

    Returns:
        The answers, as a table that a notebook shows well.
    """
    base = base or host(client).model
    questions = [questions] if isinstance(questions, str) else questions
    rows = [
        (question, ask(client, question, base, form="chat", max_tokens=60), ask(client, question, trained))
        for question in questions
    ]
    return Comparison(pd.DataFrame(rows, columns=["question", "base model", "trained model"]))
