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

from openai_local.service.caller import Caller
from openai_local.service.chunks import chunks
from openai_local.service.context import asked, context
from openai_local.service.contract import contract
from openai_local.service.conversation import read_messages
from openai_local.service.formats import Schema, read_format
from openai_local.service.generation import Ask, Generation, Piece
from openai_local.service.logprobs import content
from openai_local.service.parameters import read_body, refuse
from openai_local.service.sampling import SHARED, biased, check, check_size, invalid, sampling
from openai_local.training.job_folder import new_id

_CREATE = contract(CompletionCreateParamsNonStreaming, stream=bool | None)
_LABELS = {"metadata", "safety_identifier", "prompt_cache_key"}  # as `user`: they change no answer
_OFFERED = SHARED | _LABELS | {"messages", "max_completion_tokens", "logprobs", "top_logprobs", "response_format"}
_HARMLESS = {
    "store": False,
    "modalities": ["text"],
    "service_tier": ("auto", "default"),
    "parallel_tool_calls": (True, False),
    "reasoning_effort": "none",
    "verbosity": "medium",
}


async def create(request: Request) -> Response:
    """Answer a conversation."""
    body = await read_body(request, _CREATE)
    refuse(body, _OFFERED, _HARMLESS)
    check(body, max_tokens=(1, 1 << 20))
    if "top_logprobs" in body and not body.get("logprobs"):
        raise invalid("top_logprobs", "'top_logprobs' needs 'logprobs' to be true.")
    schema = _schema(body)
    asks = list(_asks(body))
    service = context(request)
    name, target, load = await service.store.aside(asked, request, body["model"])
    head = {"id": new_id("chatcmpl"), "created": int(time.time()), "model": name}
    generation = Generation(service, Caller(request), load, target, asks, biased(body), schema)
    if body.get("stream"):
        head["object"] = "chat.completion.chunk"
        return await generation.streamed(chunks(head, lambda piece: _deltas(piece, body), body))
    head["object"] = "chat.completion"
    pieces, usage = await generation.whole()
    choices = [_choice(piece, body) for piece in pieces]
    whole = ChatCompletion.model_validate({**head, "choices": choices, "usage": usage.openai()})
    return JSONResponse(whole.to_dict(mode="json"))


def _schema(body: dict[str, Any]) -> Schema | None:
    wanted = body.get("response_format", {"type": "text"})
    return read_format({**wanted.get("json_schema", {}), "type": wanted["type"]}, "response_format")


def _asks(body: dict[str, Any]) -> Iterator[Ask]:
    if not body["messages"]:
        raise invalid("messages", "'messages' is empty.")
    messages = read_messages(body["messages"], "messages", ("text",))
    limit = "max_tokens" if "max_tokens" in body else "max_completion_tokens"
    most = body.get("max_completion_tokens", body.get("max_tokens", -1))
    check_size(1, body.get("n", 1), most, limit)
    for choice in range(body.get("n", 1)):
        chosen = sampling(body, max_tokens=most, logprobs=body.get("logprobs", False), choice=choice)
        yield Ask({"messages": messages, **chosen}, counts_prompt=choice == 0)


def _choice(piece: Piece, body: dict[str, Any]) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": piece.text, "refusal": None, "annotations": []}
    return {
        "index": piece.index,
        "message": message,
        "logprobs": _logprobs(piece, body),
        "finish_reason": piece.finish,
    }


def _deltas(piece: Piece, body: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The role, the text, and the end, as OpenAI streams them."""
    empty: dict[str, Any] = {"index": piece.index, "delta": {}, "logprobs": None, "finish_reason": None}
    if piece.first:
        yield {**empty, "delta": {"role": "assistant", "content": "", "refusal": None}}
    if piece.text:
        yield {**empty, "delta": {"content": piece.text}, "logprobs": _logprobs(piece, body)}
    if piece.finish:
        yield {**empty, "finish_reason": piece.finish}


def _logprobs(piece: Piece, body: dict[str, Any]) -> dict[str, Any] | None:
    if not body.get("logprobs"):
        return None
    return {"content": content(piece.tokens, body.get("top_logprobs", 0)), "refusal": None}


ROUTES = [Route("/chat/completions", create, methods=["POST"])]
