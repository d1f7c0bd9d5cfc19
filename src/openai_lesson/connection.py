"""Connecting the official client, and what suits the host that it speaks to.

`connect` returns an ordinary `openai.OpenAI` client. By default it finds the service on this machine, or starts
it, and sets ``OPENAI_BASE_URL`` and ``OPENAI_API_KEY``, so that any other code in the notebook reaches it too.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import openai

from openai_lesson import destination, local
from openai_lesson.destination import is_local, is_openai

if TYPE_CHECKING:
    from openai_lesson.prepare import Form


@dataclass(frozen=True)
class Host:
    """What suits the host that a client speaks to.

    `model` is the model to fine-tune there, and `form` the form of its training data and of its questions:
    ``"completion"`` as in 2022, or ``"chat"``.
    """

    name: str
    local: bool
    model: str
    form: Form

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
    found = destination.for_notebook(to)
    os.environ["OPENAI_BASE_URL"], os.environ["OPENAI_API_KEY"] = found.url, found.key
    client = openai.OpenAI()
    print(f"Connected to {host(client).name} ({found.url})")
    return client


def host(client: openai.OpenAI) -> Host:
    """What suits the host that `client` speaks to."""
    name = urlsplit(str(client.base_url)).hostname or ""
    if is_local(name):
        return Host("the service on this machine", True, "ada", "completion")
    if client.api_key.startswith("sk-local-") or client.api_key == os.environ.get("JUPYTERHUB_API_TOKEN"):
        return Host("your class's service", True, "ada", "completion")
    known = "OpenAI" if is_openai(name) else name
    return Host(known, False, "gpt-4.1-nano-2025-04-14", "chat")


def find_again(client: openai.OpenAI) -> None:
    """Point a client to the service on this machine again, if that went on at another port.

    Only a client whose address was found by `connect`, or by the command, is changed. Nothing is started.

    Raises:
        LessonError: the service's home can't be read.
    """
    if not destination.found_here(str(client.base_url).rstrip("/")):
        return
    if (service := local.running()) is not None:
        client.base_url = service.url
        destination.note_found(service.url)
