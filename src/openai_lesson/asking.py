"""Asking models: one answer, two models side by side, an answer while it comes, and how sure a model is of it.

A trained model is asked as its host trains: on this machine it continues a text, as in 2022, and elsewhere it
answers in a conversation. The base model is always asked in a conversation: its makers trained it so.
"""

from __future__ import annotations

import codecs
import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import openai
import pandas as pd

from openai_data.errors import LessonError
from openai_figures import Figure, html_table, text_table
from openai_figures.confidence import coloured, joined, legend, others, percent, visible
from openai_lesson.connection import host

MAX_TOKENS = 200
"""How long an answer may become unless a learner says otherwise: longer than all but one of the catechism's."""
BASE_TOKENS = 60
"""The same for a base model, which seldom ends by itself."""
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
        text: its text, with the space before it. A character of several tokens, such as an emoji, is one `Token`,
            and its probability is the product of theirs.
        probability: from 0 to 1; nothing if the host did not say.
        others: the likeliest of the other tokens that could have stood there, the likeliest first. The end of the
            answer is one too, and has no text.
    """

    text: str
    probability: float | None = None
    others: tuple[Candidate, ...] = ()


@dataclass(frozen=True)
class Comparison:
    """Answers side by side: a table with the columns ``question``, ``base model`` and ``trained model``."""

    table: pd.DataFrame

    def _repr_html_(self) -> str:
        return html_table(self.table)

    def __repr__(self) -> str:
        """The table as text, with the answers wrapped."""
        return text_table(self.table, (26, 38, 38))


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

    @property
    def table(self) -> pd.DataFrame:
        """One row per token: ``token``, ``probability`` (0 to 1), ``others`` (a list of token and probability)."""
        rows = [(token.text, token.probability, list(token.others)) for token in self.tokens]
        return pd.DataFrame(rows, columns=["token", "probability", "others"])

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


def compare(client: openai.OpenAI, questions: Iterable[str], trained: str) -> Comparison:
    """Ask the base model and the trained model the same questions.

    Args:
        client: from `connect`.
        questions: what to ask; one question alone may be a text.
        trained: the fine-tuned model. The base model is the one that suits the host.

    Returns:
        The answers, as a table that a notebook shows well.
    """
    base = host(client).model
    questions = [questions] if isinstance(questions, str) else questions
    rows = [
        (question, ask(client, question, base, max_tokens=BASE_TOKENS), ask(client, question, trained))
        for question in questions
    ]
    return Comparison(pd.DataFrame(rows, columns=["question", "base model", "trained model"]))


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
