"""Asking a model, and asking two of them side by side."""

from __future__ import annotations

from collections.abc import Iterable

import openai
import pandas as pd

from openai_lesson.connection import host
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
    """
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


def compare(
    client: openai.OpenAI, questions: Iterable[str], trained: str, base: str | None = None
) -> pd.DataFrame:
    """Ask the base model and the trained model the same questions.

    The base model is asked in a conversation, the form that its makers trained it in.

    Args:
        client: from `connect`.
        questions: what to ask.
        trained: the fine-tuned model.
        base: the base model (nothing: the one that suits the host).

    Returns:
        A table with the columns ``question``, ``base model`` and ``trained model``.
    """
    base = base or host(client).model
    rows = [
        (question, ask(client, question, base, form="chat", max_tokens=60), ask(client, question, trained))
        for question in questions
    ]
    return pd.DataFrame(rows, columns=["question", "base model", "trained model"])
