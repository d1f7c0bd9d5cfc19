"""Keeps web pages of others away, and slows down those who guess keys.

A page in the learner's browser may try to reach the service on the learner's machine: by a name of its own that
suddenly means 127.0.0.1 ("DNS rebinding"), or straight away. It has no key, so it would get nothing. Here it is
turned away before that: by the name in ``Host``, and by ``Origin``, in which a browser says whose page asks.
"""

from __future__ import annotations

import asyncio
import ipaddress
import time
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from openai_local.service.errors import APIError, respond

FREE_FAILURES = 5
"""So many wrong keys in a minute are answered at once."""
LONGEST_SECONDS = 5.0
_MINUTE = 60.0
_MOST_KEPT = 10_000


class Visitors:
    """ASGI middleware: refuses requests that a page of somebody else sends."""

    def __init__(self, app: ASGIApp, names: frozenset[str]) -> None:
        """`names` are the hosts that the service may be called; with `ANY` among them there may be others."""
        self.app, self.names = app, names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through or answer 403."""
        if scope["type"] == "http" and (problem := self._problem(Headers(scope=scope))):
            error = APIError(403, problem, code="forbidden")
            return await respond(error)(scope, receive, send)
        return await self.app(scope, receive, send)

    def _problem(self, headers: Headers) -> str:
        host, origin = headers.get("host", ""), headers.get("origin")
        if not self._is_ours(host):
            return (
                f"This service is not called {_name(host)!r}. Call it by its number, such as 127.0.0.1. If the "
                "name is right, start the service with --url and the address that others type."
            )
        page = origin.partition("://")[2] if origin is not None else host
        if page != host and not self._is_named(page):
            return "Pages of other addresses may not use this service."
        return ""

    def _is_ours(self, host: str) -> bool:
        name = _name(host)
        return ANY in self.names or name in self.names or _is_number(name)

    def _is_named(self, host: str) -> bool:
        """Whether a page is from a name that was given; behind a proxy, ``Host`` may be another."""
        return _name(host) in self.names - LOOPBACK - {ANY}


LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
"""What every machine calls itself."""
ANY = "*"
"""Stands for all names, where only others know them: on a network, or behind a Hub."""


def _name(host: str) -> str:
    """A host without its port, in small letters; ``[::1]:80`` is ``::1``. Empty if it is none."""
    try:
        return (urlsplit(f"//{host}").hostname or "").rstrip(".")
    except ValueError:
        return ""


def _is_number(name: str) -> bool:
    """Whether a host is an address in numbers. Nobody else's name can become one."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


class Patience:
    """Makes those wait who come with wrong keys again and again."""

    def __init__(self) -> None:
        """Nobody has come yet."""
        self._failures: dict[str, tuple[int, float]] = {}

    async def wait(self, address: str) -> None:
        """Somebody at `address` came with a wrong key: wait the longer, the more often in a minute."""
        now = time.monotonic()
        count, since = self._failures.get(address, (0, now))
        if now - since > _MINUTE:
            count, since = 0, now
        if len(self._failures) >= _MOST_KEPT:
            self._failures.clear()
        self._failures[address] = (count + 1, since)
        if count >= FREE_FAILURES:
            await asyncio.sleep(min(0.1 * 2.0 ** min(count - FREE_FAILURES, 16), LONGEST_SECONDS))
