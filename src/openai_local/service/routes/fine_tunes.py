"""``/v1/fine-tunes``, the fine-tuning API of 2022: create, list, retrieve, cancel, events."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from dataclasses import asdict
from typing import Any, Required, TypedDict

from openai.types.fine_tuning import FineTuningJob
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from openai_local.service.context import Context, context, identity
from openai_local.service.contract import contract
from openai_local.service.errors import APIError
from openai_local.service.fine_tune import RATE, Of2022, events, fine_tune
from openai_local.service.pace import STREAM_SECONDS
from openai_local.service.parameters import read_body, refuse, too_long
from openai_local.service.records import ENDED
from openai_local.service.routes.jobs import change, find, slug
from openai_local.service.store import Store
from openai_local.service.submission import check_hyperparameters, submit

N_EPOCHS = 4
PROMPT_LOSS_WEIGHT = 0.01
MODEL = "curie"
MOST_CLASSES, MOST_BETAS, MOST_CHARACTERS = 1000, 16, 1000
_POLL_SECONDS = 2.0


class FineTuneCreateParams(TypedDict, total=False):
    """The body of a request to create a fine-tune, which the official client has forgotten."""

    training_file: Required[str]
    validation_file: str | None
    model: str | None
    n_epochs: int | None
    batch_size: int | None
    learning_rate_multiplier: float | None
    prompt_loss_weight: float | None
    compute_classification_metrics: bool | None
    classification_n_classes: int | None
    classification_positive_class: str | None
    classification_betas: list[float] | None
    suffix: str | None


_CREATE = contract(FineTuneCreateParams)
_OFFERED = frozenset(FineTuneCreateParams.__annotations__)
_HARMLESS: dict[str, Any] = {}


async def create(request: Request) -> Response:
    """Take a fine-tune, with the defaults of 2022."""
    service, body = context(request), await read_body(request, _CREATE)
    refuse(body, _OFFERED, _HARMLESS)
    model, weight = body.get("model", MODEL), body.get("prompt_loss_weight", PROMPT_LOSS_WEIGHT)
    if not 0 <= weight <= 1:
        raise _invalid("prompt_loss_weight", "must be from 0 to 1.")
    if len(body.get("suffix", "")) > 40:
        raise _invalid("suffix", "may have 40 characters at most.")
    special = Of2022(model, weight, _classification(body))
    job = await run_in_threadpool(
        submit,
        service,
        identity(request),
        {**body, "model": model},
        hyperparameters=_hyperparameters(body),
        name=lambda base: _name(service.store, model, slug(body.get("suffix", ""))),
        of_2022=asdict(special),
    )
    return JSONResponse(fine_tune(service.store, job, with_events=True))


def _hyperparameters(body: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {"n_epochs": body.get("n_epochs", N_EPOCHS)}
    if "batch_size" in body:
        found["batch_size"] = body["batch_size"]
    if "learning_rate_multiplier" in body:
        found["learning_rate_multiplier"] = body["learning_rate_multiplier"] * RATE
    check_hyperparameters(found)
    return found


def _classification(body: dict[str, Any]) -> dict[str, Any] | None:
    """What `training.metrics.Classes.find` is asked, or None if no such metrics are."""
    if not body.get("compute_classification_metrics"):
        return None
    if "validation_file" not in body:
        raise _invalid("compute_classification_metrics", "needs a validation_file.")
    names = {"n_classes": "classification_n_classes", "positive_class": "classification_positive_class"}
    found = {short: body[name] for short, name in names.items() if name in body}
    if not found:
        raise _invalid("classification_n_classes", "or 'classification_positive_class' is needed for that.")
    if not 2 <= found.get("n_classes", 2) <= MOST_CLASSES:
        raise _invalid("classification_n_classes", f"must be from 2 to {MOST_CLASSES}.")
    if len(found.get("positive_class", "")) > MOST_CHARACTERS:
        raise too_long("classification_positive_class", "string", MOST_CHARACTERS, len(found["positive_class"]))
    if "positive_class" in found and found.get("n_classes", 2) > 2:
        raise _invalid("classification_positive_class", "makes sense with two classes only.")
    betas = body.get("classification_betas", [])
    if len(betas) > MOST_BETAS:
        raise too_long("classification_betas", "array", MOST_BETAS, len(betas))
    if any(beta <= 0 for beta in betas):
        raise _invalid("classification_betas", "must be above 0.")
    return {**found, "betas": betas}


def _invalid(param: str, problem: str) -> APIError:
    return APIError(400, f"'{param}' {problem}", param=param, code="invalid_value")


def _name(store: Store, model: str, suffix: str) -> str:
    """A name such as ``ada:ft-personal-2022-12-07-17-10-04``. Each second has one name."""
    second = int(time.time())
    while True:
        moment = time.strftime("%Y-%m-%d-%H-%M-%S", time.gmtime(second))
        name = f"{model}:ft-personal{':' + suffix if suffix else ''}-{moment}"
        if not store.has_private(FineTuningJob, model_name=name):
            return name
        second += 1


def list_fine_tunes(request: Request) -> Response:
    """All fine-tunes, oldest first, as in 2022."""
    store, owner = context(request).store, identity(request).sees
    data = [fine_tune(store, job) for job in store.page(FineTuningJob, owner=owner, order="asc")]
    return JSONResponse({"object": "list", "data": data})


def retrieve(request: Request) -> Response:
    """One fine-tune, with its events."""
    return JSONResponse(fine_tune(context(request).store, find(request), with_events=True))


def cancel(request: Request) -> Response:
    """End a fine-tune before its time."""
    service = context(request)
    job = change(find(request), service.queue.cancel, "cancelled")
    return JSONResponse(fine_tune(service.store, job, with_events=True))


def list_events(request: Request) -> Response:
    """What happened in a fine-tune, oldest first; with ``stream=true`` as it happens, until it is over."""
    service, job = context(request), find(request)
    if request.query_params.get("stream", "").lower() == "true":
        return StreamingResponse(_stream(service, job.id, identity(request).name), media_type="text/event-stream")
    return JSONResponse({"object": "list", "data": events(service.store.events(job.id, limit=-1, order="asc"))})


async def _stream(service: Context, id_: str, who: str) -> AsyncIterator[str]:
    """The database is asked only when something has changed: a whole class may follow."""
    last, changes = None, -1
    while True:
        if changes == (now := service.store.changes(id_)):
            await asyncio.sleep(max(_POLL_SECONDS, service.pace.look(who, id_, STREAM_SECONDS)))
            continue
        changes = now
        job, new = await service.store.aside(_news, service.store, id_, last)
        for event in events(new):
            yield f"data: {json.dumps(event)}\n\n"
        last = new[-1].id if new else last
        if job is None or job.status in ENDED:
            break
    yield "data: [DONE]\n\n"


def _news(store: Store, job: str, after: str | None) -> tuple[FineTuningJob | None, list[Any]]:
    return store.get(FineTuningJob, job), store.events(job, after=after, limit=-1, order="asc")


ROUTES = [
    Route("/fine-tunes", create, methods=["POST"]),
    Route("/fine-tunes", list_fine_tunes, methods=["GET"]),
    Route("/fine-tunes/{id}", retrieve, methods=["GET"]),
    Route("/fine-tunes/{id}/cancel", cancel, methods=["POST"]),
    Route("/fine-tunes/{id}/events", list_events, methods=["GET"]),
]
