"""How many answers are in the making or wait, and when to say: not now.

Of one learner's answers in a class only a few are made at the same time, and a few more may wait. The others'
places stay free, however much somebody asks for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import TypeVar

import anyio
import anyio.to_thread

from openai_local.service.errors import APIError

MOST = 64
AT_ONCE = 4
"""How many answers of one learner are made at the same time, where they have limits. `lanes.LANES` is more."""
Result = TypeVar("Result")


class Load:
    """The answers of one service, or of one learner. Each has a place, and a thread while it is made."""

    def __init__(self, most: int = MOST, *, at_once: int = MOST, whole: Load | None = None) -> None:
        """No answer is made yet.

        Args:
            most: how many may be made or wait; more are refused.
            at_once: how many may be made at the same time.
            whole: the load of the service, if this one is a learner's.
        """
        self._most, self._whole, self._busy = most, whole, 0
        self._turns = anyio.CapacityLimiter(at_once)
        self._shares: dict[str, Load] = {}

    def share(self, name: str, most: int) -> Load:
        """The part of this load that one learner may use; `most` of their answers may be made or wait."""
        return self._shares.setdefault(name, Load(most, at_once=AT_ONCE, whole=self))

    def require_room(self) -> None:
        """Look whether there is a place.

        Raises:
            APIError: 429, there are too many. The official client then waits a second and asks again.
        """
        if self._busy >= self._most:
            whose = "of your answers" if self._whole else "answers"
            message = f"Rate limit reached: {self._most} {whose} are in the making. Please try again in 1s."
            raise APIError(429, message, code="rate_limit_exceeded", kind="requests", headers={"retry-after": "1"})
        if self._whole:
            self._whole.require_room()

    @contextmanager
    def place(self) -> Iterator[None]:
        """Hold a place among the answers.

        Raises:
            APIError: as `require_room`.
        """
        self.require_room()
        with self._whole.place() if self._whole else nullcontext():
            self._busy += 1
            try:
                yield
            finally:
                self._busy -= 1

    async def run(self, function: Callable[[], Result]) -> Result:
        """Call a function in a thread, when it is this learner's turn; `Answering` knows whose turn it is then."""
        if self._whole is None:
            return await anyio.to_thread.run_sync(function, limiter=self._turns)
        async with self._turns:
            return await self._whole.run(function)
