"""The service on this machine: its base model, whether it answers, and the address that the learner set.

Nothing is started and nothing is fetched: a service that does not run yet is as it should be.
"""

from __future__ import annotations

import json
import os
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import HTTPHandler, ProxyHandler, Request, build_opener

from openai_command.doctor import place
from openai_command.doctor.line import Line, ok, wrong
from openai_data.local_cli import output
from openai_lesson import connection, keys

PATIENCE_SECONDS = 5.0


def base() -> Line:
    """Whether the base model is here and is, byte by byte, what it should be."""
    facts: dict[str, Any] = json.loads(output("bases", "check", "--json"))
    fetch = f"{place.program('openai-local')} bases fetch"
    if facts["state"] == "missing":
        return wrong(f"The base model {facts['title']} is not on this machine yet (93 MB).", fetch)
    if facts["state"] == "unfinished":
        return wrong(f"The base model {facts['title']} was fetched, but not made ready for training.", fetch)
    if facts["state"] == "broken":
        return wrong(
            f"The file of the base model {facts['title']} is damaged: its SHA-256 is not {facts['sha256'][:12]}….",
            fetch,
        )
    return ok(f"The base model {facts['title']} is here, and its SHA-256 is right ({facts['sha256'][:12]}…).")


def service() -> Line:
    """Whether the service on this machine answers, if it runs."""
    status = json.loads(output("status", "--json"))
    program = place.program("openai-local")
    if not status["url"]:
        return ok(f"The service on this machine does not run now. It starts by itself, or with:  {program} serve")
    answer = _ask(status["url"], keys.load(f"local:{status['home']}") or "none")
    if answer is None:
        return wrong(f"The service should answer at {status['url']}, and does not.", f"{program} stop")
    models = f" and has {answer} model{'s' if answer != 1 else ''}" if answer else ""
    return ok(f"The service on this machine answers at {status['url']}{models}.")


def address() -> list[Line]:
    """Whether anyone answers at the address that the learner set, if one is set."""
    variable, url = chosen_address()
    if not url:
        return []
    host = urlsplit(url).netloc.rpartition("@")[2]
    if _ask(url.rstrip("/"), "none") is None:
        return [
            wrong(f"{variable} is set to {url}, and nobody answers there.", place.forget_variable(variable)),
        ]
    return [ok(f"{variable} sends you to {host}, which answers.")]


def chosen_address() -> tuple[str, str]:
    """The address that the learner set, and the variable in which it stands; empty if there is none."""
    for variable in ("OPENAI_BASE_URL", "OPENAI_API_BASE"):
        url = os.environ.get(variable, "")
        if url and not connection.found_here(url):
            return variable, url
    return "", ""


def _ask(url: str, key: str) -> int | None:
    """How many models a host lists (0: it answers, but not to this key), or None if it does not answer."""
    here = connection.is_local(urlsplit(url).hostname or "")
    opener = build_opener(HTTPHandler(), *([ProxyHandler({})] if here else []))
    try:
        # The address is the one that the client would use.
        request = Request(f"{url}/models", headers={"Authorization": f"Bearer {key}"})  # noqa: S310
        with opener.open(request, timeout=PATIENCE_SECONDS) as answer:
            return len(json.load(answer)["data"])
    except HTTPError:
        return 0
    except (OSError, ValueError, KeyError):
        return None
