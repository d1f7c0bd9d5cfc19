"""What one learner of a class may have at most, so that nobody takes the machine for themselves; and who asked.

Whoever is at a limit gets 429 with ``Retry-After``. The official client waits so long and asks again; from two
minutes on it gives up at once.
"""

import math
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock

from openai.types import FileObject
from openai.types.fine_tuning import FineTuningJob

from openai_local.service.auth import Identity
from openai_local.service.errors import too_much
from openai_local.service.job_records import ALIVE
from openai_local.service.store import Store

JOB_SECONDS = 30  # ``Retry-After`` when there is no room for a job: an earlier one may be over then
BYTES_SECONDS = 3600  # when there is none for a file, or for any job today: waiting alone does not help
_DAY = 24 * 60 * 60
_STEP = 1 << 20  # bytes; the database is asked once for so many of an upload that does not tell its length


@dataclass(frozen=True)
class Limits:
    """What one learner may have at most; None is no limit. An instructor has none."""

    jobs: int | None = None  # fine-tuning jobs that are not over yet
    stored: int | None = None  # bytes of files, trained models included
    requests: int | None = None  # in a minute
    open: int | None = None  # requests that are being answered at the same time
    answers: int | None = None  # answers that are made or wait at the same time
    files: int | None = None  # files, result files included
    daily: int | None = None  # fine-tuning jobs in a day, those that are over too
    minutes: int | None = None  # how long one job may train, as it is estimated before it starts


NONE = Limits()
CLASS = Limits(jobs=3, stored=500_000_000, requests=600, open=64, answers=16, files=1000, daily=100, minutes=60)
"""What a learner of a class may have, unless the instructor says otherwise."""


class Quota:
    """Looks whether somebody has room for one more, and knows who called. A crash loses what is not kept yet."""

    def __init__(self, limits: Limits, store: Store) -> None:
        self._limits, self._store, self._lock = limits, store, Lock()
        self._seen = store.activity()
        self._news: dict[str, tuple[int, int]] = {}  # by name, and by key: not written down yet
        self._keys: dict[str, int] = {}
        self._left: dict[str, tuple[float, float]] = {}  # by name: requests, and when that was so
        self._open, self._coming = Counter[str](), Counter[str]()  # by name: requests; bytes of uploads

    def _of(self, who: Identity) -> Limits:
        return NONE if who.instructor else self._limits

    @contextmanager
    def request(self, who: Identity) -> Iterator[None]:
        """A request, while it is answered. Raises `APIError` if there were too many, or too many are answered."""
        self._take_one(who)
        most = self._of(who).open
        if most is not None and self._open[who.name] >= most:
            message = f"Rate limit reached: {most} of your requests are being answered. Please try again in 1s."
            raise too_much(message, 1)
        self._open[who.name] += 1
        self.asked(who, 0)
        try:
            yield
        finally:
            self._open[who.name] -= 1

    def _take_one(self, who: Identity) -> None:
        """A learner may save up the requests of one minute, and gets new ones all the time (a "token bucket")."""
        most = self._of(who).requests
        if most is None:
            return
        now, each = time.monotonic(), 60 / most
        left, then = self._left.get(who.name, (float(most), now))
        left = min(most, left + (now - then) / each)
        self._left[who.name] = (left if left < 1 else left - 1, now)
        if left < 1:
            seconds = math.ceil((1 - left) * each)
            message = f"Rate limit reached: {most} requests in a minute. Please try again in {seconds}s."
            raise too_much(message, seconds)

    def asked(self, who: Identity, answers: int = 1) -> None:
        """Note that somebody called, and asked for so many answers."""
        now = int(time.time())
        with self._lock:
            self._seen[who.name] = self._news[who.name] = self._seen.get(who.name, (0, 0))[0] + answers, now
            if who.key:
                self._keys[who.key] = now

    def activity(self) -> dict[str, tuple[int, int]]:
        """How many answers each name has asked for, and when it called last (Unix time, seconds)."""
        with self._lock:
            return dict(self._seen)

    def write_activity(self) -> None:
        """Write down what is new. If the disk does not take it, it stays new."""
        with self._lock:
            news, keys = self._news.copy(), self._keys.copy()
        if news:
            self._store.note_activity(news, keys)
        with self._lock:
            self._news = dict(self._news.items() - news.items())
            self._keys = dict(self._keys.items() - keys.items())

    def answers(self, who: Identity) -> int | None:
        """How many answers of somebody may be made or wait at the same time; None is no limit."""
        return self._of(who).answers

    def job(self, who: Identity) -> int | None:
        """How many minutes one more job may train; None is no limit. Raises `APIError` if there may be none."""
        self._require_bytes(who, 0)
        limits, name = self._of(who), who.name
        most, daily = limits.jobs, limits.daily
        if most is None:
            return limits.minutes
        waiting = sum(len(self._store.page(FineTuningJob, owner=name, status=s, limit=most)) for s in ALIVE)
        if waiting >= most:
            raise too_much(
                f"You have {waiting} fine-tuning jobs that are not over yet, and may have {most}. Wait until one "
                "is over, or cancel one.",
                JOB_SECONDS,
            )
        latest = self._store.page(FineTuningJob, owner=name, limit=daily or 0)
        started = sum(job.created_at > time.time() - _DAY for job in latest)
        if daily is not None and started >= daily:
            raise too_much(
                f"You have started {started} fine-tuning jobs in 24 hours, and may start {daily}. Go on tomorrow, "
                "or ask your instructor.",
                BYTES_SECONDS,
            )
        return limits.minutes

    def _require_bytes(self, who: Identity, more: int) -> None:
        """Refuse if there is no room for `more` bytes, besides what is on its way."""
        most = self._of(who).stored
        if most is None:
            return
        stored = self._store.stored(who.name)
        if stored + self._coming[who.name] + more > most or stored >= most:
            raise too_much(
                f"Your files and models take {stored / 1e6:.1f} MB, and may take {most / 1e6:.0f} MB. Delete some "
                "that you don't need any more.",
                BYTES_SECONDS,
            )

    @contextmanager
    def upload(self, who: Identity, said: int) -> Iterator[Callable[[int], None]]:
        """Room for `said` bytes while they come, or `APIError` (429); yields what to call with those so far."""
        limits = self._of(who)
        if limits.files is not None and limits.stored is not None:
            files = len(self._store.page(FileObject, owner=who.name, limit=limits.files))
            if files >= limits.files:
                most = f"You have {files} files, and may have {limits.files}."
                raise too_much(f"{most} Delete some that you don't need any more.", BYTES_SECONDS)
        self._require_bytes(who, said)
        room = said

        def came(so_far: int) -> None:
            nonlocal room
            if so_far > room:
                step = max(so_far - room, _STEP)
                self._require_bytes(who, step)
                self._coming[who.name] += step
                room += step

        self._coming[who.name] += room
        try:
            yield came
        finally:
            self._coming[who.name] -= room
