"""Producing the choices of a completion or a chat completion, whole or streamed.

The two endpoints differ in what they ask llama.cpp and in how a choice looks; what happens between is here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from openai_local.engine.answering import Answering, Emit, Target
from openai_local.service.streaming import stream

Choice = Callable[[dict[str, Any], int], dict[str, Any]]
"""Turns llama.cpp's choice into OpenAI's; the number is the choice's index."""


@dataclass(frozen=True)
class Ask:
    """One request to llama.cpp, for one choice. `counts_prompt` is False where its prompt was counted already."""

    request: dict[str, Any]
    counts_prompt: bool


@dataclass(frozen=True)
class Generation:
    """All choices of one answer."""

    answering: Answering
    target: Target
    asks: list[Ask]
    chat: bool

    async def whole(self, choice: Choice) -> tuple[list[dict[str, Any]], dict[str, int]]:
        """All choices and their usage.

        Raises:
            AnswerError: llama.cpp refuses a request.
        """
        choices, usage = [], dict[str, int]()
        for index, ask in enumerate(self.asks):
            answer = await run_in_threadpool(self.answering.complete, self.target, ask.request, chat=self.chat)
            choices.append(choice(answer["choices"][0], index))
            _add(usage, answer["usage"], ask)
        return choices, usage

    async def streamed(self, choice: Choice, head: dict[str, Any], *, with_usage: bool) -> Response:
        """An answer of server-sent events, each `head` with one choice; with the usage at the end, if wanted.

        Raises:
            AnswerError: llama.cpp refuses the first request.
        """

        def translate(chunk: dict[str, Any]) -> Iterator[dict[str, Any]]:
            yield {**head, "usage": None, **chunk} if with_usage else {**head, **chunk}

        def produce(emit: Emit) -> None:
            self._emit_all(emit, choice, with_usage)

        return await stream(produce, translate)

    def _emit_all(self, emit: Emit, choice: Choice, with_usage: bool) -> None:
        usage: dict[str, int] = {}
        for index, ask in enumerate(self.asks):
            if self._emit_one(emit, choice, index, ask, usage):
                return
        if with_usage:
            emit({"choices": [], "usage": usage})

    def _emit_one(self, emit: Emit, choice: Choice, index: int, ask: Ask, usage: dict[str, int]) -> bool:
        """Stream one choice. Returns whether the client left."""
        left = False

        def receive(chunk: dict[str, Any]) -> bool:
            nonlocal left
            if chunk.get("usage"):
                _add(usage, chunk["usage"], ask)
            if chunk["choices"]:
                left = emit({"choices": [choice(part, index) for part in chunk["choices"]]})
            return left

        request = {**ask.request, "stream_options": {"include_usage": True}}
        self.answering.stream(self.target, request, receive, chat=self.chat)
        return left


def _add(total: dict[str, int], usage: dict[str, Any], ask: Ask) -> None:
    total["completion_tokens"] = total.get("completion_tokens", 0) + usage["completion_tokens"]
    total["prompt_tokens"] = total.get("prompt_tokens", 0) + (usage["prompt_tokens"] if ask.counts_prompt else 0)
    total["total_tokens"] = total["prompt_tokens"] + total["completion_tokens"]
