"""The two authorities: the official client's response models, and OpenAI's description where a folder has it.

Both are asked the same: the schema of what an endpoint answers, streams, or says when it refuses.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from official import calls, key
from openai.types.shared import ErrorObject
from pydantic import BaseModel, TypeAdapter

Found = tuple[dict[str, Any], dict[str, Any]] | None
"""A schema, and the document that its references point into; or None where the source says nothing."""

SAME = {("POST", "/engines/{}/completions"): ("POST", "/completions")}
"""Endpoints that answer as another one does, and that no source knows any more."""
CHUNKS_2022 = {("GET", "/fine-tunes/{}/events"): "#/components/schemas/FineTuneEvent"}
"""Streams that the description of the old API mentions in prose only."""


def _same(method: str, path: str) -> tuple[str, str]:
    return SAME.get(key(method, path), key(method, path))


class Envelope(BaseModel):
    """How an error comes; the client has a type for its inside only."""

    error: ErrorObject


class Client:
    """The official client's pydantic types."""

    name = "client"

    def __init__(self) -> None:
        self.calls = calls()

    @cache  # noqa: B019
    def schema(self, method: str, path: str, kind: str) -> Found:
        """The schema of an ``answer``, ``chunk`` or ``error``."""
        type_ = self.type(method, path, kind)
        if not (isinstance(type_, type) and issubclass(type_, BaseModel)) and kind != "chunk":
            return None  # bytes, and what the client casts to nothing
        if type_ is None:
            return None
        schema = self.adapter(method, path, kind).json_schema()
        return schema, schema

    @cache  # noqa: B019
    def adapter(self, method: str, path: str, kind: str) -> TypeAdapter[Any]:
        """Pydantic's own checker."""
        return TypeAdapter(self.type(method, path, kind))

    def type(self, method: str, path: str, kind: str) -> Any:
        if kind == "error":
            return Envelope
        call = self.calls.get(_same(method, path))
        return getattr(call, kind, None)

    def endpoints(self) -> Iterable[tuple[str, str]]:
        return self.calls


class Description:
    """OpenAI's description in YAML: every file of a folder, the newest version first."""

    name = "description"

    def __init__(self, folder: Path) -> None:
        read = (yaml.safe_load(path.read_text(encoding="utf-8")) for path in folder.glob("*.yaml"))
        documents = [document for document in read if "paths" in document]
        assert documents, f"no description in {folder}"
        self.documents = sorted(documents, key=lambda document: document["info"]["version"], reverse=True)

    @cache  # noqa: B019
    def schema(self, method: str, path: str, kind: str) -> Found:
        """The schema of an ``answer``, ``chunk`` or ``error``."""
        if kind == "error":
            errors = (d for d in self.documents if "ErrorResponse" in d["components"]["schemas"])
            return next((({"$ref": "#/components/schemas/ErrorResponse"}, d) for d in errors), None)
        for document in self.documents:
            for known, operations in document["paths"].items():
                if method.lower() in operations and key(method, known) == _same(method, path):
                    return self._answer(operations[method.lower()], kind, _same(method, path)), document
        return None

    def _answer(self, operation: dict[str, Any], kind: str, endpoint: tuple[str, str]) -> dict[str, Any]:
        if kind == "chunk" and endpoint in CHUNKS_2022:
            return {"$ref": CHUNKS_2022[endpoint]}
        content = operation["responses"]["200"]["content"]
        streamed = content.get("text/event-stream") if kind == "chunk" else None
        return (streamed or content["application/json"])["schema"]

    def endpoints(self) -> Iterable[tuple[str, str]]:
        for document in self.documents:
            for path, operations in document["paths"].items():
                for method in operations:
                    yield key(method, path)
