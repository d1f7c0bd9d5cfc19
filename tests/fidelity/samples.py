"""Values to try the parameters with: sensible ones for those that work, any that fit for those refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

from openai_local.service.contract import contract

HI = [{"role": "user", "content": "hi"}]

NEEDED: dict[str, dict[str, Any]] = {
    "/v1/completions": {"model": "ada", "prompt": "x", "max_tokens": 2},
    "/v1/chat/completions": {"model": "ada", "messages": HI, "max_tokens": 2},
    "/v1/responses": {"model": "ada", "input": "hi", "max_output_tokens": 2},
    "/v1/fine_tuning/jobs": {"model": "ada", "training_file": "FILE"},
    "/v1/fine-tunes": {"model": "ada", "training_file": "FILE"},
}
"""The least that an endpoint wants. ``FILE`` stands for an uploaded file."""

WORKING: dict[str, Any] = {
    "model": "ada",
    # completions and chat
    "prompt": "x",
    "messages": HI,
    "n": 2,
    "best_of": 2,
    "echo": True,
    "stream": True,
    "max_tokens": 2,
    "max_completion_tokens": 2,
    "temperature": 0.5,
    "top_p": 0.5,
    "stop": ["x"],
    "seed": 1,
    "presence_penalty": 0.5,
    "frequency_penalty": 0.5,
    "logit_bias": {"5": -100},
    "logprobs": 2,
    "top_logprobs": 2,
    "parallel_tool_calls": False,
    "user": "me",
    "suffix": "tail",
    "metadata": {"a": "b"},
    "safety_identifier": "me",
    "prompt_cache_key": "mine",
    "response_format": {"type": "json_object"},
    # responses
    "input": "hi",
    "instructions": "Be brief.",
    "max_output_tokens": 16,
    "text": {"format": {"type": "json_object"}},
    "include": ["message.output_text.logprobs"],
    # fine-tuning
    "training_file": "FILE",
    "validation_file": "FILE",
    "hyperparameters": {"n_epochs": 1},
    "method": {"type": "supervised", "supervised": {"hyperparameters": {"batch_size": 2}}},
    "n_epochs": 1,
    "batch_size": 1,
    "learning_rate_multiplier": 0.1,
    "prompt_loss_weight": 0.01,
    "classification_n_classes": 2,
    "classification_positive_class": " yes",
    "classification_betas": [1.0],
}
STREAM = {"stream": True, "stream_options": {"include_usage": True}}
SPECIAL: dict[str, dict[str, Any]] = {
    "/v1/fine-tunes compute_classification_metrics": {
        "compute_classification_metrics": True,
        "classification_n_classes": 2,
        "validation_file": "FILE",
    },
    "/v1/completions stream_options": STREAM,
    "/v1/chat/completions stream_options": STREAM,
    "/v1/responses stream_options": {"stream": True, "stream_options": {"include_obfuscation": False}},
    "/v1/responses top_logprobs": {"include": ["message.output_text.logprobs"], "top_logprobs": 2},
    "/v1/chat/completions logprobs": {"logprobs": True},
    "/v1/chat/completions top_logprobs": {"logprobs": True, "top_logprobs": 2},
}
"""Where one name means two things, or where one parameter needs another."""


def working(path: str, name: str) -> dict[str, Any]:
    """A body in which a parameter that works stands."""
    if f"{path} {name}" not in SPECIAL:
        assert name in WORKING, f"{path}: say in samples.py what a sensible {name} is"
    return NEEDED[path] | SPECIAL.get(f"{path} {name}", {name: WORKING.get(name)})


def refused(path: str, params: Any, name: str, harmless: dict[str, Any]) -> dict[str, Any]:
    """A body in which a parameter that is refused stands, with a value of its type."""
    schema = _schema(params)
    values = candidates(schema["properties"].get(name, {}), schema)
    return NEEDED[path] | {name: next(value for value in values if value not in (None, *accepted(harmless, name)))}


@cache
def _schema(params: Any) -> dict[str, Any]:
    return contract(params).json_schema()


def accepted(harmless: dict[str, Any], name: str) -> tuple[Any, ...]:
    """The values with which a parameter asks for nothing: a tuple holds several."""
    value = harmless.get(name, ())
    return value if isinstance(value, tuple) else (value,)


def candidates(schema: dict[str, Any], root: dict[str, Any]) -> Iterator[Any]:
    """Values that a schema allows, simple ones first."""
    if "$ref" in schema:
        target: Any = root
        for part in schema["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        yield from candidates(target, root)
    elif "anyOf" in schema or "oneOf" in schema:
        for branch in schema.get("anyOf") or schema["oneOf"]:
            yield from candidates(branch, root)
    elif "const" in schema or "enum" in schema:
        yield from schema.get("enum") or [schema["const"]]
    else:
        yield from _SIMPLE.get(schema.get("type", "string"), _strings)(schema, root)


def _strings(_: dict[str, Any], __: dict[str, Any]) -> Iterator[Any]:
    yield "x"


def _object(schema: dict[str, Any], root: dict[str, Any]) -> Iterator[Any]:
    properties, needed = schema.get("properties", {}), schema.get("required", [])
    for more in ([], *([name] for name in properties)):
        yield {name: next(candidates(properties[name], root)) for name in {*needed, *more}}


def _array(schema: dict[str, Any], root: dict[str, Any]) -> Iterator[Any]:
    for item in candidates(schema.get("items", {}), root):
        yield [item]


_SIMPLE: dict[str, Callable[[dict[str, Any], dict[str, Any]], Iterator[Any]]] = {
    "null": lambda _, __: iter([None]),
    "boolean": lambda _, __: iter([True, False]),
    "integer": lambda _, __: iter([1, 2]),
    "number": lambda _, __: iter([1, 2]),
    "object": _object,
    "array": _array,
}
