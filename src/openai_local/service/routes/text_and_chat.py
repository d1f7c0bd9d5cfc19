"""``/v1/completions``, the text after a prompt, and ``/v1/chat/completions``, the assistant's next message."""

from collections.abc import Iterator
from typing import Any

from openai.types import Completion
from openai.types.chat import ChatCompletion
from openai.types.chat import completion_create_params as chat
from openai.types.completion_create_params import CompletionCreateParamsNonStreaming
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from openai_local.service import answer_request
from openai_local.service.answer_request import SHARED, AnswerRequest
from openai_local.service.contract import contract, read_body, refuse
from openai_local.service.errors import invalid
from openai_local.service.generation import Generation, Piece
from openai_local.service.logprobs import content, legacy

_CREATE = contract(CompletionCreateParamsNonStreaming, stream=bool | None)
CREATE_2022 = contract(CompletionCreateParamsNonStreaming, stream=bool | None, model=str | None)
"""Checks the body of a request to ``/v1/engines/{id}/completions``, where the path has the model."""
_OFFERED = SHARED | {"prompt", "echo", "best_of", "logprobs"}
_HARMLESS = {"suffix": ""}
_MOST_LOGPROBS = 5
MAX_TOKENS = 16
_CHAT = contract(chat.CompletionCreateParamsNonStreaming, stream=bool | None)
_LABELS = {"metadata", "safety_identifier", "prompt_cache_key"}  # as `user`: they change no answer
_LIMITS = {"max_completion_tokens", "logprobs", "top_logprobs", "response_format"}
_CHAT_OFFERED = SHARED | _LABELS | _LIMITS | {"messages"}
_CHAT_HARMLESS = {
    "store": False,
    "modalities": ["text"],
    "service_tier": ("auto", "default"),
    "parallel_tool_calls": (True, False),
    "reasoning_effort": "none",
    "verbosity": "medium",
}


async def create(request: Request) -> Response:
    """Complete one or several prompts."""
    return await complete(request, await read_body(request, _CREATE))


async def complete(request: Request, body: dict[str, Any]) -> Response:
    """Complete the prompts of a body whose names and types are right."""
    asked = _read(body)
    generation = await Generation.of(request, asked)
    head = generation.head("cmpl", "text_completion")
    if asked.stream:
        return await generation.chunked(head, lambda piece: [_choice(piece, asked.logprobs)])
    pieces, usage = await generation.whole()
    choices = [_choice(piece, asked.logprobs) for piece in pieces]
    # Not validated: the client's type knows nothing of the null that OpenAI sends for an echo's first token.
    whole = Completion.construct(**head, choices=choices, usage=usage.openai())
    return JSONResponse(whole.to_dict(mode="json"))


def _read(body: dict[str, Any]) -> AnswerRequest:
    refuse(body, _OFFERED, _HARMLESS)
    answer_request.check(body, logprobs=(0, _MOST_LOGPROBS))
    n = body.get("n", 1)
    tries = body.get("best_of", n)
    if tries < n:
        raise invalid("best_of", f"'best_of' ({tries}) must not be less than 'n' ({n}).")
    if body.get("stream") and "best_of" in body and tries > 1:
        raise invalid("best_of", "'best_of' can't be streamed: which answers are the best shows at the end.")
    most, prompts = body.get("max_tokens", MAX_TOKENS), _prompts(body.get("prompt", ""))
    answer_request.check_size(len(prompts), tries, most, "max_tokens")
    for prompt in prompts:
        if isinstance(prompt, str):
            answer_request.check_text(prompt, "prompt")
    return answer_request.read(body, prompts, most, logprobs=body.get("logprobs"), echo=body.get("echo", False))


def _prompts(prompt: Any) -> list[Any]:
    """A list of texts or of lists of tokens, from any of OpenAI's four forms."""
    if isinstance(prompt, str) or (prompt and all(isinstance(item, int) for item in prompt)):
        return [prompt]
    if not prompt or [] in prompt:
        raise invalid("prompt", "'prompt' is an empty list: there is nothing to continue.")
    return prompt


def _choice(piece: Piece, most: int | None) -> dict[str, Any]:
    logprobs = None if most is None else legacy(piece.tokens, piece.offset, most)
    return {"index": piece.index, "text": piece.text, "logprobs": logprobs, "finish_reason": piece.finish}


async def converse(request: Request) -> Response:
    """Answer a conversation."""
    asked = _read_chat(await read_body(request, _CHAT))
    generation = await Generation.of(request, asked)
    if asked.stream:
        head = generation.head("chatcmpl", "chat.completion.chunk")
        return await generation.chunked(head, lambda piece: _deltas(piece, asked.logprobs))
    head = generation.head("chatcmpl", "chat.completion")
    pieces, usage = await generation.whole()
    choices = [_message(piece, asked.logprobs) for piece in pieces]
    whole = ChatCompletion.model_validate({**head, "choices": choices, "usage": usage.openai()})
    return JSONResponse(whole.to_dict(mode="json"))


def _read_chat(body: dict[str, Any]) -> AnswerRequest:
    refuse(body, _CHAT_OFFERED, _CHAT_HARMLESS)
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


def _message(piece: Piece, logprobs: int | None) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": piece.text, "refusal": None, "annotations": []}
    return {
        "index": piece.index,
        "message": message,
        "logprobs": _logprobs(piece, logprobs),
        "finish_reason": piece.finish,
    }


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


ROUTES = [Route("/completions", create, methods=["POST"]), Route("/chat/completions", converse, methods=["POST"])]
