"""What a person reads when a request fails: a sentence, without a traceback and without a key."""

from __future__ import annotations

import os
import re
from typing import Any

from openai_lesson import visible
from openai_lesson.errors import LessonError

_SHORTEST_KEY = 8


def sentence(error: Exception, *secrets: str | None) -> str:
    """What to print of an error.

    Args:
        error: what was raised.
        secrets: keys that must not be shown, besides the one in ``OPENAI_API_KEY``. What is too short for a key
            is none.
    """
    text = str(error) if isinstance(error, LessonError) else _of_the_client(error)
    for secret in (*secrets, os.environ.get("OPENAI_API_KEY")):
        if secret and len(secret) >= _SHORTEST_KEY:
            text = re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", "(your key)", text)
    return visible.sentence(text)


def _of_the_client(error: Exception) -> str:
    import openai

    if isinstance(error, openai.APIStatusError):
        hint = "" if "/v1/" in error.request.url.path else " Does the address end in /v1?"
        return f"{_message(error)}{hint} (HTTP status code: {error.status_code})"
    if isinstance(error, openai.APITimeoutError):
        return f"{_address(error)} took too long to answer. Try again."
    if isinstance(error, openai.APIConnectionError):
        return (
            f"{_address(error)} can't be reached: {error.__cause__ or error}. Check the address and the network."
        )
    if isinstance(error, openai.OpenAIError):
        return str(error)
    return f"{type(error).__name__}: {error}. That should not happen;  openai -vv …  shows where it did."


def _message(error: Any) -> str:
    """The host's own words, if it said any."""
    body = error.body if isinstance(error.body, dict) else {}
    return " ".join(str(body.get("message") or error.message).split())


def _address(error: Any) -> str:
    return f"{error.request.url.scheme}://{error.request.url.netloc.decode()}"
