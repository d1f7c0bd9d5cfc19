"""``/v1/chat/completions``: the assistant's next message."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

from openai.types.chat import ChatCompletion
from openai.types.chat.completion_create_params import CompletionCreateParamsNonStreaming
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from openai_local.engine.answering import Target
from openai_local.engine.examples import ROLES
from openai_local.engine.journal import new_id
from openai_local.service.context import Context, context
from openai_local.service.contract import contract
from openai_local.service.errors import APIError
from openai_local.service.parameters import read_body, refuse
from openai_local.service.sampling import SHARED, add_usage, check_ranges, sampling
from openai_local.service.streaming import stream

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
    if body.get("stream"):
        return await _stream(service, target, head, body, messages)
    choices, usage = [], dict[str, int]()
    for index, asked in enumerate(_requests(body, messages)):
        answer = await run_in_threadpool(service.answering.complete, target, asked, chat=True)
        choices.append(_choice(answer["choices"][0], index))
        add_usage(usage, answer["usage"], prompt=index == 0)
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


def _requests(body: dict[str, Any], messages: list[dict[str, str]]) -> Iterator[dict[str, Any]]:
    most = body.get("max_completion_tokens", body.get("max_tokens", -1))
    for choice in range(body.get("n", 1)):
        yield {"messages": messages, **sampling(body, max_tokens=most, choice=choice)}


def _choice(choice: dict[str, Any], index: int) -> dict[str, Any]:
    message = {"role": "assistant", "content": choice["message"]["content"] or "", "refusal": None}
    return {"index": index, "message": message, "logprobs": None, "finish_reason": choice["finish_reason"]}


async def _stream(
    service: Context,
    target: Target,
    head: dict[str, Any],
    body: dict[str, Any],
    messages: list[dict[str, str]],
) -> Response:
    wanted = (body.get("stream_options") or {}).get("include_usage", False)
    usage: dict[str, int] = {}

    def produce(emit: Callable[[dict[str, Any]], bool]) -> None:
        for index, asked in enumerate(_requests(body, messages)):
            stopped = False

            def numbered(chunk: dict[str, Any], index: int = index) -> bool:
                nonlocal stopped
                if chunk.get("usage"):
                    add_usage(usage, chunk["usage"], prompt=index == 0)
                stopped = emit({"choices": [_delta(choice, index) for choice in chunk["choices"]]})
                return stopped

            asked["stream_options"] = {"include_usage": True}
            service.answering.stream(target, asked, numbered, chat=True)
            if stopped:
                return
        if wanted:
            emit({"choices": [], "usage": usage})

    def translate(chunk: dict[str, Any]) -> Iterator[dict[str, Any]]:
        if chunk["choices"] or "usage" in chunk:
            whole = {**head, "object": "chat.completion.chunk", **chunk}
            yield {"usage": None, **whole} if wanted else whole

    return await stream(produce, translate)


def _delta(choice: dict[str, Any], index: int) -> dict[str, Any]:
    delta = {name: value or "" for name, value in choice["delta"].items() if name in ("role", "content")}
    return {"index": index, "delta": delta, "logprobs": None, "finish_reason": choice["finish_reason"]}


ROUTES = [Route("/chat/completions", create, methods=["POST"])]
