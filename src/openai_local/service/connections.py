"""One connection, and when to hang up: who vanishes without a word must not hold it for ever.

A machine that loses its network sends no goodbye. Two things find that out. The system asks a client that was
silent for a minute whether it is still there (TCP's keepalive), and after five minutes without a sign it ends the
connection. And a client that has just connected, or began a request, gets `SILENT_SECONDS` to send the next piece
of it. While an answer is made or streamed the client owes nothing, so that may take as long as it likes.

A client that goes away while its answer is made says nothing either; only its connection closes. Nobody waits for
the answer then, so it must not keep a core busy and others waiting. Who makes one looks at `Caller.gone` before
each token.

Each connection takes a file handle, and a program gets so many of them. The last `KEPT_HANDLES` are not for
connections: without them the service could not open a file.
"""

import asyncio
import contextlib
import socket
import sys
from collections.abc import AsyncIterator
from http import HTTPStatus

import h11
from starlette.requests import Request
from uvicorn.protocols.http.h11_impl import H11Protocol

from openai_local.service.errors import APIError, respond
from openai_local.service.trusted_hosts import HEADERS

if sys.platform != "win32":
    import resource

SILENT_SECONDS = 60.0  # how long a client that owes the rest of a request may send nothing
HANDLES = 4096  # so many files and connections may be open at once, if the system allows it
KEPT_HANDLES = 512
_KEEPALIVE = {
    "TCP_KEEPIDLE": 60,
    "TCP_KEEPALIVE": 60,
    "TCP_KEEPINTVL": 60,
    "TCP_KEEPCNT": 4,
    "TCP_USER_TIMEOUT": 300_000,
}
"""Seconds of silence before the first question and between two, and how many. The last is in milliseconds: how
long what was sent may stay without a receipt. Each system knows some of these; on macOS the second is the first.
"""


class Connection(H11Protocol):
    """Uvicorn's connection, with an end to its patience."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Somebody connects."""
        super().connection_made(transport)
        _keep_alive(transport.get_extra_info("socket"))
        handles = HANDLES if sys.platform == "win32" else resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        if len(self.connections) > max(handles - KEPT_HANDLES, handles // 2):
            full = "The service has as many connections as it can have. Please try again in 5s."
            self._refuse(APIError(429, full, code="rate_limit_exceeded", headers={"retry-after": "5"}))
        self._expect()

    def connection_lost(self, exc: Exception | None) -> None:
        """It is over."""
        super().connection_lost(exc)
        self._unset_keepalive_if_required()

    def data_received(self, data: bytes) -> None:
        """Something came; uvicorn stops the clock first."""
        super().data_received(data)
        self._expect()

    def send_400_response(self, msg: str) -> None:
        """Who breaks the rules of HTTP is told so, in the envelope, and gets no other answer."""
        if self.cycle is not None:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self._refuse(APIError(400, msg))

    def _refuse(self, error: APIError) -> None:
        """Answer, unless an answer has begun, and hang up."""
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            answer = respond(error)
            answer.headers.update({**HEADERS, "connection": "close"})
            reason = HTTPStatus(error.status).phrase.encode()
            head = h11.Response(status_code=error.status, headers=answer.raw_headers, reason=reason)
            for event in (head, h11.Data(data=bytes(answer.body)), h11.EndOfMessage()):
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def _expect(self) -> None:
        """Start the clock, if the client owes something and no clock runs."""
        owes = self.conn.their_state in (h11.IDLE, h11.SEND_BODY) and not self.transport.is_closing()
        if owes and self.timeout_keep_alive_task is None:
            self.timeout_keep_alive_task = self.loop.call_later(SILENT_SECONDS, self._hang_up)

    def _hang_up(self) -> None:
        self.timeout_keep_alive_task = None
        if self.flow.read_paused:  # it may have sent more, which the service has not read yet
            self._expect()
        else:
            self.transport.close()


class Caller:
    """The client that sent a request whose body was read. `gone` says whether it has left; any thread may look."""

    def __init__(self, request: Request) -> None:
        self.gone, self._request = False, request

    @contextlib.asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        """Watch it inside the block. Later others may, such as Starlette's own streams."""
        watching = asyncio.ensure_future(self._watch())
        try:
            yield
        finally:
            watching.cancel()
            await asyncio.wait({watching})

    async def _watch(self) -> None:
        while (await self._request.receive())["type"] != "http.disconnect":
            pass
        self.gone = True


def allow_handles() -> None:
    """Ask the system for `HANDLES`: some give a program 256 unless it asks for more."""
    if sys.platform != "win32":  # there is no such limit
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = HANDLES if hard == resource.RLIM_INFINITY else min(hard, HANDLES)
        if soft < wanted:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _keep_alive(connection: socket.socket | None) -> None:
    if connection is None or connection.family not in (socket.AF_INET, socket.AF_INET6):
        return
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEPALIVE.items():
        if hasattr(socket, name):
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
