"""The form that an answer must have: free text, any JSON object, or JSON by a schema."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from openai_local.service.errors import APIError

# llama.cpp's library for JSON allows any white space by default, and a small model may go on with it for ever.
_SPACING = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}
_MOST_CHARACTERS = 100_000
# With more of them, llama.cpp would be busy for minutes, and fill the memory, before it says a word.
_MOST_ITEMS, _MOST_PATTERNS = 10_000, 10


@dataclass(frozen=True)
class Schema:
    """A JSON schema, and the parameter that asked for it."""

    schema: dict[str, Any]
    param: str

    def request(self) -> dict[str, Any]:
        """What llama.cpp is told."""
        return {"json_schema": {**self.schema, "x-guidance": _SPACING}}

    def refusal(self) -> APIError:
        """400 for a schema that llama.cpp can't follow."""
        message = (
            f"Invalid schema for '{self.param}': llama.cpp can't hold an answer to it. It may be no JSON schema, "
            f"or longer than {_MOST_CHARACTERS} characters, or count more than {_MOST_ITEMS} items of lists, or "
            f"have more than {_MOST_PATTERNS} patterns, or use a keyword that llama.cpp does not know."
        )
        return APIError(400, message, param=self.param, code="invalid_json_schema")


def read_format(wanted: dict[str, Any], param: str) -> Schema | None:
    """The schema that a format means; None for free text.

    Args:
        wanted: ``{"type": …}`` with, for ``json_schema``, the ``schema``.
        param: its name, for errors.

    Raises:
        APIError: 400, the schema can't be used.
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
        if len(json.dumps(schema, allow_nan=False)) > _MOST_CHARACTERS:
            return False
    except ValueError:
        return False
    items, patterns = 0.0, 0
    for part in _parts(schema):
        counts = (part.get(name) for name in ("minItems", "maxItems"))
        items += sum(min(abs(count), _MOST_ITEMS + 1) for count in counts if isinstance(count, int | float))
        names = part.get("patternProperties")
        patterns += isinstance(part.get("pattern"), str) + (len(names) if isinstance(names, dict) else 0)
    return items <= _MOST_ITEMS and patterns <= _MOST_PATTERNS


def _parts(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """All objects in a schema, itself among them."""
    waiting: list[Any] = [schema]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            yield part
        waiting += part.values() if isinstance(part, dict) else part if isinstance(part, list) else ()
