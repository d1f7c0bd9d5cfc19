"""What somebody asks a model: read once from a request's body, checked, and kept in its final form.

Names and types have been checked before (`contract`). Here are ranges and sizes, in the parameters that the three
endpoints for answers have in common; each of them reads what is its own. Nothing behind them sees the body.
"""

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from openai_local.answering.llama_server import CONTEXT_TOKENS
from openai_local.service.contract import check_metadata
from openai_local.service.errors import APIError, brief, invalid, too_long, unsupported
from openai_local.service.logprobs import MOST
from openai_local.training.dataset import ROLES

SHARED = frozenset(
    """model n stream stream_options max_tokens temperature top_p stop seed presence_penalty frequency_penalty
    logit_bias user""".split()
)
"""What completions and chat completions both offer."""
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
MOST_ANSWERS = 128  # how many answers one request may ask for: prompts times tries
MOST_TOKENS = MOST_ANSWERS * 1024
"""How many tokens all answers of one request may have together. Writing them takes the machine half an hour."""
MOST_TEXT = CONTEXT_TOKENS * 128
"""How many characters a prompt may have. One that is longer fits into no context, whatever its tokens are."""
MOST_MESSAGES = 2048  # how many messages a conversation may have, as at OpenAI
_MOST_SCHEMA = 100_000
# With more of them, llama.cpp would be busy for minutes, and fill the memory, before it says a word.
_MOST_ITEMS, _MOST_PATTERNS = 10_000, 10
# llama.cpp's library for JSON allows any white space by default, and a small model may go on with it for ever.
_SPACING = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}


class Conversation(list[dict[str, str]]):
    """The role and the text of each message, as a chat template wants them."""


Prompt = str | list[int] | Conversation  # what an answer goes on from: a text, a list of tokens, or a conversation


@dataclass(frozen=True)
class Schema:
    """A JSON schema that an answer must keep to, and the parameter that asked for it."""

    schema: dict[str, Any]
    param: str

    @property
    def llama(self) -> dict[str, Any]:
        """The schema as llama.cpp is told it."""
        return {**self.schema, "x-guidance": _SPACING}

    def refusal(self) -> APIError:
        """400 for a schema that llama.cpp can't follow."""
        message = (
            f"Invalid schema for '{self.param}': llama.cpp can't hold an answer to it. It may be no JSON schema, "
            f"or longer than {_MOST_SCHEMA} characters, or count more than {_MOST_ITEMS} items of lists, or "
            f"have more than {_MOST_PATTERNS} patterns, or use a keyword that llama.cpp does not know."
        )
        return APIError(400, message, param=self.param, code="invalid_json_schema")


@dataclass(frozen=True)
class Sampling:
    """How tokens are chosen and where an answer ends, under OpenAI's names and with OpenAI's defaults."""

    max_tokens: int  # -1 for as many as fit
    stop: list[str]
    logit_bias: dict[int, int]
    temperature: float = 1.0
    top_p: float = 1.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    seed: int | None = None  # None: each answer has one that nobody knows

    def llama(self, choice: int, *, logprobs: bool) -> dict[str, Any]:
        """llama.cpp's parameters for one answer, with nothing left to its own defaults.

        `choice` is which of a prompt's answers it is; each has its own seed. `logprobs` tells those of each token.
        """
        return {
            **asdict(self),
            "logit_bias": [[token, bias] for token, bias in self.logit_bias.items()],
            "seed": (random.getrandbits(31) if self.seed is None else self.seed + choice) % (1 << 31),
            # A prompt that is remembered rounds differently from one that is read anew. Then two tokens that are
            # about as likely may change places, and the same question gets another answer.
            "cache_prompt": self.temperature > 0,
            "top_k": 0,
            "min_p": 0.0,
            "repeat_penalty": 1.0,
            "repeat_last_n": CONTEXT_TOKENS,  # so the penalties count the prompt's tokens too
            "samplers": ["penalties", "temperature", "top_p"],
            # With stop sequences too: they tell what was held back for one when the answer ends otherwise.
            "logprobs": MOST if logprobs or self.stop else 0,
        }


@dataclass(frozen=True)
class AnswerRequest:
    """One request for answers."""

    model: str
    prompts: Sequence[Prompt]  # what the model is asked
    sampling: Sampling
    n: int  # how many answers each prompt gets
    best_of: int  # how many are made for that; those that the model finds likeliest are given
    stream: bool
    include_usage: bool  # whether a stream ends with the usage
    logprobs: int | None = None  # how many of the likeliest tokens are told with each; None: no log-probabilities
    echo: bool = False  # whether a prompt is a part of its answers
    schema: Schema | None = None  # what the answers must keep to


def read(body: dict[str, Any], prompts: Sequence[Prompt], max_tokens: int, **special: Any) -> AnswerRequest:
    """The request that a checked body is; the other arguments, `special` fields too, are read by the endpoint."""
    n = body.get("n", 1)
    given = {field.name: body[field.name] for field in fields(Sampling) if field.name in body}
    given["stop"], given["max_tokens"] = _texts(body), max_tokens
    given["logit_bias"] = {int(token): bias for token, bias in body.get("logit_bias", {}).items()}
    return AnswerRequest(
        model=body["model"],
        prompts=prompts,
        sampling=Sampling(**given),
        n=n,
        best_of=body.get("best_of", n),
        stream=body.get("stream", False),
        include_usage=bool(body.get("stream_options", {}).get("include_usage")),
        **special,
    )


def check(body: dict[str, Any], **ranges: tuple[int, int]) -> None:
    """Raise `APIError` (400) for a value outside OpenAI's ranges; `ranges` are those peculiar to an endpoint."""
    for name, (low, high) in (_RANGES | ranges).items():
        if name in body and not low <= body[name] <= high:
            raise invalid(name, f"Invalid '{name}': {brief(str(body[name]))} is not from {low} to {high}.")
    if len(texts := _texts(body)) > _MOST_STOPS:
        raise invalid("stop", f"Invalid 'stop': there may be {_MOST_STOPS} texts, not {len(texts)}.")
    for text in texts:
        if len(text) > _MOST_STOP:
            raise too_long("stop", "string", _MOST_STOP, len(text))
    _check_bias(body.get("logit_bias", {}))
    options = body.get("stream_options", {})
    if options and not body.get("stream"):
        message = "The 'stream_options' parameter is only allowed when 'stream' is enabled."
        raise APIError(400, message, param="stream_options")
    if options.get("include_obfuscation"):
        raise unsupported("stream_options.include_obfuscation")
    check_metadata(body)


def _texts(body: dict[str, Any]) -> list[str]:
    """The texts that end an answer."""
    stop = body.get("stop", [])
    return [text for text in ([stop] if isinstance(stop, str) else stop) if text]


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


def check_size(prompts: int, tries: int, tokens: int, limit: str) -> None:
    """Raise `APIError` (400) for a request that would keep others waiting for hours.

    Each prompt is answered `tries` times, with so many tokens (-1: as many as fit), as the parameter `limit` says.
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
    """Raise `APIError` (400) for a prompt that can't fit, before llama.cpp reads it."""
    if len(text) > MOST_TEXT:
        message = (
            f"This model's maximum context length is {CONTEXT_TOKENS} tokens. A prompt of {len(text)} characters "
            "does not fit. Shorten it."
        )
        raise APIError(400, message, param=param, code="context_length_exceeded")


def read_messages(messages: list[dict[str, Any]], param: str, *parts: str) -> Conversation:
    """The conversation that a client sent as `param`; parts of messages with one of the types `parts` are text.

    Raises `APIError`: 400 for anything but text, or for too much of it.
    """
    if len(messages) > MOST_MESSAGES:
        raise too_long(param, "array", MOST_MESSAGES, len(messages))
    read = Conversation(_message(message, f"{param}[{number}]", parts) for number, message in enumerate(messages))
    check_text("".join(message["content"] for message in read), param)
    return read


def _message(message: dict[str, Any], param: str, parts: Sequence[str]) -> dict[str, str]:
    role, content = message.get("role"), message.get("content")
    if role not in ROLES or message.get("tool_calls") or message.get("function_call"):
        error = f"This service knows messages of {', '.join(ROLES)}, without tools."
        raise APIError(400, error, param=param, code="unsupported_value")
    if isinstance(content, list) and all(_is_text(part, parts) for part in content):
        content = "".join(part["text"] for part in content)
    if not isinstance(content, str):
        raise APIError(400, "This service reads text only.", param=f"{param}.content", code="unsupported_value")
    return {"role": "system" if role == "developer" else role, "content": content}


def _is_text(part: Any, parts: Sequence[str]) -> bool:
    return isinstance(part, dict) and part.get("type") in parts and isinstance(part.get("text"), str)


def read_format(wanted: dict[str, Any], param: str) -> Schema | None:
    """The schema that `param` asks for: ``{"type": …}`` and, for ``json_schema``, the ``schema``.

    None is free text. Raises `APIError` (400) for a schema that can't be used.
    """
    if wanted["type"] == "json_object":
        return Schema({"type": "object"}, param)
    if wanted["type"] == "json_schema":
        schema = Schema(wanted.get("schema") or {}, param)
        if not _is_sound(schema.schema):
            raise schema.refusal()
        return schema
    return None


def _is_sound(schema: dict[str, Any]) -> bool:
    """Whether a schema is JSON of a decent size. Python reads NaN as a number; llama.cpp would not."""
    try:
        if len(json.dumps(schema, allow_nan=False)) > _MOST_SCHEMA:
            return False
    except ValueError:
        return False
    items, patterns = 0.0, 0
    for part in _objects(schema):
        counts = (part.get(name) for name in ("minItems", "maxItems"))
        items += sum(min(abs(count), _MOST_ITEMS + 1) for count in counts if isinstance(count, int | float))
        names = part.get("patternProperties")
        patterns += isinstance(part.get("pattern"), str) + (len(names) if isinstance(names, dict) else 0)
    return items <= _MOST_ITEMS and patterns <= _MOST_PATTERNS


def _objects(part: Any) -> Iterator[dict[str, Any]]:
    """All objects in a schema, itself among them."""
    if isinstance(part, dict):
        yield part
    for inner in part.values() if isinstance(part, dict) else part if isinstance(part, list) else ():
        yield from _objects(inner)
