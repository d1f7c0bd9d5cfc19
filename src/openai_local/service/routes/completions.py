"""``/v1/completions``: the text that follows a prompt."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from typing import Any

from openai.types import Completion
from openai.types.completion_create_params import CompletionCreateParamsNonStreaming
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from openai_local.service.caller import Caller
from openai_local.service.chunks import chunks
from openai_local.service.context import asked, context
from openai_local.service.contract import contract
from openai_local.service.errors import APIError
from openai_local.service.generation import Ask, Generation, Piece
from openai_local.service.logprobs import legacy
from openai_local.service.parameters import read_body, refuse
from openai_local.service.sampling import SHARED, biased, check, check_size, check_text, invalid, sampling
from openai_local.training.job_folder import new_id

CREATE = contract(CompletionCreateParamsNonStreaming, stream=bool | None)
"""Checks the body of a request."""
CREATE_2022 = contract(CompletionCreateParamsNonStreaming, stream=bool | None, model=str | None)
"""The same for ``/v1/engines/{engine}/completions``, where the path has the model."""
_OFFERED = SHARED | {"prompt", "echo", "best_of", "logprobs"}
_HARMLESS = {"suffix": ""}
_MOST_LOGPROBS = 5
MAX_TOKENS = 16
START = "<|endoftext|>"
"""What an empty prompt means: the beginning of a document."""


async def create(request: Request) -> Response:
    """Complete one or several prompts."""
    return await complete(request, await read_body(request, CREATE))


async def complete(request: Request, body: dict[str, Any]) -> Response:
    """Complete one or several prompts.

    Args:
        request: the request.
        body: its body, checked by `CREATE` or with the model added.
    """
    refuse(body, _OFFERED, _HARMLESS)
    check(body, logprobs=(0, _MOST_LOGPROBS))
    _check_best_of(body)
    asks = list(_asks(body))
    service = context(request)
    name, target, load = await service.store.aside(asked, request, body["model"])
    head: dict[str, Any] = {"id": new_id("cmpl"), "object": "text_completion", "created": int(time.time())}
    head["model"] = name
    generation = Generation(service, Caller(request), load, target, asks, biased(body))
    if body.get("stream"):
        return await generation.streamed(chunks(head, lambda piece: [_choice(piece, body)], body))
    pieces, usage = await generation.whole()
    choices = [_choice(piece, body) for piece in _best(pieces, body)]
    # Not validated: the client's type knows nothing of the null that OpenAI sends for an echo's first token.
    whole = Completion.construct(**head, choices=choices, usage=usage.openai())
    return JSONResponse(whole.to_dict(mode="json"))


def _check_best_of(body: dict[str, Any]) -> None:
    if "best_of" not in body:
        return
    if body["best_of"] < body.get("n", 1):
        raise invalid("best_of", f"'best_of' ({body['best_of']}) must not be less than 'n' ({body.get('n', 1)}).")
    if body.get("stream") and body["best_of"] > 1:
        message = "'best_of' can't be streamed: which answers are the best shows at the end."
        raise APIError(400, message, param="best_of", code="invalid_value")


def _asks(body: dict[str, Any]) -> Iterator[Ask]:
    tries, most = body.get("best_of", body.get("n", 1)), body.get("max_tokens", MAX_TOKENS)
    prompts = _prompts(body.get("prompt", ""))
    check_size(len(prompts), tries, most, "max_tokens")
    logprobs = "logprobs" in body or tries > body.get("n", 1)
    echo = body.get("echo", False)
    for prompt in prompts:
        if isinstance(prompt, str):
            check_text(prompt, "prompt")
        for choice in range(tries):
            chosen = sampling(body, max_tokens=most, logprobs=logprobs, choice=choice)
            request = {"prompt": prompt or START, **chosen}
            yield Ask(request, choice == 0, echo=echo and prompt != "", logprobs="logprobs" in body)


def _prompts(prompt: Any) -> list[Any]:
    """A list of texts or of lists of tokens, from any of OpenAI's four forms."""
    if isinstance(prompt, str) or (prompt and all(isinstance(item, int) for item in prompt)):
        return [prompt]
    if not prompt or [] in prompt:
        raise invalid("prompt", "'prompt' is an empty list: there is nothing to continue.")
    return prompt


def _best(pieces: list[Piece], body: dict[str, Any]) -> list[Piece]:
    """The `n` best of each prompt's `best_of` choices, by their mean log-probability per token."""
    tries, wanted = body.get("best_of", body.get("n", 1)), body.get("n", 1)
    if tries == wanted:
        return pieces
    prompts = [pieces[start : start + tries] for start in range(0, len(pieces), tries)]
    best = [sorted(choices, key=lambda piece: -piece.mean_logprob)[:wanted] for choices in prompts]
    return [replace(piece, index=index) for index, piece in enumerate(chain.from_iterable(best))]


def _choice(piece: Piece, body: dict[str, Any]) -> dict[str, Any]:
    logprobs = legacy(piece.tokens, piece.offset, body["logprobs"]) if "logprobs" in body else None
    return {"index": piece.index, "text": piece.text, "logprobs": logprobs, "finish_reason": piece.finish}


ROUTES = [Route("/completions", create, methods=["POST"])]
