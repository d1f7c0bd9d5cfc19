"""What the official client sends for one learner: how long each request takes, and whether it waits at a 429."""

from __future__ import annotations

import re
import time
from collections import defaultdict
from collections.abc import Callable

import httpx2
import openai

RETRIES = 1000
"""How often the client may ask again: a simulated learner has patience."""
_KINDS = (
    (r"POST /files", "upload a file"),
    (r"POST /fine_tuning/jobs", "create a job"),
    (r"GET /fine_tuning/jobs/[^/]+", "look at a job"),
    (r"GET /fine_tuning/jobs/[^/]+/events", "list its events"),
    (r"GET /(files|fine_tuning/jobs|models)", "list files, jobs, models"),
    (r"GET /files/[^/]+/content", "download a file"),
    (r"POST /completions", "ask"),
    (r"GET /class", "the class's page"),
)


def kind(request: httpx2.Request) -> str:
    """What a request is for."""
    line = f"{request.method} {request.url.path.partition('/v1')[2]}"
    return next((name for pattern, name in _KINDS if re.fullmatch(pattern, line)), line)


class Sent:
    """Watches one client, which sends one request after the other.

    Attributes:
        seconds: how long each request took, by its kind. The client's waiting before it asks again does not count.
        obeyed: how many answers were 429, and the client asked again after the time that it was told.
        errors: all else that went wrong, also where the client then asked again by itself.
    """

    def __init__(self) -> None:
        """Nothing was sent yet."""
        self.seconds: dict[str, list[float]] = defaultdict(list)
        self.obeyed = 0
        self.errors: list[str] = []
        self._open: str | None = None
        self._not_before: float | None = None

    def client(self, url: str, key: str) -> openai.OpenAI:
        """The official client, with hooks that call this."""
        hooks: dict[str, list[Callable[..., None]]] = {"request": [self._begin], "response": [self._end]}
        http = openai.DefaultHttpxClient(event_hooks=hooks, trust_env=False)
        return openai.OpenAI(base_url=url, api_key=key, max_retries=RETRIES, http_client=http)

    def close(self) -> None:
        """Look at what was left: a request that nobody answered, or a 429 at which the client gave up."""
        if self._open:
            self.errors.append(f"{self._open}: no answer came")
        if self._not_before is not None:
            self.errors.append("the client gave up at a 429")
        self._open = self._not_before = None

    def _begin(self, request: httpx2.Request) -> None:
        now = time.monotonic()
        if self._not_before is not None:
            if now >= self._not_before:
                self.obeyed += 1
            else:
                self.errors.append("the client did not wait as long as a 429 said")
            self._not_before = None
        self.close()
        self._open = kind(request)
        request.extensions["begun"] = now

    def _end(self, response: httpx2.Response) -> None:
        response.read()
        now, what = time.monotonic(), kind(response.request)
        self._open = None
        if response.status_code == 429:
            self._not_before = now + float(response.headers["retry-after"])
        elif response.is_error:
            self.errors.append(f"{what}: {response.status_code} {response.text[:200]}")
        else:
            self.seconds[what].append(now - response.request.extensions["begun"])
