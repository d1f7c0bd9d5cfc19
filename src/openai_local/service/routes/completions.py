"""``/v1/completions``: the text that follows a prompt."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

from openai.types import Completion
from openai.types.completion_create_params import CompletionCreateParamsNonStreaming
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from openai_local.engine.answering import Target
from openai_local.engine.journal import new_id
from openai_local.service.context import Context, context
from openai_local.service.contract import contract
from openai_local.service.errors import APIError
from openai_local.service.parameters import read_body, refuse
from openai_local.service.sampling import SHARED, add_usage, check_ranges, sampling
from openai_local.service.streaming import stream

_CREATE = contract(CompletionCreateParamsNonStreaming, stream=bool | None)
_OFFERED = SHARED | {"prompt"}
_HARMLESS = {"echo": False, "best_of": 1}
MAX_TOKENS = 16


async def create(request: Request) -> Response:
    """Complete one or several prompts."""
    service, body = context(request), await read_body(request, _CREATE)
    refuse(body, _OFFERED, _HARMLESS)
    check_ranges(body)
    name, target = service.target(body["model"])
    head = {"id": new_id("cmpl"), "object": "text_completion", "created": int(time.time()), "model": name}
    if body.get("stream"):
        return await _stream(service, target, head, body)
    choices, usage = [], dict[str, int]()
    for index, (first, asked) in enumerate(_requests(body)):
        answer = await run_in_threadpool(service.answering.complete, target, asked)
        choices.append(_choice(answer["choices"][0], index))
        add_usage(usage, answer["usage"], prompt=first)
    whole = Completion.model_validate({**head, "choices": choices, "usage": usage})
    return JSONResponse(whole.to_dict(mode="json", exclude_unset=False, exclude_none=False))


def _requests(body: dict[str, Any]) -> Iterator[tuple[bool, dict[str, Any]]]:
    """One llama.cpp request per choice, and whether it is the first of its prompt."""
    for prompt in _prompts(body["prompt"]):
        for choice in range(body.get("n", 1)):
            chosen = sampling(body, max_tokens=body.get("max_tokens", MAX_TOKENS), choice=choice)
            yield choice == 0, {"prompt": prompt, **chosen}


def _prompts(prompt: Any) -> list[Any]:
    """A list of texts or of lists of tokens, from any of OpenAI's four forms."""
    if isinstance(prompt, str) or (prompt and all(isinstance(item, int) for item in prompt)):
        prompt = [prompt]
    if not prompt or not all(prompt):
        message = "'prompt' is empty: there is nothing to continue."
        raise APIError(400, message, param="prompt", code="invalid_value")
    return prompt


def _choice(choice: dict[str, Any], index: int) -> dict[str, Any]:
    return {
        "index": index,
        "text": choice["text"],
        "logprobs": None,
        "finish_reason": choice["finish_reason"],
    }


async def _stream(service: Context, target: Target, head: dict[str, Any], body: dict[str, Any]) -> Response:
    wanted = (body.get("stream_options") or {}).get("include_usage", False)
    usage: dict[str, int] = {}

    def produce(emit: Callable[[dict[str, Any]], bool]) -> None:
        for index, (first, asked) in enumerate(_requests(body)):
            stopped = False

            def numbered(chunk: dict[str, Any], index: int = index, first: bool = first) -> bool:
                nonlocal stopped
                if chunk.get("usage"):
                    add_usage(usage, chunk["usage"], prompt=first)
                stopped = emit({"choices": [_choice(choice, index) for choice in chunk["choices"]]})
                return stopped

            service.answering.stream(target, {**asked, "stream_options": {"include_usage": True}}, numbered)
            if stopped:
                return
        if wanted:
            emit({"choices": [], "usage": usage})

    def translate(chunk: dict[str, Any]) -> Iterator[dict[str, Any]]:
        if chunk["choices"] or "usage" in chunk:
            yield {**head, "usage": None, **chunk} if wanted else {**head, **chunk}

    return await stream(produce, translate)


ROUTES = [Route("/completions", create, methods=["POST"])]
