"""``/v1/completions``: the text that follows a prompt."""

from typing import Any

from openai.types import Completion
from openai.types.completion_create_params import CompletionCreateParamsNonStreaming
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from openai_local.service import answer_request
from openai_local.service.answer_request import SHARED, AnswerRequest
from openai_local.service.contract import contract, read_body, refuse
from openai_local.service.errors import invalid
from openai_local.service.generation import Generation, Piece
from openai_local.service.logprobs import legacy

_CREATE = contract(CompletionCreateParamsNonStreaming, stream=bool | None)
CREATE_2022 = contract(CompletionCreateParamsNonStreaming, stream=bool | None, model=str | None)
"""Checks the body of a request to ``/v1/engines/{id}/completions``, where the path has the model."""
_OFFERED = SHARED | {"prompt", "echo", "best_of", "logprobs"}
_HARMLESS = {"suffix": ""}
_MOST_LOGPROBS = 5
MAX_TOKENS = 16


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


ROUTES = [Route("/completions", create, methods=["POST"])]
