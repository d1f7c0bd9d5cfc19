"""What all answers have in common: their parameters, and the translation of those for llama.cpp."""

from __future__ import annotations

import random
from typing import Any

from openai_local.answering.llama_server import CONTEXT_TOKENS
from openai_local.service.errors import APIError, brief
from openai_local.service.logprobs import MOST
from openai_local.service.parameters import check_metadata, too_long

SHARED = frozenset(
    """model n stream stream_options max_tokens temperature top_p stop seed presence_penalty frequency_penalty
    logit_bias user""".split()
)
_RANGES = {
    "n": (1, 128),
    "best_of": (1, 20),
    "max_tokens": (0, 1 << 20),
    "max_completion_tokens": (1, 1 << 20),
    "max_output_tokens": (1, 1 << 20),
    "temperature": (0, 2),
    "top_p": (0, 1),
    "presence_penalty": (-2, 2),
    "frequency_penalty": (-2, 2),
    "top_logprobs": (0, MOST),
}
_MOST_STOPS, _MOST_STOP = 4, 1000
_MOST_BIASES = 300
MOST_ANSWERS = 128
"""How many answers one request may ask for: prompts times tries."""
MOST_TOKENS = MOST_ANSWERS * 1024
"""How many tokens all answers of one request may have together. Writing them takes the machine half an hour."""
MOST_TEXT = CONTEXT_TOKENS * 128
"""How many characters a prompt may have. One that is longer fits into no context, whatever its tokens are."""


def invalid(param: str, message: str) -> APIError:
    """400 for a value that a parameter can't have."""
    return APIError(400, message, param=param, code="invalid_value")


def check(body: dict[str, Any], **ranges: tuple[int, int]) -> None:
    """Refuse values outside OpenAI's ranges.

    Args:
        body: the request.
        ranges: those that are peculiar to an endpoint.

    Raises:
        APIError: 400, naming the parameter.
    """
    for name, (low, high) in (_RANGES | ranges).items():
        if name in body and not low <= body[name] <= high:
            raise invalid(name, f"Invalid '{name}': {brief(str(body[name]))} is not from {low} to {high}.")
    _check_stops(body)
    _check_bias(body.get("logit_bias", {}))
    _check_stream_options(body)
    check_metadata(body)


def _check_stops(body: dict[str, Any]) -> None:
    texts = stops(body)
    if len(texts) > _MOST_STOPS:
        raise invalid("stop", f"Invalid 'stop': there may be {_MOST_STOPS} texts, not {len(texts)}.")
    for text in texts:
        if len(text) > _MOST_STOP:
            raise too_long("stop", "string", _MOST_STOP, len(text))


def _check_bias(biases: dict[str, int]) -> None:
    if len(biases) > _MOST_BIASES:
        message = f"Invalid 'logit_bias': there may be {_MOST_BIASES} tokens, not {len(biases)}."
        raise APIError(400, message, param="logit_bias", code="object_above_max_properties")
    for token, bias in biases.items():
        if not (token.isascii() and token.isdecimal() and len(token) < 10):
            message = f"Invalid key in 'logit_bias': {brief(token)!r} is not the number of a token."
            raise invalid("logit_bias", message)
        if not -100 <= bias <= 100:
            raise invalid("logit_bias", f"Invalid 'logit_bias': {brief(str(bias))} is not from -100 to 100.")


def _check_stream_options(body: dict[str, Any]) -> None:
    options = body.get("stream_options", {})
    if options and not body.get("stream"):
        message = "The 'stream_options' parameter is only allowed when 'stream' is enabled."
        raise APIError(400, message, param="stream_options")
    if options.get("include_obfuscation"):
        name = "stream_options.include_obfuscation"
        message = f"This service does not offer the parameter '{name}'."
        raise APIError(400, message, param=name, code="unsupported_parameter")


def check_size(prompts: int, tries: int, tokens: int, limit: str) -> None:
    """Refuse a request that would keep others waiting for hours.

    Args:
        prompts: how many prompts it has.
        tries: how many answers each of them gets.
        tokens: how many tokens each answer may have; -1 for as many as fit.
        limit: the parameter that says so.

    Raises:
        APIError: 400.
    """
    answers = prompts * tries
    if answers > MOST_ANSWERS:
        message = f"This request asks for {answers} answers, and may ask for {MOST_ANSWERS}. Send several."
        raise invalid("n" if tries > 1 else "prompt", message)
    each = CONTEXT_TOKENS if tokens < 0 else min(tokens, CONTEXT_TOKENS)
    if answers * each > MOST_TOKENS:
        message = (
            f"These {answers} answers could have {answers * each} tokens together, and may have {MOST_TOKENS}. "
            f"Ask for fewer answers, or for shorter ones with '{limit}'."
        )
        raise invalid(limit, message)


def check_text(text: str, param: str) -> None:
    """Refuse a prompt that can't fit, before llama.cpp reads it.

    Raises:
        APIError: 400.
    """
    if len(text) > MOST_TEXT:
        message = (
            f"This model's maximum context length is {CONTEXT_TOKENS} tokens. A prompt of {len(text)} characters "
            "does not fit. Shorten it."
        )
        raise APIError(400, message, param=param, code="context_length_exceeded")


def stops(body: dict[str, Any]) -> list[str]:
    """The texts that end an answer."""
    stop = body.get("stop", [])
    return [text for text in ([stop] if isinstance(stop, str) else stop) if text]


def biased(body: dict[str, Any]) -> list[int]:
    """The tokens that the request makes more or less likely."""
    return [int(token) for token in body.get("logit_bias", {})]


def sampling(body: dict[str, Any], *, max_tokens: int, logprobs: bool = False, choice: int = 0) -> dict[str, Any]:
    """llama.cpp's parameters for one choice, with OpenAI's defaults instead of llama.cpp's own.

    Args:
        body: the checked request.
        max_tokens: how many tokens at most; -1 for as many as fit.
        logprobs: whether each token comes with its log-probability.
        choice: which of `n` answers; each gets a seed of its own.
    """
    # llama.cpp's penalties count the prompt's tokens too, not only the answer's.
    seed = body.get("seed", random.getrandbits(31))
    temperature = body.get("temperature", 1.0)
    return {
        "max_tokens": max_tokens,
        "temperature": temperature,
        # A prompt that is remembered rounds differently from one that is read anew. Then two tokens that are about
        # as likely may change places, and the same question gets another answer.
        "cache_prompt": temperature > 0,
        "top_p": body.get("top_p", 1.0),
        "top_k": 0,
        "min_p": 0.0,
        "repeat_penalty": 1.0,
        "repeat_last_n": CONTEXT_TOKENS,
        "presence_penalty": body.get("presence_penalty", 0.0),
        "frequency_penalty": body.get("frequency_penalty", 0.0),
        "logit_bias": [[int(token), bias] for token, bias in body.get("logit_bias", {}).items()],
        "samplers": ["penalties", "temperature", "top_p"],
        "seed": (seed + choice) % (1 << 31),
        "stop": stops(body),
        # With stop sequences too: they tell what was held back for one when the answer ends for another reason.
        "logprobs": MOST if logprobs or "stop" in body else 0,
    }


def wants_usage(body: dict[str, Any]) -> bool:
    """Whether a streamed answer shall end with its usage."""
    return bool(body.get("stream_options", {}).get("include_usage"))
