"""How often followers of jobs should look: the more there are, the more seldom, so that training is not held up.

It goes out as ``openai-poll-after-ms``, the header with which OpenAI paces those who wait for its vector stores.
"""

from __future__ import annotations

import time

LEAST_SECONDS = 1.0
EACH_SECONDS = 0.2
"""A look takes about 4 ms of a core. So all followers together take a fiftieth of it, however many they are."""
_FORGOTTEN_SECONDS = 30.0


class Pace:
    """Counts those who follow jobs."""

    def __init__(self) -> None:
        """Nobody follows yet."""
        self._seen: dict[tuple[str, str], float] = {}
        self._cleaned = 0.0

    def look(self, who: str, job: str) -> dict[str, str]:
        """Somebody looks at a job.

        Returns:
            The headers that say when to look again.
        """
        now = time.monotonic()
        self._seen[who, job] = now
        if now - self._cleaned > LEAST_SECONDS:
            self._seen = {follower: at for follower, at in self._seen.items() if now - at < _FORGOTTEN_SECONDS}
            self._cleaned = now
        seconds = max(LEAST_SECONDS, EACH_SECONDS * len(self._seen))
        return {"openai-poll-after-ms": f"{seconds * 1000:.0f}"}
