"""Connecting the official client: which address, which key, and what to say when nobody answers.

`connect` returns an ordinary `openai.OpenAI` client. By default it finds the service on this machine, or starts
it, and sets ``OPENAI_BASE_URL`` and ``OPENAI_API_KEY``, so that any other code in the notebook reaches it too.

Notebooks stay on this machine unless an address is named. A key goes only to a host that it can be meant for.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import openai

from openai_data.errors import LessonError
from openai_figures import visible
from openai_lesson import keys, local

OPENAI_URL = "https://api.openai.com/v1"
WHERE_KEYS_ARE = "https://platform.openai.com/api-keys"
_SET_HERE = "OPENAI_LESSON_LOCAL_URL"
_SHORTEST_KEY = 8
"""Other hosts have keys of all kinds; one that is shorter stands for none."""


@dataclass(frozen=True)
class Destination:
    """A base URL, the key for it, and what the learner should know about that choice: one line each."""

    url: str
    key: str = field(repr=False)
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Host:
    """A host, and the model to fine-tune there. `local` are those of the lesson: this machine's and a class's."""

    name: str
    local: bool
    model: str

    @property
    def chat(self) -> bool:
        """Whether models that are trained there learn conversations, and not prompt and completion as in 2022."""
        return not self.local

    @property
    def silence(self) -> str:
        """What to tell when it does not answer."""
        name = f"{self.name[:1].upper()}{self.name[1:]}"
        return f"{name} does not answer. Run the cell with connect() again, then this one."


def connect(to: str | None = None) -> openai.OpenAI:
    """Connect the official client.

    Args:
        to: nothing for the service on this machine (or for the address in ``OPENAI_BASE_URL``, where the learner
            set one), ``"local"`` for this machine in any case, ``"openai"`` for OpenAI with the learner's own
            key, or another host's base URL.

    Returns:
        The client. ``OPENAI_BASE_URL`` and ``OPENAI_API_KEY`` are set to match.

    Raises:
        LessonError: the service can't be started, or there is no key for the host.
    """
    found = for_notebook(to)
    os.environ["OPENAI_BASE_URL"], os.environ["OPENAI_API_KEY"] = found.url, found.key
    client = openai.OpenAI()
    print(f"Connected to {host(client).name} ({found.url})")
    return client


def host(client: openai.OpenAI) -> Host:
    """What suits the host that `client` speaks to."""
    name = urlsplit(str(client.base_url)).hostname or ""
    if is_local(name):
        return Host("the service on this machine", True, "ada")
    if client.api_key.startswith("sk-local-") or client.api_key == os.environ.get("JUPYTERHUB_API_TOKEN"):
        return Host("your class's service", True, "ada")
    known = "OpenAI" if is_openai(name) else name
    return Host(known, False, "gpt-4.1-nano-2025-04-14")


def find_again(client: openai.OpenAI) -> None:
    """Point a client to the service on this machine again, if that went on at another port.

    Only a client whose address was found by `connect`, or by the command, is changed. Nothing is started.

    Raises:
        LessonError: the service's home can't be read.
    """
    if not found_here(str(client.base_url).rstrip("/")):
        return
    if (service := local.running()) is not None:
        client.base_url = service.url
        note_found(service.url)


def for_notebook(to: str | None = None) -> Destination:
    """Where `connect` goes.

    Args:
        to: see `openai_lesson.connect`.

    Raises:
        LessonError: the service can't be started, or there is no key for the host.
    """
    local.go_directly()
    url, key = os.environ.get("OPENAI_BASE_URL", ""), os.environ.get("OPENAI_API_KEY", "")
    if found_here(url):
        url, key = "", ""
    to = to or url or "local"
    if to != "local":
        return at(to, key, "connect('local')")
    service = find_here()
    return Destination(service.url, local.own_key(service))


def looks_real(key: str) -> bool:
    """Whether a key looks like one of OpenAI's."""
    return key.startswith("sk-") and not key.startswith("sk-local-")


def is_openai(hostname: str) -> bool:
    """Whether a host is OpenAI's."""
    return hostname == "openai.com" or hostname.endswith(".openai.com")


def is_local(hostname: str) -> bool:
    """Whether a host is this machine."""
    return hostname in ("127.0.0.1", "localhost", "::1")


def found_here(url: str) -> bool:
    """Whether an address is that of the service on this machine, as it was found before, and nobody's choice."""
    return bool(url) and url == os.environ.get(_SET_HERE)


def note_found(url: str) -> None:
    """Remember the address at which the service on this machine was found, for this process and its children."""
    if found_here(os.environ.get("OPENAI_BASE_URL", "")):
        os.environ["OPENAI_BASE_URL"] = url
    os.environ[_SET_HERE] = url


def find_here() -> local.Service:
    """The service on this machine, which is started if need be. A download that this needs shows on stderr."""
    service = local.find()
    note_found(service.url)
    return service


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
