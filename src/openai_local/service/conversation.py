"""Messages of chat completions and responses, as a chat template wants them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from openai_local.service.errors import APIError
from openai_local.service.parameters import too_long
from openai_local.service.sampling import check_text
from openai_local.training.dataset import ROLES

MOST_MESSAGES = 2048
"""How many messages a conversation may have, as at OpenAI."""


def read_messages(messages: list[dict[str, Any]], param: str, parts: Sequence[str]) -> list[dict[str, str]]:
    """A conversation: the role and the text of each message.

    Args:
        messages: as the client sent them.
        param: their name, for errors.
        parts: the types of the parts that are text.

    Raises:
        APIError: 400 for anything but text, or for too much of it.
    """
    if len(messages) > MOST_MESSAGES:
        raise too_long(param, "array", MOST_MESSAGES, len(messages))
    read = [_read(message, f"{param}[{number}]", parts) for number, message in enumerate(messages)]
    check_text("".join(message["content"] for message in read), param)
    return read


def _read(message: dict[str, Any], param: str, parts: Sequence[str]) -> dict[str, str]:
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
