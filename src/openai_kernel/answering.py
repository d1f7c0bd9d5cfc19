"""Asking a model so that the answer can be shown while it comes: what is behind ``%%ask``."""

from __future__ import annotations

from collections.abc import Iterator

import openai

from openai_data import Form
from openai_data.errors import LessonError
from openai_lesson.asking import stream
from openai_lesson.training import latest_model


def answer(
    question: str, model: str | None, form: Form | None, max_tokens: int, temperature: float
) -> Iterator[str]:
    """Ask, and give the answer piece by piece.

    Args:
        question: what to ask.
        model: the model (nothing: the one that was trained last).
        form: nothing takes what suits: a trained model is asked as this host trains, any other in a conversation.
        max_tokens: how long the answer may become.
        temperature: 0 for the likeliest answer, up to 2 for surprises.

    Raises:
        LessonError: there is nothing to ask, or no such model.
    """
    if not question:
        raise LessonError("There is nothing to ask. Write the question into the lines below %%ask.")
    client = openai.OpenAI()
    model = model or latest_model(client)
    try:
        for token in stream(
            client,
            question,
            model,
            chat=None if form is None else form == "chat",
            max_tokens=max_tokens,
            temperature=temperature,
        ):
            yield token.text
    except openai.NotFoundError as error:
        names = ", ".join(known.id for known in client.models.list())
        raise LessonError(
            f"{error.body['message'] if isinstance(error.body, dict) else error}\nThere are: {names}"
        ) from None
