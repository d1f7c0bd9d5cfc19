"""An answer token by token, while it comes; each with its probability, if that is wanted.

The two endpoints tell probabilities in two forms. Both become a `Token` here: text and probabilities, instead of
bytes and logarithms. A character that the model writes in several tokens, such as an emoji, is one `Token`, and
its probability is the product of theirs.
"""

from __future__ import annotations

import codecs
import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import openai

from openai_lesson.prepare import Form

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
