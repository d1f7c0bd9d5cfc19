"""The form that an answer must have: free text, any JSON object, or JSON by a schema."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from openai_local.service.errors import APIError

# llama.cpp's library for JSON allows any white space by default, and a small model may go on with it for ever.
_SPACING = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}


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
            f"Invalid schema for '{self.param}': llama.cpp can't hold an answer to it. "
            "It may be no JSON schema, or use a keyword that llama.cpp does not know."
        )
        return APIError(400, message, param=self.param, code="invalid_json_schema")


def read_format(wanted: dict[str, Any], param: str) -> Schema | None:
    """The schema that a format means; None for free text.

    Args:
        wanted: ``{"type": …}`` with, for ``json_schema``, the ``schema``.
        param: its name, for errors.
    """
    if wanted["type"] == "json_object":
        return Schema({"type": "object"}, param)
    if wanted["type"] == "json_schema":
        return Schema(wanted.get("schema") or {}, param)
    return None
