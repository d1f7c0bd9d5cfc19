"""How much is asked of the service at a time: when to say "not now", and how often followers of a job shall look.

Of one learner's answers in a class only a few are made at the same time, and a few more may wait. The others'
places stay free, however much somebody asks for.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import TypeVar

import anyio.to_thread

from openai_local.service.errors import too_much

MOST = 64
AT_ONCE = 4  # answers of one learner are made at the same time, where they have limits; `lanes.LANES` is more
LOOK_SECONDS = 0.3  # a look at a job takes about 3 ms of a core: all followers together take a hundredth of it
STREAM_SECONDS = 0.05  # a stream that looks whether there is something to send takes half a millisecond
LEAST_SECONDS = 1.0
_FORGOTTEN_SECONDS = 30.0
Result = TypeVar("Result")


class Load:
    """The answers of one service, or of one learner. Each has a place, and a thread while it is made."""

    def __init__(self, most: int = MOST, *, at_once: int = MOST, whole: "Load | None" = None) -> None:
        """`most` may be made or wait, `at_once` be made at a time. A learner's load is part of the `whole`."""
        self._most, self._whole, self._busy = most, whole, 0
        self._turns = anyio.CapacityLimiter(at_once)
        self._shares: dict[str, Load] = {}

    def share(self, name: str, most: int) -> "Load":
        """The part of this load that one learner may use; `most` of their answers may be made or wait."""
        return self._shares.setdefault(name, Load(most, at_once=AT_ONCE, whole=self))

    def require_room(self) -> None:
        """Raise `APIError` (429) if there is no place. The official client then waits a second and asks again."""
        if self._busy >= self._most:
            whose = "of your answers" if self._whole else "answers"
            message = f"Rate limit reached: {self._most} {whose} are in the making. Please try again in 1s."
            raise too_much(message, 1)
        if self._whole:
            self._whole.require_room()

    @contextmanager
    def place(self) -> Iterator[None]:
        """Hold a place among the answers. Raises what `require_room` raises."""
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


class Polling:
    """Says how often followers of jobs should look: the more there are, the more seldom, so that training goes on.

    It goes out as ``openai-poll-after-ms``, with which OpenAI paces those who wait for its vector stores.
    """

    def __init__(self) -> None:
        self._seen: dict[tuple[str, str], tuple[float, float]] = {}
        self._seconds = LEAST_SECONDS

    def look(self, who: str, job: str, seconds: float = LOOK_SECONDS) -> float:
        """Somebody, by name, looks at a job, by id. Returns the seconds after which to look again.

        `seconds` is what they add to the time that each of the followers waits.
        """
        now = time.monotonic()
        self._seen[who, job] = now, seconds
        patience = max(_FORGOTTEN_SECONDS, 2 * self._seconds)
        self._seen = {follower: (at, own) for follower, (at, own) in self._seen.items() if now - at < patience}
        self._seconds = max(LEAST_SECONDS, sum(own for _, own in self._seen.values()))
        return self._seconds
