"""A JupyterHub that knows keys: the Hub's own tokens open this service, which the Hub runs as one of its services.

The Hub says whose a token is when it is asked with that very token (``GET /user``, as JupyterHub's own `HubAuth`
does). What it said is kept for a short while, under the token's SHA-256. A token that was revoked is therefore
refused a minute later at the latest. No token is ever kept, logged or put into an answer.

A browser is not sent to the Hub to log in (OAuth): the page asks for a key, and a token of the Hub is one.
"""

import asyncio
import hashlib
import os
import re
import time
from typing import Any

import httpx2

from openai_local.errors import LocalError
from openai_local.service.auth import PREFIX, Identity
from openai_local.service.errors import APIError

KNOWN_SECONDS = 60.0  # so long the Hub's word about a token counts
UNKNOWN_SECONDS = 10.0  # so long a token counts as unknown that the Hub did not know, or as refused
MOST_KEPT = 2000  # so many tokens' answers are kept; the oldest goes first
ANSWER_SECONDS = 10.0  # so long the Hub may take to answer
AGAIN_SECONDS = 5  # then try again if the Hub does not answer
_A_TOKEN = re.compile(r"[A-Za-z0-9_-]{16,255}")
_NOT_IN_NAMES = re.compile(rb"[^A-Za-z0-9_.@+-]")


_Said = Identity | str | None  # about a token: whose it is (None: nobody's), or why it is refused


class HubDoor:
    """Knows the tokens of a JupyterHub. For one event loop."""

    advice = "Make a token on the Hub's page 'Token'; a notebook that the Hub has started has one already."

    def __init__(self, api: str, service: str, *, instructors: frozenset[str], prefix: str = "") -> None:
        """A Hub to ask, at its `api`, such as ``http://127.0.0.1:8081/hub/api``, where this is called `service`.

        Members of the groups `instructors` are such, as the Hub's administrators always are. The Hub's proxy has
        this service under the path `prefix`, without a slash at its end.
        """
        self.prefix = prefix
        self._api, self._instructors = api.rstrip("/"), instructors
        self._scope = f"access:services!service={service}"
        self._kept: dict[str, tuple[float, _Said]] = {}  # by the token's hash: until when, and what
        self._asked: dict[str, asyncio.Task[_Said]] = {}
        self._client = httpx2.AsyncClient(trust_env=False, timeout=ANSWER_SECONDS)

    @classmethod
    def from_environment(cls) -> "HubDoor":
        """The door of the Hub that started this process.

        ``OPENAI_LOCAL_INSTRUCTORS`` may name them, with commas. Raises `LocalError`: a variable is not set.
        """
        api, service, prefix = map(_required, ("API_URL", "SERVICE_NAME", "SERVICE_PREFIX"))
        groups = os.environ.get("OPENAI_LOCAL_INSTRUCTORS", "instructors").split(",")
        instructors = frozenset(group.strip() for group in groups if group.strip())
        return cls(api, service, prefix=prefix.rstrip("/"), instructors=instructors)

    async def identify(self, key: str) -> Identity | None:
        """Whose token it is, or None. Raises `APIError` (503) if the Hub is silent, (403) if it is not for us."""
        if key.startswith(PREFIX) or not _A_TOKEN.fullmatch(key):
            return None
        hash_ = hashlib.sha256(key.encode()).hexdigest()
        until, said = self._kept.get(hash_, (float("-inf"), None))
        if time.monotonic() >= until:
            task = self._asked.get(hash_)
            if task is None:  # all who bring the same token now wait for the one answer
                task = self._asked[hash_] = asyncio.create_task(self._ask(key))
                task.add_done_callback(lambda task: self._keep(hash_, task))
            said = await asyncio.shield(task)
        if isinstance(said, str):
            raise APIError(403, said, code="permission_denied")
        return said

    def _keep(self, hash_: str, task: asyncio.Task[_Said]) -> None:
        del self._asked[hash_]
        if task.cancelled() or task.exception():
            return
        self._kept.pop(hash_, None)  # so that the oldest stays the first
        seconds = KNOWN_SECONDS if isinstance(task.result(), Identity) else UNKNOWN_SECONDS
        self._kept[hash_] = time.monotonic() + seconds, task.result()
        while len(self._kept) > MOST_KEPT:
            del self._kept[next(iter(self._kept))]

    async def _ask(self, token: str) -> _Said:
        try:
            answer = await self._client.get(f"{self._api}/user", headers={"Authorization": f"token {token}"})
        except httpx2.HTTPError:
            raise _silent("does not answer") from None
        if answer.status_code in (401, 403):
            return None
        try:
            if answer.status_code != 200:
                raise ValueError
            return self._said(answer.json())
        except (ValueError, KeyError, TypeError, AttributeError):
            raise _silent(f"answers with something else (HTTP {answer.status_code})") from None

    def _said(self, model: dict[str, Any]) -> _Said:
        """What the Hub's description of a token's owner means."""
        if model["kind"] != "user":
            return "This token is a service's. Use the token of a person at the Hub."
        if {"access:services", self._scope}.isdisjoint(model["scopes"]):
            return (
                "This token of the Hub is not for this service. Make another on the Hub's page 'Token', and leave "
                "the field 'Permissions' empty. If that is refused too, ask whoever runs the Hub for the scope "
                f"{self._scope}"
            )
        instructor = model["admin"] is True or not self._instructors.isdisjoint(model["groups"])
        return Identity(name_of(model["name"]), instructor)


def name_of(user: str) -> str:
    """A Hub's user name as it stands in the names of models: two users never get the same one.

    Letters, digits and ``_.@+-`` stay; each byte of anything else becomes ``=`` and two hexadecimal digits.
    """
    return _NOT_IN_NAMES.sub(lambda found: b"=%02X" % found[0][0], user.encode()).decode()


def _required(name: str) -> str:
    variable = f"JUPYTERHUB_{name}"
    if not (value := os.environ.get(variable, "")):
        raise LocalError(
            f"{variable} is not set. A JupyterHub sets it when it starts this service: name the service in the "
            "Hub's settings, as deploy/jupyterhub/README.md shows. Without a Hub, leave out --jupyterhub."
        )
    return value


def _silent(what: str) -> APIError:
    message = f"The JupyterHub that knows your token {what}. Please try again in {AGAIN_SECONDS}s."
    return APIError(503, message, kind="server_error", headers={"retry-after": str(AGAIN_SECONDS)})
