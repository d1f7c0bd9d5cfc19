"""Messages of chat completions and responses, as a chat template wants them."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from openai_local.engine.examples import ROLES
from openai_local.service.errors import APIError


def read_message(message: dict[str, Any], param: str, parts: Collection[str]) -> dict[str, str]:
    """One message: its role and its text.

    Args:
        message: as the client sent it.
        param: its name, for errors.
        parts: the types of the parts that are text.

    Raises:
        APIError: 400 for anything but text.
    """
    role, content = message.get("role"), message.get("content")
    if role not in ROLES or message.get("tool_calls") or message.get("function_call"):
        error = f"This service knows messages of {', '.join(ROLES)}, without tools."
        raise APIError(400, error, param=param, code="unsupported_value")
    if isinstance(content, list) and all(_is_text(part, parts) for part in content):
        content = "".join(part["text"] for part in content)
    if not isinstance(content, str):
        raise APIError(400, "This service reads text only.", param=f"{param}.content", code="unsupported_value")
    return {"role": "system" if role == "developer" else role, "content": content}


def _is_text(part: Any, parts: Collection[str]) -> bool:
    return isinstance(part, dict) and part.get("type") in parts and isinstance(part.get("text"), str)
