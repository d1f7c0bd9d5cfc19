"""Which address and which key: the one place that decides where a client goes.

Notebooks (`for_notebook`) stay on this machine unless an address is named. The command (`for_command`) goes to
OpenAI, too, where the learner set a key that looks like one. A key goes only to a host that it can be meant for.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from openai_lesson import keys, local
from openai_lesson.errors import LessonError

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
    return _on_this_machine("") if to == "local" else _at(to, key, "connect('local')")


def for_command(base: str | None = None, key: str | None = None) -> Destination:
    """Where the command `openai` goes.

    Args:
        base: the address that was typed, ``"local"`` or ``"openai"`` (nothing: that of ``OPENAI_BASE_URL``, or of
            ``OPENAI_API_BASE``, as it was called in 2022).
        key: the key that was typed (nothing: that of ``OPENAI_API_KEY``).

    Raises:
        LessonError: the service can't be started, or there is no key for the host.
    """
    local.go_directly()
    to = base or os.environ.get("OPENAI_BASE_URL") or os.environ.get("OPENAI_API_BASE") or ""
    key = key or os.environ.get("OPENAI_API_KEY", "")
    if not to and looks_real(key):
        remark = f"Using OpenAI ({OPENAI_URL}) with your key. To stay on this machine:  openai -b local api …"
        return Destination(OPENAI_URL, key, (remark,))
    if to in ("", "local") or found_here(to):
        return _on_this_machine(key)
    return _at(to, key, "openai -b local api …")


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


def _on_this_machine(given: str) -> Destination:
    service = local.find(sys.stderr)
    note_found(service.url)
    here = f"the service on this machine ({service.url})"
    remark = f"{'Started' if service.started else 'Using'} {here}."
    if given.startswith("sk-local-"):
        if local.takes(service.url, given):
            return Destination(service.url, given, (remark,))
        remark = f"Using {here} with its own key, for it does not know the one that you set."
    elif given and not looks_real(given):
        remark = (
            f"The key that you set is not a real one. None is needed here: using {here}. "
            f"A real key comes from {WHERE_KEYS_ARE}"
        )
    return Destination(service.url, local.own_key(service), (remark,))


def _at(to: str, given: str, stay: str) -> Destination:
    """A host that was named, with the key that was given, or else with the one that is kept for it."""
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
