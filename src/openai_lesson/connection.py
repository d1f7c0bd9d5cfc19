"""Connecting the official client: the service on this machine, or another host.

`connect` returns an ordinary `openai.OpenAI` client. By default it finds the service on this machine, or starts
it, and sets ``OPENAI_BASE_URL`` and ``OPENAI_API_KEY``, so that any other code in the notebook reaches it too.

Notebooks stay on this machine unless an address is named.
"""

import os
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import openai

from openai_lesson import local

_SET_HERE = "OPENAI_LESSON_LOCAL_URL"


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
    """Where `connect` goes, with the same `to` and the same errors."""
    local.go_directly()
    url, key = os.environ.get("OPENAI_BASE_URL", ""), os.environ.get("OPENAI_API_KEY", "")
    if found_here(url):
        url, key = "", ""
    to = to or url or "local"
    if to != "local":
        from openai_lesson.other_hosts import at  # late: most learners stay on this machine

        return at(to, key, "connect('local')")
    service = find_here()
    return Destination(service.url, local.own_key(service))


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
