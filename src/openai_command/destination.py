"""Where the command `openai` goes: to OpenAI, too, where the learner set a key that looks like one of OpenAI's."""

import os

from openai_lesson import local
from openai_lesson.connection import Destination, find_here, found_here
from openai_lesson.other_hosts import OPENAI_URL, WHERE_KEYS_ARE, at, looks_real


def for_command(base: str | None = None, key: str | None = None) -> Destination:
    """Where the command `openai` goes, by the address and the key that were typed.

    Without an address (or ``"local"``, or ``"openai"``), that of ``OPENAI_BASE_URL`` counts, or of
    ``OPENAI_API_BASE``, as it was called in 2022; without a key, that of ``OPENAI_API_KEY``. If the service
    can't be started, or there is no key for the host, that is a `LessonError`.
    """
    local.go_directly()
    to = base or os.environ.get("OPENAI_BASE_URL") or os.environ.get("OPENAI_API_BASE") or ""
    key = key or os.environ.get("OPENAI_API_KEY", "")
    if not to and looks_real(key):
        remark = f"Using OpenAI ({OPENAI_URL}) with your key. To stay on this machine:  openai -b local api …"
        return Destination(OPENAI_URL, key, (remark,))
    if to in ("", "local") or found_here(to):
        return _here(key)
    return at(to, key, "openai -b local api …")


def _here(given: str) -> Destination:
    """The service on this machine, with the key that was given if it knows that one."""
    service = find_here()
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
