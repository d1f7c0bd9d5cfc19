"""``/v1/engines``: what models were called until 2022, and completions below them."""

from __future__ import annotations

from typing import Any

from openai.types import Model
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from openai_local.service.context import context, identity
from openai_local.service.parameters import read_body
from openai_local.service.routes.completions import CREATE_2022, complete

_OLD = ("ada", "babbage", "curie", "davinci")


def _engine(name: str) -> dict[str, Any]:
    return {"id": name, "object": "engine", "owner": "openai-local", "ready": True}


def list_engines(request: Request) -> Response:
    """The four names of the time, the bases, then the fine-tunes, newest first."""
    service = context(request)
    bases = [base.name for base in service.bases.all()]
    names = [*_OLD, *bases, *(model.id for model in service.store.page(Model, owner=identity(request).sees))]
    return JSONResponse({"object": "list", "data": [_engine(name) for name in names]})


def retrieve(request: Request) -> Response:
    """One engine."""
    service, who, name = context(request), identity(request), request.path_params["id"]
    if not service.bases.find(name) and service.store.get(Model, name, who.sees) is None:
        raise service.no_model(name, who)
    return JSONResponse(_engine(name))


async def complete_below(request: Request) -> Response:
    """Complete prompts with the engine in the path."""
    body = await read_body(request, CREATE_2022)
    return await complete(request, {**body, "model": request.path_params["id"]})


ROUTES = [
    Route("/engines", list_engines, methods=["GET"]),
    Route("/engines/{id:path}/completions", complete_below, methods=["POST"]),
    Route("/engines/{id:path}", retrieve, methods=["GET"]),
]
