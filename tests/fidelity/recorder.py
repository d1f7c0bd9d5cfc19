"""Calls the service over plain HTTP and keeps what comes back, as it comes: the official client forgives much."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx2 as httpx
from offered import Offer

ELSEWHERE = "(unknown address)"


@dataclass(frozen=True)
class Exchange:
    """One body that came back: an `answer`, an `error`, or a `chunk` of a stream."""

    method: str
    path: str
    kind: str
    body: Any


@dataclass
class Recorder:
    """An HTTP client that remembers."""

    url: str
    key: str
    offers: Sequence[Offer]
    exchanges: list[Exchange] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._http = httpx.Client(base_url=self.url, timeout=120)

    def call(self, method: str, path: str, *, status: int = 200, key: str | None = None, **options: Any) -> Any:
        """One call. Returns what came back: JSON, or text where it is none. `status` is what must come."""
        headers = {"authorization": f"Bearer {self.key if key is None else key}".strip()}
        answer = self._http.request(method, path, headers=headers, **options)
        assert answer.status_code == status, f"{method} {path}: {answer.status_code} {answer.text}"
        is_json = answer.headers["content-type"] == "application/json"
        body = answer.json() if is_json else answer.text
        self._keep(method, path, "answer" if status < 400 else "error", body)
        return body

    def get(self, path: str, **options: Any) -> Any:
        return self.call("GET", path, **options)

    def post(self, path: str, body: Any = None, **options: Any) -> Any:
        return self.call("POST", path, json=body, **options)

    def delete(self, path: str, **options: Any) -> Any:
        return self.call("DELETE", path, **options)

    def upload(self, name: str, data: bytes, purpose: str = "fine-tune", **options: Any) -> Any:
        return self.call("POST", "files", files={"file": (name, data)}, data={"purpose": purpose}, **options)

    def stream(self, method: str, path: str, body: Any = None, done: bool = True) -> list[Any]:
        """The chunks of a streamed answer; `done` says whether ``[DONE]`` must end it."""
        headers, chunks = {"authorization": f"Bearer {self.key}"}, []
        with self._http.stream(method, path, json=body, headers=headers) as answer:
            assert answer.status_code == 200, answer.read()
            assert answer.headers["content-type"].startswith("text/event-stream")
            data = [line.removeprefix("data:").strip() for line in answer.iter_lines() if line.startswith("data:")]
        if done:
            assert data.pop() == "[DONE]", f"{path} does not end with [DONE]"
        for text in data:
            chunks.append(json.loads(text))
            self._keep(method, path, "chunk", chunks[-1])
        return chunks

    def until(self, path: str, *states: str, seconds: float = 120) -> Any:
        """Ask again until the status is one of `states`. Only the last answer is kept."""
        deadline = time.monotonic() + seconds
        while (body := self.get(path))["status"] not in states:
            assert time.monotonic() < deadline, f"{path} is still {body['status']}"
            self.exchanges.pop()
            time.sleep(0.1)
        return body

    def _keep(self, method: str, path: str, kind: str, body: Any) -> None:
        self.exchanges.append(Exchange(method, self._template(method, path), kind, body))

    def _template(self, method: str, path: str) -> str:
        path = f"/v1/{path.split('?')[0]}"
        for offer in self.offers:
            pattern = re.sub(r"\{[^}]*\}", "[^/]+", offer.path)
            if offer.method == method and re.fullmatch(pattern, path):
                return offer.path
        return ELSEWHERE
