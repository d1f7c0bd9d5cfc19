"""Producing the choices of an answer, whole or streamed.

The endpoints differ in what they ask llama.cpp and in how a choice looks; what happens between is here. A whole
answer is put together from the same pieces as a streamed one, so the two are alike in every detail: a character
that was cut at the end of the answer is in neither.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Literal, cast

from starlette.responses import Response

from openai_local.engine.answering import Answering, Target
from openai_local.engine.lanes import GoneError
from openai_local.service.caller import Caller
from openai_local.service.context import Context
from openai_local.service.errors import APIError
from openai_local.service.formats import Schema
from openai_local.service.logprobs import LEAST, MOST, Reader, Token, read_entry
from openai_local.service.streaming import stream
from openai_local.service.throttle import Load


@dataclass(frozen=True)
class Ask:
    """One request to llama.cpp, for one choice.

    `counts_prompt` is False where its prompt was counted already; with `echo` the prompt is part of the answer;
    with `logprobs` its tokens have log-probabilities too.
    """

    request: dict[str, Any]
    counts_prompt: bool
    echo: bool = False
    logprobs: bool = False


@dataclass(frozen=True)
class Piece:
    """A part of a choice, or all of it.

    `finish` is set in the last piece only, `first` in the first. `offset` counts the characters before it, those
    of the prompt too, where log-probabilities are wanted; `mean_logprob` is that of the answer's tokens.
    """

    index: int
    text: str
    tokens: list[Token]
    finish: Literal["stop", "length"] | None = None
    first: bool = False
    offset: int = 0
    mean_logprob: float = LEAST


@dataclass
class Usage:
    """How many tokens were read and written; `cached` of those read were in llama.cpp's memory already."""

    prompt: int = 0
    cached: int = 0
    completion: int = 0

    def add(self, usage: dict[str, Any], ask: Ask) -> None:
        """Count what llama.cpp says of one choice."""
        if ask.request["max_tokens"]:
            self.completion += usage["completion_tokens"]
        if ask.counts_prompt:
            self.prompt += usage["prompt_tokens"]
            self.cached += usage["prompt_tokens_details"]["cached_tokens"]

    def openai(self) -> dict[str, int]:
        """In the form of completions."""
        return {
            "prompt_tokens": self.prompt,
            "completion_tokens": self.completion,
            "total_tokens": self.prompt + self.completion,
        }


Emit = Callable[[Piece | Usage], bool]


@dataclass(frozen=True)
class Generation:
    """All choices of one answer. It ends when the `caller` has left."""

    service: Context
    caller: Caller
    load: Load
    target: Target
    asks: list[Ask]
    biased: list[int] = field(default_factory=list)
    schema: Schema | None = None

    async def whole(self) -> tuple[list[Piece], Usage]:
        """All choices and their usage.

        Raises:
            AnswerError: llama.cpp refuses a request.
            APIError: 429, or 400 for a schema.
            GoneError: the caller has left.
        """
        usage = Usage()
        async with self.caller:
            with self.load.place():
                await self.load.run(self._check)
                parts = range(len(self.asks))
                pieces = [await self.load.run(partial(self._whole, index, usage)) for index in parts]
        return pieces, usage

    async def streamed(self, encode: Callable[[Piece | Usage | APIError], Iterable[str]]) -> Response:
        """An answer of server-sent events: the pieces of each choice, and the usage at the end.

        Raises:
            AnswerError: llama.cpp refuses the first request.
            APIError, GoneError: as `whole`.
        """

        def told(item: Piece | Usage | Exception) -> Iterable[str]:
            return encode(self.service.explain(item) if isinstance(item, Exception) else item)

        return await stream(self.caller, self.load, self._emit_all, told)

    @property
    def answering(self) -> Answering:
        """What asks llama.cpp."""
        return self.service.answering

    def _check(self) -> None:
        if self.biased:
            self.answering.check_tokens(self.target, self.biased, "logit_bias")
        for prompt in (ask.request.get("prompt") for ask in self.asks if ask.counts_prompt):
            if isinstance(prompt, list):
                self.answering.check_tokens(self.target, prompt, "prompt")
        if self.schema and not self.answering.takes_schema(self.target, self.schema.request()["json_schema"]):
            raise self.schema.refusal()

    def _request(self, ask: Ask) -> dict[str, Any]:
        """llama.cpp always writes a token, so for an answer of none it is asked for one, to be thrown away."""
        schema = self.schema.request() if self.schema else {}
        return {**ask.request, **schema, "max_tokens": ask.request["max_tokens"] or 1}

    def _whole(self, index: int, usage: Usage) -> Piece:
        parts: list[Piece] = []

        def collect(part: Piece | Usage) -> bool:
            parts.append(cast(Piece, part))
            return self.caller.gone

        if self._emit_one(collect, index, usage):
            raise GoneError
        said = [token.logprob for part in parts[self.asks[index].echo :] for token in part.tokens]
        return replace(
            parts[0],
            text="".join(part.text for part in parts),
            tokens=[token for part in parts for token in part.tokens],
            finish=parts[-1].finish,
            mean_logprob=_mean([logprob for logprob in said if logprob is not None]),
        )

    def _emit_all(self, emit: Emit) -> None:
        self._check()
        usage = Usage()
        for index in range(len(self.asks)):
            if self._emit_one(emit, index, usage):
                return
        emit(usage)

    def _emit_one(self, emit: Emit, index: int, usage: Usage) -> bool:
        """Stream one choice. Returns whether the client left."""
        ask, start, reader = self.asks[index], self._start(index), Reader()
        first, offset, left = True, start.offset, False

        def send(text: str, tokens: list[Token], finish: Any = None) -> None:
            nonlocal first, offset, left
            if text or finish:
                left = emit(Piece(index, text, tokens, finish, first, offset))
                first, offset = False, offset + len(text)

        def receive(chunk: dict[str, Any]) -> bool:
            if chunk.get("usage"):
                usage.add(chunk["usage"], ask)
            for choice in chunk["choices"]:
                if first:
                    send(start.text, start.tokens)
                finish = choice["finish_reason"]
                if not ask.request["max_tokens"]:
                    send("", [], finish and "length")
                    continue
                tokens = reader.read(_entries(choice))
                send(choice["text"], tokens)
                if finish == "length":
                    rest = reader.rest()
                    send(b"".join(token.text for token in rest).decode(errors="replace"), rest)
                send("", [], finish)
            return left

        request = {**self._request(ask), "stream_options": {"include_usage": True}}
        self.answering.stream(self.target, request, receive, self._left)
        return left

    def _left(self) -> bool:
        return self.caller.gone

    def _start(self, index: int) -> Piece:
        """What comes before the answer: the echo of the prompt, or nothing."""
        ask = self.asks[index]
        prompt = ask.request.get("prompt", "")
        if not (ask.echo or ask.logprobs):
            return Piece(index, "", [])
        text = prompt if isinstance(prompt, str) else self.answering.text(self.target, prompt)
        if not ask.echo:
            return Piece(index, "", [], offset=len(text))
        return Piece(index, text, self._prompt_tokens(prompt) if ask.logprobs else [])

    def _prompt_tokens(self, prompt: str | list[int]) -> list[Token]:
        tokens = self.answering.tokens(self.target, prompt) if isinstance(prompt, str) else prompt
        scores = self.answering.score(self.target, tokens, MOST, self._left)
        named = [Token(self.answering.text(self.target, tokens[:1]).encode(), None)]
        for score in scores:
            own = bytes(score["bytes"]) or self.answering.text(self.target, [score["id"]]).encode()
            named.append(read_entry(score, own))
        return named


def _mean(logprobs: list[float]) -> float:
    return sum(logprobs) / len(logprobs) if logprobs else LEAST


def _entries(choice: dict[str, Any]) -> list[dict[str, Any]]:
    return choice["logprobs"]["content"] if choice["logprobs"] else []
