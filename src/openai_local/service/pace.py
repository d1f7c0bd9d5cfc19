"""How often followers of jobs should look: the more there are, the more seldom, so that training is not held up.

It goes out as ``openai-poll-after-ms``, the header with which OpenAI paces those who wait for its vector stores.
"""

from __future__ import annotations

import time

LOOK_SECONDS = 0.3
"""A look takes about 3 ms of a core. So all followers together take a hundredth of it, however many they are."""
STREAM_SECONDS = 0.05
"""A stream that looks whether there is something to send takes half a millisecond."""
LEAST_SECONDS = 1.0
_FORGOTTEN_SECONDS = 30.0


class Pace:
    """Counts those who follow jobs."""

    def __init__(self) -> None:
        """Nobody follows yet."""
        self._seen: dict[tuple[str, str], tuple[float, float]] = {}
        self._cleaned = 0.0
        self._seconds = LEAST_SECONDS

    def look(self, who: str, job: str, seconds: float = LOOK_SECONDS) -> float:
        """Somebody looks at a job.

        Args:
            who: their name.
            job: its id.
            seconds: what they add to the time that each of the followers waits.

        Returns:
            The seconds after which to look again.
        """
        now = time.monotonic()
        self._seen[who, job] = now, seconds
        if now - self._cleaned > LEAST_SECONDS:
            patience = max(_FORGOTTEN_SECONDS, 2 * self._seconds)
            self._seen = {follower: (at, own) for follower, (at, own) in self._seen.items() if now - at < patience}
            self._cleaned = now
        self._seconds = max(LEAST_SECONDS, sum(own for _, own in self._seen.values()))
        return self._seconds
