"""One connection, and when to hang up: who vanishes without a word must not hold it for ever.

A machine that loses its network sends no goodbye. Two things find that out. The system asks a client that was
silent for a minute whether it is still there (TCP's keepalive), and after five minutes without a sign it ends the
connection. And a client that has just connected, or began a request, gets `SILENT_SECONDS` to send the next piece
of it. While an answer is made or streamed the client owes nothing, so that may take as long as it likes.
"""

from __future__ import annotations

import asyncio
import socket

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from openai_local.service.errors import APIError, respond
from openai_local.service.guard import HEADERS

SILENT_SECONDS = 60.0
"""How long a client that owes the rest of a request may send nothing."""
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
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            answer = respond(APIError(400, msg, headers={**HEADERS, "connection": "close"}))
            head = h11.Response(status_code=400, headers=answer.raw_headers, reason=b"Bad Request")
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


def _keep_alive(connection: socket.socket | None) -> None:
    if connection is None or connection.family not in (socket.AF_INET, socket.AF_INET6):
        return
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEPALIVE.items():
        if hasattr(socket, name):
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
