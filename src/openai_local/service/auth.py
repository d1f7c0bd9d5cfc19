"""Who calls: keys, those who know whose they are, and what somebody may have.

A key is shown once, when it is made; the database keeps its SHA-256 only. (A key is 32 random bytes, so a plain
hash is enough: there is nothing to guess.)
"""

import asyncio
import hashlib
import secrets
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from typing import Protocol

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from openai_local.service.errors import APIError, respond
from openai_local.service.store import Store

PREFIX = "sk-local-"
FREE_FAILURES = 5  # so many wrong keys in a minute are answered at once
LONGEST_SECONDS = 5.0  # one more waits for so long at most
_MOST_KEPT = 10_000


@dataclass(frozen=True)
class Identity:
    """Somebody whose key is known. What they make belongs to `name`; an instructor sees what everybody made."""

    name: str
    instructor: bool = False
    key: str | None = None  # its id, where this service made it

    @property
    def sees(self) -> str | None:
        """Whose things they see: the store's argument ``owner``. None means everybody's."""
        return None if self.instructor else self.name


class Door(Protocol):
    """Knows keys. `advice` says where one gets a key that it knows, in a sentence."""

    advice: str

    async def identify(self, key: str) -> Identity | None:
        """Whose key it is, or None if unknown. Raises `APIError` if somebody who has to be asked is silent."""


def hash_key(key: str) -> str:
    """What the database keeps of a key."""
    return hashlib.sha256(key.encode()).hexdigest()


def make_key(store: Store, name: str, *, instructor: bool = False) -> str:
    """Make and store a key for `name`, who may hold several. Returns the key, which nobody can show again."""
    key = PREFIX + secrets.token_urlsafe(32)
    store.add_key(name, hash_key(key), instructor=instructor)
    return key


class KeyDoor:
    """Knows the service's own keys."""

    advice = "Make one for this service with:  openai-local keys new NAME"

    def __init__(self, store: Store) -> None:
        self.store = store

    async def identify(self, key: str) -> Identity | None:
        """Whose key it is, or None. The store is asked each time: a new or a revoked key counts at once."""
        known = await self.store.aside(self.store.find_key, hash_key(key))
        return Identity(known.name, known.instructor, known.id) if known else None


class Quota(Protocol):
    """Knows what somebody may have (`classroom.limits`): in a class so much, alone as much as they like."""

    def request(self, who: Identity) -> AbstractContextManager[None]:
        """A request of theirs, while it is answered. Raises `APIError` if there are too many."""

    def answers(self, who: Identity) -> int | None:
        """How many answers of theirs may be made or wait at the same time; None is no limit."""

    def asked(self, who: Identity) -> None:
        """Note that they asked for an answer."""

    def job(self, who: Identity) -> int | None:
        """How many minutes their next job may train; None is no limit. Raises `APIError` if there may be none."""

    def upload(self, who: Identity, said: int) -> AbstractContextManager[Callable[[int], None]]:
        """Room for a file of `said` bytes while it comes; yields what to call with the bytes so far."""


class RequireKey:
    """ASGI middleware: whoever calls needs a key that one of the doors knows. Sets ``scope["identity"]``."""

    def __init__(self, app: ASGIApp, doors: Sequence[Door], quota: Quota) -> None:
        self.app, self.doors, self.quota, self.patience = app, doors, quota, Patience()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer 401, or 429 to somebody who has no room for one more."""
        with ExitStack() as stack:
            try:
                who = scope["identity"] = await self._identify(Headers(scope=scope))
                stack.enter_context(self.quota.request(who))
            except APIError as error:
                if error.code == "invalid_api_key":
                    await self.patience.wait((scope.get("client") or ("", 0))[0])
                return await respond(error)(scope, receive, send)
            return await self.app(scope, receive, send)

    async def _identify(self, headers: Headers) -> Identity:
        key = headers.get("authorization", "").removeprefix("Bearer ").strip()
        advice = self.doors[-1].advice  # where to get a key: from the one who knows most, if several do
        if not key:
            raise APIError(
                401,
                "You didn't provide an API key. Send one as 'Authorization: Bearer KEY' (the client reads it from "
                f"OPENAI_API_KEY). {advice}",
            )
        for door in self.doors:
            if found := await door.identify(key):
                return found
        raise APIError(401, f"Incorrect API key provided. {advice}", code="invalid_api_key")


class Patience:
    """Makes those wait who come with wrong keys again and again."""

    def __init__(self) -> None:
        self._failures: dict[str, tuple[int, float]] = {}  # by address: how many, and since when

    async def wait(self, address: str) -> None:
        """Somebody at `address` came with a wrong key: wait the longer, the more often in a minute."""
        now = time.monotonic()
        count, since = self._failures.get(address, (0, now))
        if now - since > 60:
            count, since = 0, now
        if len(self._failures) >= _MOST_KEPT:
            self._failures.clear()
        self._failures[address] = (count + 1, since)
        if count >= FREE_FAILURES:
            await asyncio.sleep(min(0.1 * 2.0 ** min(count - FREE_FAILURES, 16), LONGEST_SECONDS))
