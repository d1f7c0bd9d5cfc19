"""``/v1/models``: list, retrieve, delete. And ``/v1/engines``, what models were called until 2022."""

from typing import Any

from openai.types import Model, ModelDeleted
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from openai_local.models.base_models import Base
from openai_local.service.context import context, identity, one, plain
from openai_local.service.contract import read_body
from openai_local.service.errors import APIError
from openai_local.service.routes.text_completions import CREATE_2022, complete

_OLD = ("ada", "babbage", "curie", "davinci")


def _model(base: Base, name: str) -> Model:
    return Model(id=name, object="model", created=base.created, owned_by="openai-local")


def _engine(name: str) -> dict[str, Any]:
    return {"id": name, "object": "engine", "owner": "openai-local", "ready": True}


def _models(request: Request) -> list[Model]:
    """The bases, then the fine-tunes, newest first."""
    service = context(request)
    bases = [_model(base, base.name) for base in service.bases.all()]
    return bases + service.store.page(Model, owner=identity(request).sees)


def _find(request: Request) -> Model:
    service, who, name = context(request), identity(request), request.path_params["id"]
    base = service.bases.find(name)
    model = _model(base, name) if base else service.store.get(Model, name, who.sees)
    if model is None:
        raise service.no_model(name, who)
    return model


def list_models(request: Request) -> Response:
    """The bases, then the fine-tunes, newest first."""
    return JSONResponse({"object": "list", "data": [plain(model) for model in _models(request)]})


def retrieve(request: Request) -> Response:
    """One model. A name that a base stands in for is one too."""
    return one(_find(request))


def delete(request: Request) -> Response:
    """Remove a fine-tune or a checkpoint."""
    service, who, name = context(request), identity(request), request.path_params["id"]
    if service.bases.find(name):
        message = f"{name} is a base model and can't be deleted; fine-tunes can."
        raise APIError(403, message, param="model", code="model_not_deletable")
    if service.store.get(Model, name, who.sees) is None or not service.records.forget_model(name):
        raise service.no_model(name, who)
    return one(ModelDeleted(id=name, object="model", deleted=True))


def list_engines(request: Request) -> Response:
    """The four names of the time, the bases, then the fine-tunes, newest first."""
    names = [*_OLD, *(model.id for model in _models(request))]
    return JSONResponse({"object": "list", "data": [_engine(name) for name in names]})


def retrieve_engine(request: Request) -> Response:
    """One engine."""
    return JSONResponse(_engine(_find(request).id))


async def complete_below(request: Request) -> Response:
    """Complete prompts with the engine in the path."""
    body = await read_body(request, CREATE_2022)
    return await complete(request, {**body, "model": request.path_params["id"]})


ROUTES = [
    Route("/models", list_models, methods=["GET"]),
    Route("/models/{id:path}", retrieve, methods=["GET"]),
    Route("/models/{id:path}", delete, methods=["DELETE"]),
    Route("/engines", list_engines, methods=["GET"]),
    Route("/engines/{id:path}/completions", complete_below, methods=["POST"]),
    Route("/engines/{id:path}", retrieve_engine, methods=["GET"]),
]
