"""How many answers are in the making or wait, and when to say: not now."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import anyio
import anyio.to_thread

from openai_local.service.errors import APIError

MOST = 64
Result = TypeVar("Result")


class Load:
    """The answers of one service. Each has a thread, in which it is made or waits its turn; more are refused."""

    def __init__(self, most: int = MOST) -> None:
        """`most` may be made or wait."""
        self._most, self._threads, self._busy = most, anyio.CapacityLimiter(most), 0

    def require_room(self) -> None:
        """Look whether there is a place.

        Raises:
            APIError: 429, there are too many. The official client then waits a second and asks again.
        """
        if self._busy >= self._most:
            message = f"Rate limit reached: {self._most} answers are in the making. Please try again in 1s."
            raise APIError(429, message, code="rate_limit_exceeded", kind="requests", headers={"retry-after": "1"})

    @contextmanager
    def place(self) -> Iterator[None]:
        """Hold a place among the answers.

        Raises:
            APIError: as `require_room`.
        """
        self.require_room()
        self._busy += 1
        try:
            yield
        finally:
            self._busy -= 1

    async def run(self, function: Callable[[], Result]) -> Result:
        """Call a function in a thread; `Answering` knows whose turn it is."""
        return await anyio.to_thread.run_sync(function, limiter=self._threads)
