"""``/v1/responses``: OpenAI's newer form of a conversation, for text in and text out.

Unlike OpenAI's, nothing is kept: a response can't be fetched, deleted or continued by its id. The next request
sends the conversation along.

A response here has one message with one text. When it is streamed, the events come in OpenAI's order: the response
is created and in progress, an item and a part of it begin, the text comes in deltas, and all of them end again.
"""

import time
from collections.abc import Iterator
from typing import Any, Required

from openai.types import responses
from openai.types.responses.response_create_params import ResponseCreateParamsNonStreaming
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from openai_local.service import answer_request
from openai_local.service.answer_request import AnswerRequest, Conversation
from openai_local.service.contract import contract, read_body, refuse
from openai_local.service.errors import APIError, brief, invalid
from openai_local.service.generation import Generation, Piece, Usage, frame
from openai_local.service.logprobs import content
from openai_local.training.job_folder import new_id

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
_PLACE = {"output_index": 0, "content_index": 0}


async def create(request: Request) -> Response:
    """Answer a text or a conversation."""
    asked, repeated = _read(await read_body(request, _CREATE))
    generation = await Generation.of(request, asked)
    reply = Reply(generation.model, repeated)
    if asked.stream:
        return await generation.streamed(reply.encode)
    [piece], usage = await generation.whole()
    return JSONResponse(reply.whole(piece, usage))


def _read(body: dict[str, Any]) -> tuple[AnswerRequest, dict[str, Any]]:
    """What is asked, and what the response repeats of that."""
    refuse(body, _OFFERED, _HARMLESS)
    answer_request.check(body)
    include, text = body.get("include", []), body.get("text", {})
    refuse({f"include[{what}]": what for what in include if what != _LOGPROBS}, frozenset(), {})
    inside = {f"text.{name}": value for name, value in text.items()}
    refuse(inside, frozenset({"text.format"}), {"text.verbosity": (None, "medium")})
    schema = answer_request.read_format(text.get("format") or {"type": "text"}, "text.format")
    top, most = body.get("top_logprobs", 0), body.get("max_output_tokens")
    logprobs = top if _LOGPROBS in include or top > 0 else None
    max_tokens = -1 if most is None else most
    asked = answer_request.read(body, [_messages(body)], max_tokens, logprobs=logprobs, schema=schema)
    return asked, {
        "instructions": body.get("instructions"),
        "metadata": body.get("metadata", {}),
        "max_output_tokens": most,
        "temperature": asked.sampling.temperature,
        "top_p": asked.sampling.top_p,
        "top_logprobs": top,
        "text": {"format": {"type": "text"}, **text},
        "parallel_tool_calls": body.get("parallel_tool_calls", True),
        "tool_choice": body.get("tool_choice", "auto"),
        **{name: body[name] for name in ("user", "safety_identifier", "prompt_cache_key") if name in body},
    }


def _messages(body: dict[str, Any]) -> Conversation:
    given = body["input"]
    if not given:
        raise invalid("input", "'input' is empty: there is nothing to answer.")
    if isinstance(given, str):
        given = [{"role": "user", "content": given}]
    for number, item in enumerate(given):
        if item.get("type", "message") != "message":
            message = f"This service reads messages only, not items of the type {brief(str(item['type']))!r}."
            raise APIError(400, message, param=f"input[{number}].type", code="unsupported_value")
    instructions = []
    if "instructions" in body:
        answer_request.check_text(body["instructions"], "instructions")
        instructions = [{"role": "system", "content": body["instructions"]}]
    return Conversation(instructions + answer_request.read_messages(given, "input", "input_text", "output_text"))


class Reply:
    """One response: what was asked for, and what was said so far."""

    def __init__(self, model: str, repeated: dict[str, Any]) -> None:
        """`model` is the full name of the model; `repeated` is what stands in the request and in the response."""
        self._text = ""
        self._finish: str | None = None
        self._logprobs: list[dict[str, Any]] = []
        self._item_id, self._sequence = new_id("msg").replace("-", "_"), 0
        self._head: dict[str, Any] = {
            "id": new_id("resp").replace("-", "_"),
            "object": "response",
            "created_at": int(time.time()),
            "model": model,
            "error": None,
            "background": False,
            "previous_response_id": None,
            "reasoning": {"effort": None, "summary": None},
            "service_tier": "default",
            "tools": [],
            "truncation": "disabled",
            **repeated,
        }

    def whole(self, piece: Piece, usage: Usage) -> dict[str, Any]:
        """The response when all was said."""
        self._take(piece)
        return self._response(usage)

    def encode(self, item: Piece | Usage | APIError) -> Iterator[str]:
        """The events for a part of the answer, for its end, or for its failure."""
        if isinstance(item, APIError):
            yield self._event("error", code="server_error", message=item.message, param=item.param)
        elif isinstance(item, Usage):
            yield from self._end(item)
        else:
            if item.first:
                yield from self._begin()
            logprobs = self._take(item)
            if item.text:
                said = {"delta": item.text, "logprobs": _without_bytes(logprobs)}
                yield self._event("response.output_text.delta", item_id=self._item_id, **_PLACE, **said)

    def _take(self, piece: Piece) -> list[dict[str, Any]]:
        self._text += piece.text
        self._finish = piece.finish or self._finish
        logprobs = content(piece.tokens, self._head["top_logprobs"])
        self._logprobs += logprobs
        return logprobs

    def _begin(self) -> Iterator[str]:
        yield self._event("response.created", response=self._response())
        yield self._event("response.in_progress", response=self._response())
        item = {**self._item(), "content": []}
        yield self._event("response.output_item.added", output_index=0, item=item)
        yield self._event("response.content_part.added", item_id=self._item_id, **_PLACE, part=self._part())

    def _end(self, usage: Usage) -> Iterator[str]:
        said = {"text": self._text, "logprobs": _without_bytes(self._logprobs)}
        yield self._event("response.output_text.done", item_id=self._item_id, **_PLACE, **said)
        yield self._event("response.content_part.done", item_id=self._item_id, **_PLACE, part=self._part())
        yield self._event("response.output_item.done", output_index=0, item=self._item())
        yield self._event(f"response.{self._status()}", response=self._response(usage))

    def _event(self, kind: str, **fields: Any) -> str:
        data = {"type": kind, "sequence_number": self._sequence, **fields}
        self._sequence += 1
        return frame(data, kind)

    def _response(self, usage: Usage | None = None) -> dict[str, Any]:
        status = self._status()
        response = {
            **self._head,
            "status": status,
            "incomplete_details": {"reason": "max_output_tokens"} if status == "incomplete" else None,
            "output": [self._item()] if usage else [],
            "usage": usage
            and {
                "input_tokens": usage.prompt,
                "input_tokens_details": {"cached_tokens": usage.cached, "cache_write_tokens": 0},
                "output_tokens": usage.completion,
                "output_tokens_details": {"reasoning_tokens": 0},
                "total_tokens": usage.prompt + usage.completion,
            },
        }
        if status == "completed":
            response["completed_at"] = int(time.time())
        responses.Response.model_validate(response)
        return response

    def _status(self) -> str:
        return {"stop": "completed", "length": "incomplete", None: "in_progress"}[self._finish]

    def _item(self) -> dict[str, Any]:
        return {
            "id": self._item_id,
            "type": "message",
            "role": "assistant",
            "status": self._status(),
            "content": [self._part()],
        }

    def _part(self) -> dict[str, Any]:
        return {"type": "output_text", "text": self._text, "annotations": [], "logprobs": self._logprobs}


def _without_bytes(logprobs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Events have a shorter form of log-probabilities than the response."""

    def short(entry: dict[str, Any]) -> dict[str, Any]:
        return {"token": entry["token"], "logprob": entry["logprob"]}

    return [{**short(entry), "top_logprobs": [*map(short, entry["top_logprobs"])]} for entry in logprobs]


ROUTES = [Route("/responses", create, methods=["POST"])]
