"""What the service can be asked, as OpenAPI documents: from its own routes and contract, and in OpenAI's words.

Our document has every route of the application, so none can be forgotten. The body of a request is what the
official client's types say, by which the service checks it too. OpenAI's description, where there is one, says the
same in its own words; of it the routes are taken that the service has.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from official import calls, key
from pydantic import TypeAdapter
from starlette.routing import BaseRoute, Mount, Route

from openai_local.service.contract import contract
from openai_local.service.routes.text_completions import CREATE_2022

UPLOAD = {
    "type": "object",
    "required": ["file", "purpose"],
    "properties": {
        "file": {"type": "string", "format": "binary"},
        "purpose": {"enum": ["fine-tune", "batch"]},
        "expires_after[seconds]": {"type": "string"},
    },
}
"""An upload is no JSON, and the client's type for it knows only the file's class in Python."""
ANY = {"200": {"description": "whatever it is"}}
"""Answers are judged elsewhere (`verdict`)."""
QUERIES = {("GET", "/fine-tunes/{}/events"): {"stream": {"type": "string"}}}
"""What the API of 2022 had in its queries. The client has forgotten it."""


@dataclass(frozen=True)
class Endpoint:
    """One method of one route. `path` begins with the prefix of its mount, such as ``/v1``."""

    method: str
    path: str
    function: Any

    @property
    def key(self) -> tuple[str, str]:
        """By which endpoints of different documents can be compared."""
        return key(self.method, self.path)


def endpoints(routes: list[BaseRoute], prefix: str = "") -> Iterator[Endpoint]:
    """Every method of every route of an application."""
    for route in routes:
        if isinstance(route, Mount):
            yield from endpoints(list(route.routes), prefix + route.path)
        else:
            assert isinstance(route, Route), f"{route} is of a kind that is not tried yet"
            path = prefix + re.sub(r":\w+\}", "}", route.path)
            for method in sorted((route.methods or set()) - {"HEAD"}):
                yield Endpoint(method, path, route.endpoint)


def ours(routes: list[BaseRoute]) -> dict[str, Any]:
    """The document of all routes."""
    paths: dict[str, Any] = {}
    schemas: dict[str, Any] = {}
    for endpoint in endpoints(routes):
        operation: dict[str, Any] = {"parameters": _parameters(endpoint), "responses": ANY}
        if body := _body(endpoint, schemas):
            operation["requestBody"] = {"required": True, "content": body}
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = operation
    return _document(paths, schemas)


def _document(paths: dict[str, Any], schemas: dict[str, Any]) -> dict[str, Any]:
    info = {"title": "the service", "version": "1"}
    return {"openapi": "3.1.0", "info": info, "paths": paths, "components": {"schemas": schemas}}


def _parameters(endpoint: Endpoint) -> list[dict[str, Any]]:
    names = re.findall(r"\{(\w+)\}", endpoint.path)
    found = [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names]
    call = calls().get(endpoint.key)
    queries = dict(QUERIES.get(endpoint.key, {}))
    if endpoint.method == "GET" and call and call.params:
        queries |= contract(call.params).json_schema()["properties"]
    return found + [{"name": name, "in": "query", "schema": schema} for name, schema in queries.items()]


def _body(endpoint: Endpoint, schemas: dict[str, Any]) -> dict[str, Any]:
    if endpoint.key == ("POST", "/files"):
        return {"multipart/form-data": {"schema": UPLOAD}}
    adapter = _adapter(endpoint)
    if adapter is None:
        return {}
    name = f"{endpoint.function.__module__.split('.')[-1]}-"
    schema = adapter.json_schema(ref_template=f"#/components/schemas/{name}{{model}}")
    schemas.update({name + inner: found for inner, found in schema.pop("$defs", {}).items()})
    return {"application/json": {"schema": schema}}


def _adapter(endpoint: Endpoint) -> TypeAdapter[Any] | None:
    """What the endpoint checks its body with."""
    known = endpoint.function.__globals__
    if endpoint.method != "POST" or not endpoint.function.__name__.startswith(("create", "complete")):
        return None
    return known.get("CREATE") or known.get("_CREATE") or CREATE_2022


def openais(folder: Path, routes: list[BaseRoute]) -> list[dict[str, Any]]:
    """OpenAI's documents, without what the service does not offer."""
    known = {endpoint.key for endpoint in endpoints(routes)}
    documents = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.yaml"))]
    return [_offered(document, known) for document in documents if "paths" in document]


def _offered(document: dict[str, Any], known: set[tuple[str, str]]) -> dict[str, Any]:
    paths: dict[str, Any] = {}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            if key(method, path) in known:
                kept = {name: operation[name] for name in ("parameters", "requestBody") if name in operation}
                paths.setdefault(f"/v1{path}", {})[method] = kept | {"responses": ANY}
    return {**_document(paths, document["components"]["schemas"]), "openapi": document["openapi"]}
