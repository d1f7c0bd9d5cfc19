"""Keys: who may call the service.

A key is shown once, when it is made; the database keeps its SHA-256 only. (A key is 32 random bytes, so a plain
hash is enough: there is nothing to guess.)
"""

from __future__ import annotations

import hashlib
import hmac
import secrets

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from openai_local.service.errors import APIError, respond
from openai_local.service.store import Store

PREFIX = "sk-local-"


def hash_key(key: str) -> str:
    """What the database keeps of a key."""
    return hashlib.sha256(key.encode()).hexdigest()


def make_key(store: Store, name: str) -> str:
    """Make and store a key for `name`. A name may hold several keys."""
    key = PREFIX + secrets.token_urlsafe(32)
    store.add_key(name, hash_key(key))
    return key


class RequireKey:
    """ASGI middleware: everything below ``/v1`` needs a known key. Sets ``scope["owner"]`` to its name."""

    def __init__(self, app: ASGIApp, store: Store) -> None:
        """`app` is called only with a known key."""
        self.app, self.store = app, store

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through or answer 401."""
        if scope["type"] != "http" or not scope["path"].startswith("/v1"):
            return await self.app(scope, receive, send)
        key = Headers(scope=scope).get("authorization", "").removeprefix("Bearer ").strip()
        if not key:
            error = APIError(
                401,
                "You didn't provide an API key. Make one with:  openai-local keys new NAME  "
                "and send it as 'Authorization: Bearer KEY' (the client reads it from OPENAI_API_KEY).",
            )
            return await respond(error)(scope, receive, send)
        owner = self._owner(key)
        if owner is None:
            message = "Incorrect API key provided. Make one for this service with:  openai-local keys new NAME"
            error = APIError(401, message, code="invalid_api_key")
            return await respond(error)(scope, receive, send)
        scope["owner"] = owner
        return await self.app(scope, receive, send)

    def _owner(self, key: str) -> str | None:
        given = hash_key(key)
        for name, known in self.store.key_hashes():
            if hmac.compare_digest(known, given):
                return name
        return None
