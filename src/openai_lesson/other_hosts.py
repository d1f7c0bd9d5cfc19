"""Other hosts than this machine: which key goes there, and what to say when one refuses.

A key goes only to a host that it can be meant for.
"""

import os
import re
from typing import Any
from urllib.parse import urlsplit

import openai

from openai_data.errors import LessonError
from openai_figures import visible
from openai_lesson import keys, local
from openai_lesson.connection import Destination, is_local, is_openai

OPENAI_URL = "https://api.openai.com/v1"
WHERE_KEYS_ARE = "https://platform.openai.com/api-keys"
_SHORTEST_KEY = 8
"""Other hosts have keys of all kinds; one that is shorter stands for none."""


def looks_real(key: str) -> bool:
    """Whether a key looks like one of OpenAI's."""
    return key.startswith("sk-") and not key.startswith("sk-local-")


def at(to: str, given: str, stay: str) -> Destination:
    """A host that was named, with the key that was given, or else with the one that is kept for it.

    Args:
        to: its address, or ``"openai"``.
        given: the key that was given; it may be empty.
        stay: what to type to stay on this machine.

    Raises:
        LessonError: that is no address, or there is no key for it.
    """
    url = OPENAI_URL if to == "openai" else to
    if not url.lower().startswith(("http://", "https://")):
        raise LessonError(f"{to!r} is no address. One looks like {OPENAI_URL}; 'local' is this machine.")
    hostname = urlsplit(url).hostname or ""
    name = "openai" if is_openai(hostname) else to
    if is_local(hostname) and not given.startswith("sk-local-"):
        service = local.running()
        if service and service.url == url.rstrip("/"):
            return Destination(url, local.own_key(service))
    key = given if suits(given, hostname) else keys.load(name)
    if not key:
        raise _no_key(name, given, stay)
    return Destination(url, key)


def suits(key: str, hostname: str) -> bool:
    """Whether a key can be meant for a host."""
    if is_openai(hostname):
        return looks_real(key)
    return bool(key) if is_local(hostname) else len(key) >= _SHORTEST_KEY


def _no_key(name: str, given: str, stay: str) -> LessonError:
    placeholder = given and not given.startswith("sk-local-")
    problem = f"The key that you set is no key for {name}" if placeholder else f"There is no key for {name}"
    source = f" A real one comes from {WHERE_KEYS_ARE}" if name == "openai" else ""
    return LessonError(
        f"{problem}.{source}\n"
        f"Enter it once, hidden, in Python:  from openai_lesson import keys; keys.ask({name!r})\n"
        f"or use the service on this machine, which needs none:  {stay}"
    )


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


def refusal(error: openai.PermissionDeniedError, instead: str) -> Exception:
    """What to raise when a host does not let an account train.

    Args:
        error: what the host said.
        instead: what to type to train on this machine.
    """
    if error.code != "training_not_available":
        return error
    return LessonError(
        "OpenAI does not let this account train models: since May 2026 it takes no new fine-tuning "
        f"customers. Train on this machine instead:  {instead}"
    )
