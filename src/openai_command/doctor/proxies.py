"""Proxies that catch what is meant for this machine."""

from __future__ import annotations

import os
from urllib.request import getproxies, proxy_bypass

from openai_command.doctor import place
from openai_command.doctor.line import Line, ok, warning

HERE = "127.0.0.1"


def proxies() -> Line:
    """Whether a program that asks for 127.0.0.1 is sent to a proxy. The lesson's own go round it."""
    known = getproxies()
    proxy = known.get("http") or known.get("all")
    if not proxy:
        return ok("No proxy is set for http.")
    if proxy_bypass(HERE):
        return ok("A proxy is set, and this machine is reached without it.")
    return warning(
        f"The proxy {proxy} also catches {HERE}. The lesson goes round it; other programs will not find the "
        "service on this machine.",
        place.set_variable(_variable(), _with_this_machine()),
    )


def _variable() -> str:
    """The small letters win if both are set."""
    return "no_proxy" if os.environ.get("no_proxy") else "NO_PROXY"


def _with_this_machine() -> str:
    return ",".join(filter(None, [os.environ.get(_variable(), ""), HERE, "localhost"]))
