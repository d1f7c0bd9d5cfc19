"""``/v1/chat/completions``: the assistant's next message."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from openai.types.chat import ChatCompletion
from openai.types.chat.completion_create_params import CompletionCreateParamsNonStreaming
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from openai_local.engine.examples import ROLES
from openai_local.engine.journal import new_id
from openai_local.service.context import context
from openai_local.service.contract import contract
from openai_local.service.errors import APIError
from openai_local.service.generation import Ask, Generation
from openai_local.service.parameters import read_body, refuse
from openai_local.service.sampling import SHARED, check_ranges, sampling, wants_usage

_CREATE = contract(CompletionCreateParamsNonStreaming, stream=bool | None)
_OFFERED = SHARED | {"messages", "max_completion_tokens", "metadata"}
_HARMLESS = {
    "logprobs": False,
    "store": False,
    "modalities": ["text"],
    "response_format": {"type": "text"},
    "service_tier": "auto",
}


async def create(request: Request) -> Response:
    """Answer a conversation."""
    service, body = context(request), await read_body(request, _CREATE)
    refuse(body, _OFFERED, _HARMLESS)
    check_ranges(body)
    messages = _messages(body["messages"])
    name, target = service.target(body["model"])
    head = {"id": new_id("chatcmpl"), "created": int(time.time()), "model": name}
    generation = Generation(service.answering, target, list(_asks(body, messages)), chat=True)
    if body.get("stream"):
        head["object"] = "chat.completion.chunk"
        return await generation.streamed(_delta, head, with_usage=wants_usage(body))
    choices, usage = await generation.whole(_choice)
    whole = ChatCompletion.model_validate(
        {**head, "object": "chat.completion", "choices": choices, "usage": usage}
    )
    return JSONResponse(whole.to_dict(mode="json"))


def _messages(messages: list[dict[str, Any]]) -> list[dict[str, str]]:
    """Roles and texts, as the chat template wants them.

    Raises:
        APIError: 400 for anything but text.
    """
    if not messages:
        raise APIError(400, "'messages' is empty.", param="messages", code="invalid_value")
    return [_message(message, f"messages[{number}]") for number, message in enumerate(messages)]


def _message(message: dict[str, Any], param: str) -> dict[str, str]:
    role, content = message["role"], message.get("content")
    if role not in ROLES or message.get("tool_calls"):
        error = f"This service knows messages of {', '.join(ROLES)}, without tools."
        raise APIError(400, error, param=param, code="unsupported_value")
    if isinstance(content, list) and all(part.get("type") == "text" for part in content):
        content = "".join(part["text"] for part in content)
    if not isinstance(content, str):
        raise APIError(400, "This service reads text only.", param=f"{param}.content", code="unsupported_value")
    return {"role": "system" if role == "developer" else role, "content": content}


def _asks(body: dict[str, Any], messages: list[dict[str, str]]) -> Iterator[Ask]:
    most = body.get("max_completion_tokens", body.get("max_tokens", -1))
    for choice in range(body.get("n", 1)):
        request = {"messages": messages, **sampling(body, max_tokens=most, choice=choice)}
        yield Ask(request, counts_prompt=choice == 0)


def _choice(choice: dict[str, Any], index: int) -> dict[str, Any]:
    message = {"role": "assistant", "content": choice["message"]["content"] or "", "refusal": None}
    return {"index": index, "message": message, "logprobs": None, "finish_reason": choice["finish_reason"]}


def _delta(choice: dict[str, Any], index: int) -> dict[str, Any]:
    delta = {name: value or "" for name, value in choice["delta"].items() if name in ("role", "content")}
    return {"index": index, "delta": delta, "logprobs": None, "finish_reason": choice["finish_reason"]}


ROUTES = [Route("/chat/completions", create, methods=["POST"])]
