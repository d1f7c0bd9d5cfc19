"""Who waits for an answer, and whether they still do.

A client that goes away says nothing; only its connection closes. An answer that nobody waits for must not keep a
core busy and others waiting. So whoever makes one looks at `Caller.gone` before each token.
"""

from __future__ import annotations

import asyncio

from starlette.requests import Request


class Caller:
    """The client that sent a request whose body was read. Watched inside ``async with``.

    `gone` says whether it has left; any thread may read it.
    """

    def __init__(self, request: Request) -> None:
        """Nobody watches yet."""
        self.gone = False
        self._request = request
        self._watching: asyncio.Future[None] | None = None

    async def __aenter__(self) -> Caller:
        """Begin to watch."""
        self._watching = asyncio.ensure_future(self._watch())
        return self

    async def __aexit__(self, *_: object) -> None:
        """Let others watch, such as Starlette's own streams."""
        assert self._watching is not None
        self._watching.cancel()
        await asyncio.wait({self._watching})

    async def _watch(self) -> None:
        while (await self._request.receive())["type"] != "http.disconnect":
            pass
        self.gone = True
