"""Keys: who may call the service.

A key is shown once, when it is made; the database keeps its SHA-256 only. (A key is 32 random bytes, so a plain
hash is enough: there is nothing to guess.)
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from openai_local.service.errors import APIError, respond
from openai_local.service.identity import Door, Identity
from openai_local.service.store import Store
from openai_local.service.trusted_hosts import Patience

PREFIX = "sk-local-"


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
        """`store` has their hashes. It is asked each time, so that a new or a revoked key counts at once."""
        self.store = store

    async def identify(self, key: str) -> Identity | None:
        """Whose key it is, or None."""
        known = await self.store.aside(self.store.find_key, hash_key(key))
        return Identity(known.name, known.instructor, known.id) if known else None


class RequireKey:
    """ASGI middleware: whoever calls needs a known key. Sets ``scope["identity"]``."""

    def __init__(self, app: ASGIApp, doors: Sequence[Door]) -> None:
        """`app` is called only with a key that one of the doors knows."""
        self.app, self.doors, self.patience = app, doors, Patience()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through or answer 401."""
        try:
            scope["identity"] = await self._identify(Headers(scope=scope))
        except APIError as error:
            if error.code == "invalid_api_key":
                await self.patience.wait((scope.get("client") or ("", 0))[0])
            return await respond(error)(scope, receive, send)
        return await self.app(scope, receive, send)

    async def _identify(self, headers: Headers) -> Identity:
        key = headers.get("authorization", "").removeprefix("Bearer ").strip()
        if not key:
            raise APIError(
                401,
                "You didn't provide an API key. Send one as 'Authorization: Bearer KEY' (the client reads it from "
                f"OPENAI_API_KEY). {self._advice()}",
            )
        for door in self.doors:
            if found := await door.identify(key):
                return found
        raise APIError(401, f"Incorrect API key provided. {self._advice()}", code="invalid_api_key")

    def _advice(self) -> str:
        """Where to get a key: from the one who knows most, if several do."""
        return self.doors[-1].advice
