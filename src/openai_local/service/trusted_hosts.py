"""Keeps web pages of others away.

A page in the learner's browser may try to reach the service on the learner's machine: by a name of its own that
suddenly means 127.0.0.1 ("DNS rebinding"), or straight away. It has no key, so it would get nothing. Here it is
turned away before that: by the name in ``Host``, and by ``Origin`` and ``Sec-Fetch-Site``, in which a browser says
whose page asks. And each answer tells the browser that it is for no other page, and not to be kept.
"""

import ipaddress
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from openai_local.service.errors import APIError, respond

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})  # what every machine calls itself
ANY = "*"  # stands for all names, where only others know them: on a network, or behind a Hub
HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'; sandbox",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
"""What a browser is told with each answer that says nothing else itself: it is data, for it alone, not to keep."""
_OTHERS = "Pages of other addresses may not use this service."
_TWO_LENGTHS = "A request has a Content-Length or a Transfer-Encoding, not both."
"""A proxy may go by the other of the two. What it takes for one request would be two here, the second with the key
of whoever the proxy lets in next ("request smuggling")."""


class TrustedHosts:
    """ASGI middleware: refuses requests that a page of somebody else sends, and puts `HEADERS` on each answer."""

    def __init__(self, app: ASGIApp, names: frozenset[str]) -> None:
        """`names` are the hosts that the service may be called; with `ANY` among them there may be others."""
        self.app, self.names = app, names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through or answer 403."""
        if scope["type"] != "http":
            return await self.app(scope, receive, send)

        async def told(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        headers = Headers(scope=scope)
        if "transfer-encoding" in headers and "content-length" in headers:
            error = APIError(400, _TWO_LENGTHS, headers={"connection": "close"})
            return await respond(error)(scope, receive, told)
        if problem := self._problem(headers):
            return await respond(APIError(403, problem, code="forbidden"))(scope, receive, told)
        return await self.app(scope, receive, told)

    def _problem(self, headers: Headers) -> str:
        hosts, origins = headers.getlist("host"), headers.getlist("origin")
        host = hosts[0] if len(hosts) == 1 else ""
        name = _name(host)
        if ANY not in self.names and name not in self.names and not _is_number(name):
            return (
                f"This service is not called {name!r}. Call it by its number, such as 127.0.0.1. If the name is "
                "right, start the service with --url and the address that others type."
            )
        pages = [origin.partition("://")[2] for origin in origins]
        named = self.names - LOOPBACK - {ANY}  # by --url: behind a proxy, ``Host`` may be another
        if any(page != host and _name(page) not in named for page in pages):
            return _OTHERS
        # A browser sends no Origin for pictures, scripts and frames, but says that they are for another page. If
        # somebody followed a link, the answer becomes a page of its own and not a part of another.
        elsewhere = headers.get("sec-fetch-site", "") in ("cross-site", "same-site")
        followed = (headers.get("sec-fetch-mode"), headers.get("sec-fetch-dest")) == ("navigate", "document")
        return _OTHERS if elsewhere and not pages and not followed else ""


def _name(host: str) -> str:
    """A host without its port, in small letters; ``[::1]:80`` is ``::1``. Empty if it is none."""
    try:
        return (urlsplit(f"//{host}").hostname or "").rstrip(".")
    except ValueError:
        return ""


def _is_number(name: str) -> bool:
    """Whether a host is an address in numbers. Nobody else's name can become one."""
    try:
        return bool(ipaddress.ip_address(name))
    except ValueError:
        return False
