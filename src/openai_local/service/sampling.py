"""What completions and chat completions have in common: parameters, and their translation for llama.cpp."""

from __future__ import annotations

import random
from typing import Any

from openai_local.service.errors import APIError

SHARED = frozenset(
    """model n stream stream_options max_tokens temperature top_p stop seed presence_penalty frequency_penalty
    logit_bias user""".split()
)
_RANGES = {
    "n": (1, 128),
    "max_tokens": (0, 1 << 20),
    "max_completion_tokens": (0, 1 << 20),
    "temperature": (0, 2),
    "top_p": (0, 1),
    "presence_penalty": (-2, 2),
    "frequency_penalty": (-2, 2),
}
_PASSED = ("stop", "presence_penalty", "frequency_penalty", "logit_bias")


def check_ranges(body: dict[str, Any]) -> None:
    """Refuse numbers outside OpenAI's ranges.

    Raises:
        APIError: 400, naming the parameter.
    """
    for name, (low, high) in _RANGES.items():
        if name in body and not low <= body[name] <= high:
            message = f"Invalid '{name}': {body[name]} is not from {low} to {high}."
            raise APIError(400, message, param=name, code="invalid_value")


def sampling(body: dict[str, Any], *, max_tokens: int, choice: int = 0) -> dict[str, Any]:
    """llama.cpp's parameters for one choice, with OpenAI's defaults instead of llama.cpp's own.

    Args:
        body: the checked request.
        max_tokens: how many tokens at most; -1 for as many as fit.
        choice: which of `n` answers; each gets a seed of its own.
    """
    seed = body.get("seed", random.getrandbits(31))
    return {
        **{name: body[name] for name in _PASSED if name in body},
        "max_tokens": max_tokens,
        "temperature": body.get("temperature", 1.0),
        "top_p": body.get("top_p", 1.0),
        "top_k": 0,
        "min_p": 0.0,
        "repeat_penalty": 1.0,
        "samplers": ["penalties", "temperature", "top_p"],
        "seed": (seed + choice) % (1 << 31),
    }


def wants_usage(body: dict[str, Any]) -> bool:
    """Whether a streamed answer shall end with its usage."""
    return bool((body.get("stream_options") or {}).get("include_usage"))
