"""Asking a model, and asking two of them side by side."""

from __future__ import annotations

import codecs
import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import openai
import pandas as pd

from openai_data import Form
from openai_data.errors import LessonError
from openai_figures.tables import html_table, text_table
from openai_lesson.connection import host

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


CANDIDATES = 5
"""How many of the likeliest tokens are asked for at each place: the most that the completions endpoint gives."""
_BYTES = re.compile(r"bytes:( ?(?:\\x[0-9a-f]{2})+)")
"""How completions write a token that is a part of a character: ``bytes:\\xe2\\x80``."""

Candidate = tuple[str, float]
"""A token's text, and its probability from 0 to 1."""


@dataclass(frozen=True)
class Token:
    """A token of an answer.

    Args:
        text: its text, with the space before it.
        probability: from 0 to 1; nothing if the host did not say.
        others: the likeliest of the other tokens that could have stood there, the likeliest first. The end of the
            answer is one too, and has no text.
    """

    text: str
    probability: float | None = None
    others: tuple[Candidate, ...] = ()


def stream(
    client: openai.OpenAI,
    question: str,
    model: str,
    *,
    form: Form,
    max_tokens: int,
    temperature: float = 0.0,
    probabilities: bool = False,
) -> Iterator[Token]:
    """Ask a model one question, and give the answer while it comes.

    Args:
        client: from `connect`.
        question: the question.
        model: the model's name.
        form: ``"completion"`` to have the question continued, ``"chat"`` to have it answered in a conversation.
        max_tokens: how long the answer may become.
        temperature: 0 for the likeliest answer, up to 2 for surprises.
        probabilities: whether each token comes with its probability.

    Returns:
        The tokens. Without probabilities they may be pieces of several tokens.

    Raises:
        openai.OpenAIError: the host can't be reached, or refuses the question.
    """
    if form == "completion":
        return _continue(client, question, model, max_tokens, temperature, probabilities)
    return _converse(client, question, model, max_tokens, temperature, probabilities)


def _continue(
    client: openai.OpenAI, question: str, model: str, max_tokens: int, temperature: float, probabilities: bool
) -> Iterator[Token]:
    more: dict[str, Any] = {"logprobs": CANDIDATES} if probabilities else {}
    reader = _Reader()
    with client.completions.create(
        model=model, prompt=question, max_tokens=max_tokens, temperature=temperature, stream=True, **more
    ) as chunks:
        for choice in (choice for chunk in chunks for choice in chunk.choices):
            said = choice.logprobs
            if not (said and said.tokens and said.token_logprobs):
                yield from _plain(choice.text)
                continue
            tables = said.top_logprobs or [{}] * len(said.tokens)
            for name, logprob, table in zip(said.tokens, said.token_logprobs, tables, strict=True):
                others = [pair for pair in (table or {}).items() if pair[0] != name]
                yield from reader.read(_raw(name), logprob, others)


def _converse(
    client: openai.OpenAI, question: str, model: str, max_tokens: int, temperature: float, probabilities: bool
) -> Iterator[Token]:
    more: dict[str, Any] = {"logprobs": True, "top_logprobs": CANDIDATES} if probabilities else {}
    reader = _Reader()
    with client.chat.completions.create(
        model=model,
        messages=[{"role": "user", "content": question}],
        max_completion_tokens=max_tokens,
        temperature=temperature,
        stream=True,
        **more,
    ) as chunks:
        for choice in (choice for chunk in chunks for choice in chunk.choices):
            if not (choice.logprobs and choice.logprobs.content):
                yield from _plain(choice.delta.content)
                continue
            for entry in choice.logprobs.content:
                raw = entry.token.encode() if entry.bytes is None else bytes(entry.bytes)
                others = [(top.token, top.logprob) for top in entry.top_logprobs if top.bytes != entry.bytes]
                yield from reader.read(raw, entry.logprob, others)


def _plain(text: str | None) -> Iterator[Token]:
    if text:
        yield Token(text)


def _raw(name: str) -> bytes:
    """The bytes of a token that completions name."""
    if found := _BYTES.fullmatch(name):
        return found[1].encode().decode("unicode_escape").encode("latin-1")
    return name.encode()


class _Reader:
    """Puts together the tokens of one answer that are parts of a character."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._logprob = 0.0

    def read(self, raw: bytes, logprob: float, others: Iterable[Candidate]) -> Iterator[Token]:
        """The next token; `others` have log-probabilities."""
        self._logprob += logprob
        if text := self._decoder.decode(raw):
            likeliest = sorted(others, key=lambda pair: -pair[1])
            candidates = tuple((name, math.exp(other)) for name, other in likeliest)
            yield Token(text, min(1.0, math.exp(self._logprob)), candidates)
            self._logprob = 0.0
