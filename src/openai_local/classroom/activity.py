"""Who asked how much, and who called last: for the class's page. Kept in memory, written down now and then."""

from __future__ import annotations

import time
from dataclasses import dataclass
from threading import Lock

from openai_local.service.identity import Identity
from openai_local.service.store import Store


@dataclass(frozen=True)
class Seen:
    """How many answers somebody has asked for, and when they called last (Unix time, seconds)."""

    asked: int = 0
    seen_at: int = 0


class Activity:
    """What each name has done since its first call. A crash of the service loses what was not written down yet."""

    def __init__(self, store: Store) -> None:
        """Begin with what `store` knows."""
        self._store, self._lock = store, Lock()
        self._seen = {name: Seen(*found) for name, found in store.activity().items()}
        self._news: set[str] = set()
        self._keys: dict[str, int] = {}

    def note(self, who: Identity, *, asked: int = 0) -> None:
        """Somebody called; `asked` for so many answers."""
        now = int(time.time())
        with self._lock:
            self._seen[who.name] = Seen(self._seen.get(who.name, Seen()).asked + asked, now)
            self._news.add(who.name)
            if who.key:
                self._keys[who.key] = now

    def all(self) -> dict[str, Seen]:
        """What is known of each name."""
        with self._lock:
            return dict(self._seen)

    def write(self) -> None:
        """Write down what is new. If the disk does not take it, it stays new."""
        with self._lock:
            news = {name: (self._seen[name].asked, self._seen[name].seen_at) for name in self._news}
            keys, self._keys, self._news = self._keys, {}, set()
        if not news:
            return
        try:
            self._store.note_activity(news, keys)
        except Exception:
            with self._lock:
                self._news, self._keys = {*news, *self._news}, {**keys, **self._keys}
            raise
