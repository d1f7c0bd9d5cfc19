"""``/v1/chat/completions``: the assistant's next message."""

from collections.abc import Iterator
from typing import Any

from openai.types.chat import ChatCompletion
from openai.types.chat.completion_create_params import CompletionCreateParamsNonStreaming
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from openai_local.service import answer_request
from openai_local.service.answer_request import SHARED, AnswerRequest
from openai_local.service.contract import contract, read_body, refuse
from openai_local.service.errors import invalid
from openai_local.service.generation import Generation, Piece
from openai_local.service.logprobs import content

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
    asked = _read(await read_body(request, _CREATE))
    generation = await Generation.of(request, asked)
    if asked.stream:
        head = generation.head("chatcmpl", "chat.completion.chunk")
        return await generation.chunked(head, lambda piece: _deltas(piece, asked.logprobs))
    head = generation.head("chatcmpl", "chat.completion")
    pieces, usage = await generation.whole()
    choices = [_choice(piece, asked.logprobs) for piece in pieces]
    whole = ChatCompletion.model_validate({**head, "choices": choices, "usage": usage.openai()})
    return JSONResponse(whole.to_dict(mode="json"))


def _read(body: dict[str, Any]) -> AnswerRequest:
    refuse(body, _OFFERED, _HARMLESS)
    answer_request.check(body, max_tokens=(1, 1 << 20))
    if "top_logprobs" in body and not body.get("logprobs"):
        raise invalid("top_logprobs", "'top_logprobs' needs 'logprobs' to be true.")
    form = body.get("response_format", {"type": "text"})
    schema = answer_request.read_format({**form.get("json_schema", {}), "type": form["type"]}, "response_format")
    if not body["messages"]:
        raise invalid("messages", "'messages' is empty.")
    messages = answer_request.read_messages(body["messages"], "messages", "text")
    limit = "max_tokens" if "max_tokens" in body else "max_completion_tokens"
    most = body.get("max_completion_tokens", body.get("max_tokens", -1))
    answer_request.check_size(1, body.get("n", 1), most, limit)
    logprobs = body.get("top_logprobs", 0) if body.get("logprobs") else None
    return answer_request.read(body, [messages], most, logprobs=logprobs, schema=schema)


def _choice(piece: Piece, logprobs: int | None) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": piece.text, "refusal": None, "annotations": []}
    told = _logprobs(piece, logprobs)
    return {"index": piece.index, "message": message, "logprobs": told, "finish_reason": piece.finish}


def _deltas(piece: Piece, logprobs: int | None) -> Iterator[dict[str, Any]]:
    """The role, the text, and the end, as OpenAI streams them."""
    empty: dict[str, Any] = {"index": piece.index, "delta": {}, "logprobs": None, "finish_reason": None}
    if piece.first:
        yield {**empty, "delta": {"role": "assistant", "content": "", "refusal": None}}
    if piece.text:
        yield {**empty, "delta": {"content": piece.text}, "logprobs": _logprobs(piece, logprobs)}
    if piece.finish:
        yield {**empty, "finish_reason": piece.finish}


def _logprobs(piece: Piece, most: int | None) -> dict[str, Any] | None:
    return None if most is None else {"content": content(piece.tokens, most), "refusal": None}


ROUTES = [Route("/chat/completions", create, methods=["POST"])]
