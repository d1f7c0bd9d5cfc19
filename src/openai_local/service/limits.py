"""What one learner may have at most, so that nobody takes a class's machine for themselves.

Whoever is at a limit gets 429 with ``Retry-After``. The official client waits so long and asks again; from two
minutes on it gives up at once.
"""

from __future__ import annotations

import math
import time

from openai.types.fine_tuning import FineTuningJob
from starlette.types import ASGIApp, Receive, Scope, Send

from openai_local.service.activity import Activity
from openai_local.service.errors import APIError, respond
from openai_local.service.identity import Identity
from openai_local.service.records import ENDED
from openai_local.service.settings import Limits
from openai_local.service.store import Store

JOB_SECONDS = 30
"""``Retry-After`` when there is no room for a job. One of the earlier ones may be over then."""
BYTES_SECONDS = 3600
"""``Retry-After`` when there is no room for bytes. Waiting alone does not help."""


class Quota:
    """Looks whether somebody has room for one more."""

    def __init__(self, limits: Limits, store: Store) -> None:
        """`limits` hold for each learner."""
        self._limits, self._store = limits, store
        self._left: dict[str, tuple[float, float]] = {}  # by name: requests, and when that was so

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

    def job(self, who: Identity) -> None:
        """Look whether there is room for one more job.

        Raises:
            APIError: 429, there is none.
        """
        self.bytes(who, 0)
        most = self._limits.jobs
        if most is None or who.instructor:
            return
        mine = self._store.page(FineTuningJob, owner=who.name, limit=most * 20)
        waiting = sum(job.status not in ENDED for job in mine)
        if waiting >= most:
            raise _too_much(
                f"You have {waiting} fine-tuning jobs that are not over yet, and may have {most}. Wait until one "
                "is over, or cancel one.",
                JOB_SECONDS,
            )

    def bytes(self, who: Identity, more: int) -> None:
        """Look whether there is room for `more` bytes.

        Raises:
            APIError: 429, there is none.
        """
        most = self._limits.stored
        if most is None or who.instructor:
            return
        stored = self._store.stored(who.name)
        if stored + more > most or stored >= most:
            raise _too_much(
                f"Your files and models take {stored / 1e6:.1f} MB, and may take {most / 1e6:.0f} MB. Delete some "
                "that you don't need any more.",
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
        try:
            self.quota.request(scope["identity"])
        except APIError as error:
            return await respond(error)(scope, receive, send)
        self.activity.note(scope["identity"])
        return await self.app(scope, receive, send)
