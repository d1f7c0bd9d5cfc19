"""What the official client can call, read from its own source: paths, parameters and the types of the answers.

The client has no table of its endpoints. But each of its methods names the path, the type of its parameters and
the type that the answer is cast to, always in the same few words, because the client is generated.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from openai.resources import completions, files, models
from openai.resources.chat.completions import completions as chat
from openai.resources.chat.completions import messages
from openai.resources.fine_tuning.alpha import graders
from openai.resources.fine_tuning.checkpoints import permissions
from openai.resources.fine_tuning.jobs import checkpoints, jobs
from openai.resources.responses import input_items, input_tokens, responses

RESOURCES = {
    "files": files.Files,
    "fine_tuning.jobs": jobs.Jobs,
    "fine_tuning.jobs.checkpoints": checkpoints.Checkpoints,
    "fine_tuning.checkpoints.permissions": permissions.Permissions,
    "fine_tuning.alpha.graders": graders.Graders,
    "models": models.Models,
    "completions": completions.Completions,
    "chat.completions": chat.Completions,
    "chat.completions.messages": messages.Messages,
    "responses": responses.Responses,
    "responses.input_items": input_items.InputItems,
    "responses.input_tokens": input_tokens.InputTokens,
}
_CALL = re.compile(r'self\._(get|post|delete|get_api_list)\(\s*(?:path_template\()?"([^"]+)"')
_PARAMS = re.compile(r"\b(\w+_params)\.(\w+Params\w*)")
_ANSWER = re.compile(r"(?:cast_to|page)=(?:cast\(\s*Any,\s*)?([\w.]+(?:\[\w+\])?)")
_CHUNK = re.compile(r"stream_cls=Stream\[(\w+)\]")


@dataclass(frozen=True)
class Call:
    """One endpoint as the client knows it; `params` is a TypedDict, `answer` and `chunk` are pydantic types."""

    name: str
    method: str
    path: str
    params: Any = None
    answer: Any = None
    chunk: Any = None


def key(method: str, path: str) -> tuple[str, str]:
    """An endpoint without the names of its path parameters, by which tables of it can be compared."""
    return method.upper(), re.sub(r"\{[^}]*\}", "{}", path.removeprefix("/v1"))


def calls() -> dict[tuple[str, str], Call]:
    """Everything the client can call in the resources above, by `key`."""
    found: dict[tuple[str, str], Call] = {}
    for resource, kind in RESOURCES.items():
        for call in _calls_of(resource, kind):
            found.setdefault(key(call.method, call.path), call)
    return found


def _calls_of(resource: str, kind: type) -> Iterator[Call]:
    for name, function in vars(kind).items():
        if inspect.isfunction(function) and not name.startswith("_"):
            source = inspect.getsource(function)
            if match := _CALL.search(source):
                verb, path = match.groups()
                method = "GET" if verb == "get_api_list" else verb.upper()
                yield Call(f"{resource}.{name}", method, path, *_types(source, sys.modules[kind.__module__]))


def _types(source: str, module: Any) -> tuple[Any, Any, Any]:
    params = _PARAMS.findall(source)
    answer, chunk = _ANSWER.search(source), _CHUNK.search(source)
    return (
        getattr(getattr(module, params[-1][0]), params[-1][1]) if params else None,
        eval(answer[1], vars(module)) if answer else None,  # noqa: S307 - the source of the official client
        getattr(module, chunk[1]) if chunk else None,
    )
