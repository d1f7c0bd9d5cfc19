"""``/v1/completions``: the text that follows a prompt."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from openai.types import Completion
from openai.types.completion_create_params import CompletionCreateParamsNonStreaming
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from openai_local.engine.journal import new_id
from openai_local.service.context import context
from openai_local.service.contract import contract
from openai_local.service.errors import APIError
from openai_local.service.generation import Ask, Generation
from openai_local.service.parameters import read_body, refuse
from openai_local.service.sampling import SHARED, check_ranges, sampling, wants_usage

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
    generation = Generation(service.answering, target, list(_asks(body)), chat=False)
    if body.get("stream"):
        return await generation.streamed(_choice, head, with_usage=wants_usage(body))
    choices, usage = await generation.whole(_choice)
    whole = Completion.model_validate({**head, "choices": choices, "usage": usage})
    return JSONResponse(whole.to_dict(mode="json"))


def _asks(body: dict[str, Any]) -> Iterator[Ask]:
    for prompt in _prompts(body["prompt"]):
        for choice in range(body.get("n", 1)):
            chosen = sampling(body, max_tokens=body.get("max_tokens", MAX_TOKENS), choice=choice)
            yield Ask({"prompt": prompt, **chosen}, counts_prompt=choice == 0)


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


ROUTES = [Route("/completions", create, methods=["POST"])]
