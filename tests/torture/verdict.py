"""What is wrong with an answer of the service, whatever it was asked."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

STREAM = "text/event-stream"
_BUG = re.compile(
    r"Traceback|File \"|\.py\b|Exception|\bline \d+, in\b| at 0x|<class '|NoneType|pydantic|starlette"
)


@dataclass
class Judge:
    """Looks at answers and counts them. No `hidden` text (a key, a place on this machine) may be in one."""

    hidden: Iterable[str]
    seen: dict[int, int] = field(default_factory=dict)

    def problems(self, status: int, headers: Mapping[str, str], body: bytes, *, head: bool = False) -> list[str]:
        """What is wrong with one answer.

        Args:
            status: its HTTP status.
            headers: its headers.
            body: its body.
            head: whether the method was HEAD, so that there is no body.
        """
        self.seen[status] = self.seen.get(status, 0) + 1
        kind = headers.get("content-type", "").split(";")[0]
        text = body.decode(errors="replace")
        found = [f"status {status}"] if status >= 500 else []
        found += ["a text that is to be hidden" for hidden in self.hidden if hidden in text]
        if head:
            return found + (["a body after HEAD"] if body else [])
        if status >= 400:
            return found + _error_problems(kind, text)
        if kind == "application/json":
            return found + _json_problems(text)
        if kind == STREAM:
            return found + _stream_problems(text)
        return found

    def __str__(self) -> str:
        return ", ".join(f"{count} x {status}" for status, count in sorted(self.seen.items()))


def _json_problems(text: str) -> list[str]:
    try:
        json.loads(text, parse_constant=_refuse)
    except ValueError as error:
        return [f"no JSON: {error}"]
    return []


def _stream_problems(text: str) -> list[str]:
    """An event of a stream may be an error too; then it is in the envelope, or one of the Responses API's."""
    found = []
    for line in text.splitlines():
        if line.startswith("data: ") and line != "data: [DONE]":
            found += _json_problems(line[6:])
            if line.startswith('data: {"error"'):
                found += _error_problems("application/json", line[6:])
    return found


def _error_problems(kind: str, text: str) -> list[str]:
    if kind != "application/json":
        return [f"an error as {kind or 'nothing'}: {text[:200]}"]
    try:
        error: dict[str, Any] = json.loads(text, parse_constant=_refuse)
        if set(error) != {"error"} or set(error["error"]) != {"message", "type", "param", "code"}:
            return [f"not the envelope: {text[:200]}"]
    except (ValueError, TypeError) as problem:
        return [f"not the envelope ({problem}): {text[:200]}"]
    inside = error["error"]
    found = []
    if not isinstance(inside["message"], str) or not re.search(r"\w \w.*", inside["message"], re.DOTALL):
        found.append(f"no sentence: {inside['message']!r}")
    if not isinstance(inside["type"], str) or not isinstance(inside["param"], str | None):
        found.append(f"a type or a param that is none: {text[:200]}")
    if not isinstance(inside["code"], str | None):
        found.append(f"a code that is none: {text[:200]}")
    if len(text) > 10_000:
        found.append(f"an error of {len(text)} characters")
    if where := _BUG.search(str(inside["message"])):
        found.append(f"words of a bug: {where[0]} in {inside['message'][:200]!r}")
    return found


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")
