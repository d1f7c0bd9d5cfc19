"""How many answers are in the making at once, and when to say: not now."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import anyio
import anyio.to_thread

from openai_local.engine.answering import SLOTS
from openai_local.service.errors import APIError

MOST = 64
Result = TypeVar("Result")


class Load:
    """The answers of one service. A few are made at a time, others wait their turn, and more are refused."""

    def __init__(self, most: int = MOST, at_once: int = SLOTS) -> None:
        """`most` may be made or wait; `at_once` have a thread, as many as llama.cpp works on at a time."""
        self._most, self._threads, self._busy = most, anyio.CapacityLimiter(at_once), 0

    @contextmanager
    def place(self) -> Iterator[None]:
        """Hold a place among the answers.

        Raises:
            APIError: 429, there are too many. The official client then waits a second and asks again.
        """
        if self._busy >= self._most:
            message = f"Rate limit reached: {self._most} answers are in the making. Please try again in 1s."
            raise APIError(429, message, code="rate_limit_exceeded", kind="requests", headers={"retry-after": "1"})
        self._busy += 1
        try:
            yield
        finally:
            self._busy -= 1

    async def run(self, function: Callable[[], Result]) -> Result:
        """Call a function in a thread, when it is its turn."""
        return await anyio.to_thread.run_sync(function, limiter=self._threads)
