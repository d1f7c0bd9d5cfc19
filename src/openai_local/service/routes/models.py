"""``/v1/models``: list, retrieve, delete."""

from __future__ import annotations

from openai.types import Model, ModelDeleted
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from openai_local.models.base_models import Base
from openai_local.service.context import context, identity
from openai_local.service.errors import APIError
from openai_local.service.paging import one, plain


def _model(base: Base, name: str) -> Model:
    return Model(id=name, object="model", created=base.created, owned_by="openai-local")


def list_models(request: Request) -> Response:
    """The bases, then the fine-tunes, newest first."""
    service = context(request)
    bases = [_model(base, base.name) for base in service.bases.all()]
    models = bases + service.store.page(Model, owner=identity(request).sees)
    return JSONResponse({"object": "list", "data": [plain(model) for model in models]})


def retrieve(request: Request) -> Response:
    """One model. A name that a base stands in for is one too."""
    service, who, name = context(request), identity(request), request.path_params["id"]
    base = service.bases.find(name)
    model = _model(base, name) if base else service.store.get(Model, name, who.sees)
    if model is None:
        raise service.no_model(name, who)
    return one(model)


def delete(request: Request) -> Response:
    """Remove a fine-tune or a checkpoint."""
    service, who, name = context(request), identity(request), request.path_params["id"]
    if service.bases.find(name):
        message = f"{name} is a base model and can't be deleted; fine-tunes can."
        raise APIError(403, message, param="model", code="model_not_deletable")
    if service.store.get(Model, name, who.sees) is None or not service.records.forget_model(name):
        raise service.no_model(name, who)
    return one(ModelDeleted(id=name, object="model", deleted=True))


ROUTES = [
    Route("/models", list_models, methods=["GET"]),
    Route("/models/{id:path}", retrieve, methods=["GET"]),
    Route("/models/{id:path}", delete, methods=["DELETE"]),
]
