"""Producing the choices of an answer, whole or streamed.

The endpoints differ in what they read and in how a choice looks; what happens between is here. A whole answer is
put together from the same pieces as a streamed one, so the two are alike in every detail: a character that was cut
at the end of the answer is in neither.

llama.cpp calls back in a thread of its own; server-sent events go out in the loop, in bursts. The first one goes
at once. Later ones wait a little for each other, as each burst takes time from the cores that write the answer.
"""

import asyncio
import json
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from statistics import fmean
from typing import Any, Literal, cast

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from openai_local.answering.inference import Target
from openai_local.answering.server_pool import GoneError
from openai_local.service.answer_request import AnswerRequest, Conversation, Prompt
from openai_local.service.connections import Caller
from openai_local.service.context import Context, context, identity
from openai_local.service.errors import APIError
from openai_local.service.logprobs import LEAST, MOST, Reader, Token, read_entry
from openai_local.service.throttle import Load
from openai_local.training.job_folder import new_id

START = "<|endoftext|>"  # what an empty prompt means: the beginning of a document
BURST_SECONDS = 0.04  # how long events wait for others, at most


@dataclass(frozen=True)
class Piece:
    """A part of a choice, or all of it."""

    index: int
    text: str
    tokens: list[Token]
    finish: Literal["stop", "length"] | None = None  # in the last piece only
    first: bool = False
    offset: int = 0  # characters before it, those of the prompt too, where log-probabilities are wanted
    mean_logprob: float = LEAST  # of the answer's tokens


@dataclass
class Usage:
    """How many tokens were read and written; `cached` of those read were in llama.cpp's memory already."""

    prompt: int = 0
    cached: int = 0
    completion: int = 0

    def openai(self) -> dict[str, int]:
        """In the form of completions."""
        return {
            "prompt_tokens": self.prompt,
            "completion_tokens": self.completion,
            "total_tokens": self.prompt + self.completion,
        }


Emit = Callable[[Piece | Usage], bool]


def frame(data: dict[str, Any], event: str | None = None) -> str:
    """One server-sent event."""
    return (f"event: {event}\n" if event else "") + f"data: {json.dumps(data)}\n\n"


@dataclass(frozen=True)
class Generation:
    """All choices of one answer. It ends when the `caller` has left."""

    service: Context
    caller: Caller
    load: Load
    model: str  # its full name
    target: Target
    asked: AnswerRequest

    @classmethod
    async def of(cls, request: Request, asked: AnswerRequest) -> "Generation":
        """Find what is asked, and see whether there is room for its answers. Notes that somebody asked.

        Raises `APIError`: there is no such model, or no room; `LocalError`: its base is not on this machine.
        """
        service, who = context(request), identity(request)
        name, target = await service.store.aside(service.target, asked.model, who)
        load = service.share(who)
        load.require_room()  # who is sent away has not asked yet
        service.quota.asked(who)
        return cls(service, Caller(request), load, name, target, asked)

    async def whole(self) -> tuple[list[Piece], Usage]:
        """All choices and their usage; of `best_of` choices of each prompt those that the model finds likeliest.

        Raises `AnswerError`: llama.cpp refuses; `APIError`: 429, or 400 for a schema; `GoneError`: nobody waits.
        """
        usage = Usage()
        async with self.caller.watched():
            with self.load.place():
                await self.load.run(self._check)
                pieces = [await self.load.run(partial(self._whole, index, usage)) for index in self._indices()]
        return self._best(pieces), usage

    async def streamed(self, encode: Callable[[Piece | Usage | APIError], Iterable[str]]) -> Response:
        """An answer of server-sent events: the pieces of each choice, and the usage at the end.

        The first one is awaited, so that an error still gets its status: what `whole` raises before it is raised
        here. `encode` turns what comes into the text of events, also an error that happens later.
        """
        waiting: deque[Piece | Usage | Exception | None] = deque()
        came, loop = asyncio.Event(), asyncio.get_running_loop()

        def emit(item: Piece | Usage) -> bool:
            waiting.append(item)
            if not came.is_set():
                loop.call_soon_threadsafe(came.set)
            return self.caller.gone

        async def work() -> None:
            try:
                with self.load.place():
                    await self.load.run(partial(self._emit_all, emit))
                waiting.append(None)
            except Exception as error:
                waiting.append(error)
            came.set()

        async def burst() -> list[Piece | Usage | Exception | None]:
            """What came since the last burst; at the end None or an exception."""
            await came.wait()
            came.clear()  # before looking, so that nothing is missed
            return [waiting.popleft() for _ in range(len(waiting))]

        task = asyncio.ensure_future(work())
        async with self.caller.watched():
            first = await burst()
        if isinstance(first[0], Exception):
            await task
            raise first[0]

        async def events() -> AsyncIterator[str]:
            items = first
            try:
                while True:
                    said = (self.service.explain(item) if isinstance(item, Exception) else item for item in items)
                    if text := "".join(part for item in said if item is not None for part in encode(item)):
                        yield text
                    if items and (items[-1] is None or isinstance(items[-1], Exception)):
                        return
                    await asyncio.wait({task}, timeout=BURST_SECONDS)
                    items = await burst()
            finally:
                self.caller.gone = True
                await asyncio.shield(task)

        return StreamingResponse(events(), media_type="text/event-stream", headers={"cache-control": "no-cache"})

    def head(self, prefix: str, kind: str) -> dict[str, Any]:
        """What a whole completion, or all chunks of one, begin with. Its id begins with `prefix`."""
        return {"id": new_id(prefix), "object": kind, "created": int(time.time()), "model": self.model}

    async def chunked(
        self, head: dict[str, Any], choices: Callable[[Piece], Iterable[dict[str, Any]]]
    ) -> Response:
        """The stream of completions and chat completions: chunks with one choice each, the usage, and ``[DONE]``.

        `choices` turns a piece into the choices that tell it. Raises what `whole` raises.
        """
        if self.asked.include_usage:
            head = {**head, "usage": None}

        def encode(item: Piece | Usage | APIError) -> Iterator[str]:
            if isinstance(item, Piece):
                yield from (frame({**head, "choices": [choice]}) for choice in choices(item))
            elif isinstance(item, APIError):
                yield frame(item.body())
            else:
                if self.asked.include_usage:
                    yield frame({**head, "choices": [], "usage": item.openai()})
                yield "data: [DONE]\n\n"

        return await self.streamed(encode)

    def _indices(self) -> range:
        """The choices, those to the same prompt beside each other."""
        return range(len(self.asked.prompts) * self.asked.best_of)

    def _prompt(self, index: int) -> Prompt:
        return self.asked.prompts[index // self.asked.best_of]

    def _echoes(self, index: int) -> bool:
        return self.asked.echo and self._prompt(index) != ""

    def _check(self) -> None:
        if biased := [*self.asked.sampling.logit_bias]:
            self.service.answering.check_tokens(self.target, biased, "logit_bias")
        for prompt in self.asked.prompts:
            if not isinstance(prompt, str | Conversation):
                self.service.answering.check_tokens(self.target, prompt, "prompt")
        if (schema := self.asked.schema) and not self.service.answering.takes_schema(self.target, schema.llama):
            raise schema.refusal()

    def _request(self, index: int) -> dict[str, Any]:
        """What llama.cpp is asked for a choice. It always writes a token: for an answer of none, one to drop."""
        asked, prompt = self.asked, self._prompt(index)
        logprobs = asked.logprobs is not None or asked.best_of > asked.n
        request = asked.sampling.llama(index % asked.best_of, logprobs=logprobs)
        request |= {"max_tokens": request["max_tokens"] or 1, "stream_options": {"include_usage": True}}
        request["messages" if isinstance(prompt, Conversation) else "prompt"] = prompt or START
        if asked.schema:
            request["json_schema"] = asked.schema.llama
        return request

    def _best(self, pieces: list[Piece]) -> list[Piece]:
        """The `n` best of each prompt's choices, by their mean log-probability per token."""
        n, tries = self.asked.n, self.asked.best_of
        if tries == n:
            return pieces
        prompts = [pieces[start : start + tries] for start in range(0, len(pieces), tries)]
        best = [piece for tried in prompts for piece in sorted(tried, key=lambda one: -one.mean_logprob)[:n]]
        return [replace(piece, index=index) for index, piece in enumerate(best)]

    def _whole(self, index: int, usage: Usage) -> Piece:
        parts: list[Piece] = []

        def collect(part: Piece | Usage) -> bool:
            parts.append(cast(Piece, part))
            return self.caller.gone

        if self._emit_one(collect, index, usage):
            raise GoneError
        said = (token.logprob for part in parts[self._echoes(index) :] for token in part.tokens)
        known = [logprob for logprob in said if logprob is not None]
        return replace(
            parts[0],
            text="".join(part.text for part in parts),
            tokens=[token for part in parts for token in part.tokens],
            finish=parts[-1].finish,
            mean_logprob=fmean(known) if known else LEAST,
        )

    def _emit_all(self, emit: Emit) -> None:
        self._check()
        usage = Usage()
        for index in self._indices():
            if self._emit_one(emit, index, usage):
                return
        emit(usage)

    def _emit_one(self, emit: Emit, index: int, usage: Usage) -> bool:
        """Stream one choice. Returns whether the client left."""
        start, reader, nothing = self._start(index), Reader(), not self.asked.sampling.max_tokens
        first, offset, left = True, start.offset, False

        def send(text: str, tokens: list[Token], finish: Any = None) -> None:
            nonlocal first, offset, left
            if text or finish:
                left = emit(Piece(index, text, tokens, finish, first, offset))
                first, offset = False, offset + len(text)

        def receive(chunk: dict[str, Any]) -> bool:
            if said := chunk.get("usage"):
                usage.completion += 0 if nothing else said["completion_tokens"]
                if index % self.asked.best_of == 0:  # a prompt counts once
                    usage.prompt += said["prompt_tokens"]
                    usage.cached += said["prompt_tokens_details"]["cached_tokens"]
            for choice in chunk["choices"]:
                if first:
                    send(start.text, start.tokens)
                finish = choice["finish_reason"]
                if nothing:
                    send("", [], finish and "length")
                    continue
                tokens = reader.read(choice["logprobs"]["content"] if choice["logprobs"] else [])
                send(choice["text"], tokens)
                if finish == "length":
                    rest = reader.rest()
                    send(b"".join(token.text for token in rest).decode(errors="replace"), rest)
                send("", [], finish)
            return left

        self.service.answering.stream(self.target, self._request(index), receive, lambda: self.caller.gone)
        return left

    def _start(self, index: int) -> Piece:
        """What comes before the answer: the echo of the prompt, or nothing. Offsets count its text too."""
        prompt, logprobs = self._prompt(index) or START, self.asked.logprobs is not None
        if isinstance(prompt, Conversation) or not (self._echoes(index) or logprobs):
            return Piece(index, "", [])
        text = prompt if isinstance(prompt, str) else self.service.answering.text(self.target, prompt)
        if not self._echoes(index):
            return Piece(index, "", [], offset=len(text))
        return Piece(index, text, self._prompt_tokens(prompt) if logprobs else [])

    def _prompt_tokens(self, prompt: str | list[int]) -> list[Token]:
        tokens = self.service.answering.tokens(self.target, prompt) if isinstance(prompt, str) else prompt
        scores = self.service.answering.score(self.target, tokens, MOST, lambda: self.caller.gone)
        named = [Token(self.service.answering.text(self.target, tokens[:1]).encode(), None)]
        for score in scores:
            own = bytes(score["bytes"]) or self.service.answering.text(self.target, [score["id"]]).encode()
            named.append(read_entry(score, own))
        return named
