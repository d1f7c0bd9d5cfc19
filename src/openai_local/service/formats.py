"""The form that an answer must have: free text, any JSON object, or JSON by a schema."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from openai_local.service.errors import APIError

# llama.cpp's library for JSON allows any white space by default, and a small model may go on with it for ever.
_SPACING = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}
_MOST_CHARACTERS = 100_000


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
            f"or longer than {_MOST_CHARACTERS} characters, or use a keyword that llama.cpp does not know."
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
    """Whether a schema is JSON of a decent length. Python reads NaN as a number; llama.cpp would not."""
    try:
        return len(json.dumps(schema, allow_nan=False)) <= _MOST_CHARACTERS
    except ValueError:
        return False
