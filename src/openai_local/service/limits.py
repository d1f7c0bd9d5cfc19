"""What one learner may have at most, so that nobody takes a class's machine for themselves.

Whoever is at a limit gets 429 with ``Retry-After``. The official client waits so long and asks again; from two
minutes on it gives up at once.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from openai.types import FileObject
from openai.types.fine_tuning import FineTuningJob
from starlette.types import ASGIApp, Receive, Scope, Send

from openai_local.service.activity import Activity
from openai_local.service.errors import APIError, respond
from openai_local.service.identity import Identity
from openai_local.service.job_records import ALIVE
from openai_local.service.settings import Limits
from openai_local.service.store import Store

OPEN_SECONDS = 1
"""``Retry-After`` when too many requests are being answered."""
JOB_SECONDS = 30
"""``Retry-After`` when there is no room for a job. One of the earlier ones may be over then."""
BYTES_SECONDS = 3600
"""``Retry-After`` when there is no room for a file, or for any job today. Waiting alone does not help."""
_DAY = 24 * 60 * 60
_STEP = 1 << 20  # bytes; the database is asked once for so many of an upload that does not tell its length


class Quota:
    """Looks whether somebody has room for one more."""

    def __init__(self, limits: Limits, store: Store) -> None:
        """`limits` hold for each learner."""
        self._limits, self._store = limits, store
        self._left: dict[str, tuple[float, float]] = {}  # by name: requests, and when that was so
        self._open, self._coming = Counter[str](), Counter[str]()  # by name: requests; bytes of uploads

    def request(self, who: Identity) -> None:
        """Count a request.

        A learner may save up the requests of one minute, and gets new ones all the time (a "token bucket").

        Raises:
            APIError: 429, there were too many in the last minute.
        """
        most = self._limits.requests
        if most is None or who.instructor:
            return
        now, each = time.monotonic(), 60 / most
        left, then = self._left.get(who.name, (float(most), now))
        left = min(most, left + (now - then) / each)
        if left < 1:
            self._left[who.name] = (left, now)
            seconds = math.ceil((1 - left) * each)
            raise _too_much(
                f"Rate limit reached: {most} requests in a minute. Please try again in {seconds}s.", seconds
            )
        self._left[who.name] = (left - 1, now)

    def enter(self, who: Identity) -> None:
        """Count a request that is being answered, until `leave`.

        Raises:
            APIError: 429, too many of theirs are.
        """
        most = self._limits.open
        if most is not None and not who.instructor and self._open[who.name] >= most:
            raise _too_much(
                f"Rate limit reached: {most} of your requests are being answered. Please try again in "
                f"{OPEN_SECONDS}s.",
                OPEN_SECONDS,
            )
        self._open[who.name] += 1

    def leave(self, who: Identity) -> None:
        """A request of somebody has been answered."""
        self._open[who.name] -= 1

    def answers(self, who: Identity) -> int | None:
        """How many answers of somebody may be made or wait at the same time; None is no limit."""
        return None if who.instructor else self._limits.answers

    def minutes(self, who: Identity) -> int | None:
        """How many minutes one job of somebody may train; None is no limit."""
        return None if who.instructor else self._limits.minutes

    def job(self, who: Identity) -> None:
        """Look whether there is room for one more job.

        Raises:
            APIError: 429, there is none.
        """
        self.bytes(who, 0)
        most, daily = self._limits.jobs, self._limits.daily
        if most is None or who.instructor:
            return
        alive = (self._store.page(FineTuningJob, owner=who.name, status=status, limit=most) for status in ALIVE)
        waiting = sum(map(len, alive))
        if waiting >= most:
            raise _too_much(
                f"You have {waiting} fine-tuning jobs that are not over yet, and may have {most}. Wait until one "
                "is over, or cancel one.",
                JOB_SECONDS,
            )
        if daily is None:
            return
        latest = self._store.page(FineTuningJob, owner=who.name, limit=daily)
        started = sum(job.created_at > time.time() - _DAY for job in latest)
        if started >= daily:
            raise _too_much(
                f"You have started {started} fine-tuning jobs in 24 hours, and may start {daily}. Go on tomorrow, "
                "or ask your instructor.",
                BYTES_SECONDS,
            )

    def bytes(self, who: Identity, more: int) -> None:
        """Look whether there is room for `more` bytes, besides what is on its way.

        Raises:
            APIError: 429, there is none.
        """
        most = self._limits.stored
        if most is None or who.instructor:
            return
        stored = self._store.stored(who.name)
        if stored + self._coming[who.name] + more > most or stored >= most:
            raise _too_much(
                f"Your files and models take {stored / 1e6:.1f} MB, and may take {most / 1e6:.0f} MB. Delete some "
                "that you don't need any more.",
                BYTES_SECONDS,
            )

    @contextmanager
    def upload(self, who: Identity, said: int) -> Iterator[Callable[[int], None]]:
        """Room for one more file while it comes.

        Args:
            who: whose it is.
            said: how many bytes it is said to have.

        Returns:
            To be called with the number of bytes that have come so far.

        Raises:
            APIError: 429, there is no room for so many bytes, or for another file.
        """
        self._file(who)
        self.bytes(who, said)
        room = said

        def came(so_far: int) -> None:
            nonlocal room
            if so_far > room:
                step = max(so_far - room, _STEP)
                self.bytes(who, step)
                self._coming[who.name] += step
                room += step

        self._coming[who.name] += room
        try:
            yield came
        finally:
            self._coming[who.name] -= room

    def _file(self, who: Identity) -> None:
        most = self._limits.files
        if most is None or self._limits.stored is None or who.instructor:
            return
        files = len(self._store.page(FileObject, owner=who.name, limit=most))
        if files >= most:
            raise _too_much(
                f"You have {files} files, and may have {most}. Delete some that you don't need any more.",
                BYTES_SECONDS,
            )


def _too_much(message: str, seconds: int) -> APIError:
    headers = {"retry-after": str(seconds)}
    return APIError(429, message, code="rate_limit_exceeded", kind="requests", headers=headers)


class Counted:
    """ASGI middleware behind `RequireKey`: counts requests, and notes who called."""

    def __init__(self, app: ASGIApp, quota: Quota, activity: Activity) -> None:
        """`app` is called unless `quota` is used up."""
        self.app, self.quota, self.activity = app, quota, activity

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through or answer 429."""
        who = scope["identity"]
        try:
            self.quota.request(who)
            self.quota.enter(who)
        except APIError as error:
            return await respond(error)(scope, receive, send)
        self.activity.note(who)
        try:
            return await self.app(scope, receive, send)
        finally:
            self.quota.leave(who)
