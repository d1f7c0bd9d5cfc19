"""Asking models: one answer, two models side by side, and an answer token by token while it comes.

A trained model is asked as its host trains: on this machine it continues a text, as in 2022, and elsewhere it
answers in a conversation. The base model is always asked in a conversation: its makers trained it so.
"""

import codecs
import math
import re
from collections.abc import Iterable, Iterator
from typing import Any

import openai
import pandas as pd

from openai_data.errors import LessonError
from openai_figures.confidence import Answer, Candidate, Token
from openai_figures.tables import Listing
from openai_lesson.connection import host

MAX_TOKENS = 200
"""How long an answer may become unless a learner says otherwise: longer than all but one of the catechism's."""
BASE_TOKENS = 60  # the same for a base model, which seldom ends by itself
CANDIDATES = 5  # so many likely tokens are asked for at each place: the most that completions give
_BYTES = re.compile(r"bytes:( ?(?:\\x[0-9a-f]{2})+)")
"""How completions write a token that is a part of a character: ``bytes:\\xe2\\x80``."""


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
    chat = in_conversation(client, model) if chat is None else chat
    try:
        said = _send(client, question, model, chat, max_tokens, temperature=temperature).choices[0]
    except openai.APIConnectionError:
        if not host(client).local:
            raise
        raise LessonError(host(client).silence) from None
    return ((said.message.content if chat else said.text) or "").strip()


def _send(
    client: openai.OpenAI, question: str, model: str, chat: bool, max_tokens: int, sure: bool = False, **how: Any
) -> Any:
    """What the client answers. With `sure`, the probabilities come too."""
    how |= {"model": model}
    if chat:
        how |= {"logprobs": True, "top_logprobs": CANDIDATES} if sure else {}
        messages: Any = [{"role": "user", "content": question}]
        return client.chat.completions.create(messages=messages, max_completion_tokens=max_tokens, **how)
    how |= {"logprobs": CANDIDATES} if sure else {}
    return client.completions.create(prompt=question, max_tokens=max_tokens, **how)


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


def how_sure(client: openai.OpenAI, question: str, model: str, *, max_tokens: int = 60) -> Answer:
    """Ask a model one question, and find out how sure it is of each token of its answer.

    Args:
        client, question, model, max_tokens: as in `ask`.

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
        client, question, model, max_tokens, temperature, chat: as in `ask`.
        probabilities: whether each token comes with its probability. Without, a `Token` may be several.

    Raises:
        openai.OpenAIError: the host can't be reached, or refuses the question.
    """
    chat = in_conversation(client, model) if chat is None else chat
    how = {"temperature": temperature, "stream": True}
    reader = _Reader()
    with _send(client, question, model, chat, max_tokens, probabilities, **how) as chunks:
        for choice in (choice for chunk in chunks for choice in chunk.choices):
            told, text = choice.logprobs, choice.delta.content if chat else choice.text
            if told and (told.content if chat else told.tokens and told.token_logprobs):
                yield from reader.of_chat(told.content) if chat else reader.of_completion(told)
            elif text:
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
