"""Asking models: one answer, two models side by side, and an answer token by token while it comes.

A trained model is asked as its host trains: on this machine it continues a text, as in 2022, and elsewhere it
answers in a conversation. The base model is always asked in a conversation: its makers trained it so.
"""

import codecs
import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import openai
import pandas as pd

from openai_data.errors import LessonError
from openai_figures.tables import Listing
from openai_lesson.connection import host

MAX_TOKENS = 200
"""How long an answer may become unless a learner says otherwise: longer than all but one of the catechism's."""
BASE_TOKENS = 60  # the same for a base model, which seldom ends by itself
CANDIDATES = 5  # so many likely tokens are asked for at each place: the most that completions give
_BYTES = re.compile(r"bytes:( ?(?:\\x[0-9a-f]{2})+)")
"""How completions write a token that is a part of a character: ``bytes:\\xe2\\x80``."""

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


def in_conversation(client: openai.OpenAI, model: str) -> bool:
    """Whether a model is asked in a conversation: the base model is, and others where the host trains so."""
    return host(client).chat or model == host(client).model


def ask(
    client: openai.OpenAI,
    question: str,
    model: str,
    *,
    max_tokens: int = MAX_TOKENS,
    temperature: float = 0.0,
    chat: bool | None = None,
) -> str:
    """Ask a model one question.

    Args:
        client: from `connect`.
        question: the question.
        model: the model's name.
        max_tokens: how long the answer may become.
        temperature: 0 for the likeliest answer, up to 2 for surprises.
        chat: whether the question is put into a conversation, or continued (nothing: see `in_conversation`).

    Returns:
        The answer, without spaces at its ends.

    Raises:
        LessonError: there is nothing to ask yet, or the service on this machine is gone.
    """
    if question is ... or model is ...:
        raise LessonError("There are still three dots in this call. Put your own value in their place.")
    how: Any = {"model": model, "temperature": temperature}
    try:
        if in_conversation(client, model) if chat is None else chat:
            how |= {"messages": [{"role": "user", "content": question}], "max_completion_tokens": max_tokens}
            said = client.chat.completions.create(**how)
            return (said.choices[0].message.content or "").strip()
        return client.completions.create(prompt=question, max_tokens=max_tokens, **how).choices[0].text.strip()
    except openai.APIConnectionError:
        if not host(client).local:
            raise
        raise LessonError(host(client).silence) from None


def compare(client: openai.OpenAI, questions: Iterable[str], trained: str) -> Listing:
    """Ask the base model and the trained model the same questions.

    Args:
        client: from `connect`.
        questions: what to ask; one question alone may be a text.
        trained: the fine-tuned model. The base model is the one that suits the host.

    Returns:
        The answers: a table with the columns ``question``, ``base model`` and ``trained model``.
    """
    base = host(client).model
    questions = [questions] if isinstance(questions, str) else questions
    rows = [
        (question, ask(client, question, base, max_tokens=BASE_TOKENS), ask(client, question, trained))
        for question in questions
    ]
    table = pd.DataFrame(rows, columns=["question", "base model", "trained model"])
    return Listing(table, (26, 38, 38))


def stream(
    client: openai.OpenAI,
    question: str,
    model: str,
    *,
    max_tokens: int,
    temperature: float = 0.0,
    probabilities: bool = False,
    chat: bool | None = None,
) -> Iterator[Token]:
    """Ask a model one question, and give its answer token by token, as it comes.

    Args:
        client: from `connect`.
        question: the question.
        model: the model's name.
        max_tokens: how long the answer may become.
        temperature: 0 for the likeliest answer, up to 2 for surprises.
        probabilities: whether each token comes with its probability. Without, a `Token` may be several.
        chat: as in `ask`.

    Raises:
        openai.OpenAIError: the host can't be reached, or refuses the question.
    """
    how: Any = {"model": model, "temperature": temperature, "stream": True}
    reader = _Reader()
    if in_conversation(client, model) if chat is None else chat:
        how |= {"logprobs": True, "top_logprobs": CANDIDATES} if probabilities else {}
        how |= {"messages": [{"role": "user", "content": question}], "max_completion_tokens": max_tokens}
        with client.chat.completions.create(**how) as chunks:
            for choice in (choice for chunk in chunks for choice in chunk.choices):
                said = choice.logprobs and choice.logprobs.content
                yield from reader.of_chat(said) if said else _plain(choice.delta.content)
        return
    how |= {"logprobs": CANDIDATES} if probabilities else {}
    with client.completions.create(prompt=question, max_tokens=max_tokens, **how) as chunks:
        for choice in (choice for chunk in chunks for choice in chunk.choices):
            told = choice.logprobs and choice.logprobs.tokens and choice.logprobs.token_logprobs
            yield from reader.of_completion(choice.logprobs) if told else _plain(choice.text)


def _plain(text: str | None) -> Iterator[Token]:
    if text:
        yield Token(text)


class _Reader:
    """Makes tokens of what the two endpoints tell, which they do in two forms.

    Both become text and probabilities, instead of bytes and logarithms, and parts of a character are put together.
    """

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._logprob = 0.0

    def of_chat(self, entries: Any) -> Iterator[Token]:
        for entry in entries:
            raw = entry.token.encode() if entry.bytes is None else bytes(entry.bytes)
            others = [(top.token, top.logprob) for top in entry.top_logprobs if top.bytes != entry.bytes]
            yield from self._read(raw, entry.logprob, others)

    def of_completion(self, said: Any) -> Iterator[Token]:
        tables = said.top_logprobs or [{}] * len(said.tokens)
        for name, logprob, table in zip(said.tokens, said.token_logprobs, tables, strict=True):
            part = _BYTES.fullmatch(name)
            raw = part[1].encode().decode("unicode_escape").encode("latin-1") if part else name.encode()
            yield from self._read(raw, logprob, [pair for pair in (table or {}).items() if pair[0] != name])

    def _read(self, raw: bytes, logprob: float, others: Iterable[Candidate]) -> Iterator[Token]:
        self._logprob += logprob
        if text := self._decoder.decode(raw):
            likeliest = sorted(others, key=lambda pair: -pair[1])
            candidates = tuple((name, math.exp(other)) for name, other in likeliest)
            yield Token(text, min(1.0, math.exp(self._logprob)), candidates)
            self._logprob = 0.0
