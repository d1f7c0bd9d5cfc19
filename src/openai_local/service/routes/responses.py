"""``/v1/responses``: OpenAI's newer form of a conversation, for text in and text out.

Unlike OpenAI's, nothing is kept: a response can't be fetched, deleted or continued by its id. The next request
sends the conversation along.
"""

from __future__ import annotations

from typing import Any, Required

from openai.types.responses.response_create_params import ResponseCreateParamsNonStreaming
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from openai_local.service.caller import Caller
from openai_local.service.context import asked, context
from openai_local.service.contract import contract
from openai_local.service.conversation import read_messages
from openai_local.service.errors import APIError, brief
from openai_local.service.formats import Schema, read_format
from openai_local.service.generation import Ask, Generation
from openai_local.service.parameters import read_body, refuse
from openai_local.service.response import Reply
from openai_local.service.sampling import check, check_text, invalid, sampling

_CREATE = contract(
    ResponseCreateParamsNonStreaming,
    stream=bool | None,
    model=Required[str],
    input=Required[str | list[dict[str, Any]]],  # of the client's thirty kinds of items, messages are offered
)
_OFFERED = frozenset(
    """model input instructions max_output_tokens temperature top_p stream stream_options text top_logprobs include
    metadata user safety_identifier prompt_cache_key""".split()
)
_HARMLESS = {
    "store": False,
    "background": False,
    "tools": [],
    "tool_choice": ("auto", "none"),
    "parallel_tool_calls": (True, False),
    "service_tier": ("auto", "default"),
    "truncation": "disabled",
    "reasoning": ({}, {"effort": "none"}),
}
_LOGPROBS = "message.output_text.logprobs"


async def create(request: Request) -> Response:
    """Answer a text or a conversation."""
    body = await read_body(request, _CREATE)
    refuse(body, _OFFERED, _HARMLESS)
    check(body)
    _refuse_more(body)
    schema, ask = _schema(body), _ask(body)
    service = context(request)
    name, target, load = await service.store.aside(asked, request, body["model"])
    generation = Generation(service, Caller(request), load, target, [ask], schema=schema)
    reply = Reply(name, body)
    if body.get("stream"):
        return await generation.streamed(reply.encode)
    [piece], usage = await generation.whole()
    return JSONResponse(reply.whole(piece, usage))


def _refuse_more(body: dict[str, Any]) -> None:
    refuse({f"include[{what}]": what for what in body.get("include", []) if what != _LOGPROBS}, frozenset(), {})
    text = {f"text.{name}": value for name, value in body.get("text", {}).items()}
    refuse(text, frozenset({"text.format"}), {"text.verbosity": (None, "medium")})


def _schema(body: dict[str, Any]) -> Schema | None:
    return read_format(body.get("text", {}).get("format") or {"type": "text"}, "text.format")


def _ask(body: dict[str, Any]) -> Ask:
    logprobs = _LOGPROBS in body.get("include", []) or body.get("top_logprobs", 0) > 0
    chosen = sampling(body, max_tokens=body.get("max_output_tokens", -1), logprobs=logprobs)
    return Ask({"messages": _messages(body), **chosen}, counts_prompt=True)


def _messages(body: dict[str, Any]) -> list[dict[str, str]]:
    given = body["input"]
    if not given:
        raise invalid("input", "'input' is empty: there is nothing to answer.")
    if isinstance(given, str):
        given = [{"role": "user", "content": given}]
    for number, item in enumerate(given):
        if item.get("type", "message") != "message":
            message = f"This service reads messages only, not items of the type {brief(str(item['type']))!r}."
            raise APIError(400, message, param=f"input[{number}].type", code="unsupported_value")
    instructions = [{"role": "system", "content": body["instructions"]}] if "instructions" in body else []
    if "instructions" in body:
        check_text(body["instructions"], "instructions")
    return instructions + read_messages(given, "input", ("input_text", "output_text"))


ROUTES = [Route("/responses", create, methods=["POST"])]
