"""``/v1/fine-tunes``, the fine-tuning API of 2022: create, list, retrieve, cancel, events.

A fine-tune is a job of today, shown as it was then. Nothing is kept twice. What only a fine-tune of 2022 has lies
beside its job, under ``of_2022``; a job that was started in today's API has none of it and is shown all the same.
"""

import asyncio
import json
import random
import time
from collections.abc import AsyncIterator, Iterable
from typing import Any, Required, TypedDict

from openai.types import FileObject
from openai.types.fine_tuning import FineTuningJob
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from openai_local.service.context import Context, context, identity, plain
from openai_local.service.contract import contract, read_body, refuse
from openai_local.service.errors import APIError, invalid, too_long
from openai_local.service.job_records import ENDED
from openai_local.service.routes.fine_tuning import RANGES, JobRequest, changed, find, settings, slug, submit
from openai_local.service.store import Store
from openai_local.service.throttle import STREAM_SECONDS

N_EPOCHS = 4
PROMPT_LOSS_WEIGHT = 0.01
MODEL = "curie"
RATE = 10.0
"""How much of today's learning rate multiplier makes one of 2022: then 0.1 was an ordinary value, now 1 is."""
MOST_CLASSES, MOST_BETAS, MOST_CHARACTERS = 1000, 16, 1000
_POLL_SECONDS = 2.0
_STATES = {"validating_files": "pending", "queued": "pending", "paused": "pending"}


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


async def create(request: Request) -> Response:
    """Take a fine-tune, with the defaults of 2022."""
    service, who = context(request), identity(request)
    asked = _read(await read_body(request, _CREATE))
    job = await run_in_threadpool(submit, service, who, asked, lambda _: _name(service.store, asked))
    return JSONResponse(_fine_tune(service.store, job, with_events=True))


def _read(body: dict[str, Any]) -> JobRequest:
    refuse(body, _OFFERED, {})
    model, weight = body.get("model", MODEL), body.get("prompt_loss_weight", PROMPT_LOSS_WEIGHT)
    if not 0 <= weight <= 1:
        raise _invalid("prompt_loss_weight", "must be from 0 to 1.")
    if len(body.get("suffix", "")) > 40:
        raise _invalid("suffix", "may have 40 characters at most.")
    classification = _classification(body)
    given = {"n_epochs": N_EPOCHS} | {name: body[name] for name in RANGES if name in body}
    if "learning_rate_multiplier" in given:
        given["learning_rate_multiplier"] *= RATE
    return JobRequest(
        model=model,
        training_file=body["training_file"],
        validation_file=body.get("validation_file"),
        hyperparameters=settings(given),
        suffix=slug(body.get("suffix", "")),
        seed=random.getrandbits(31),
        of_2022={"model": model, "prompt_loss_weight": weight, "classification": classification},
    )


def _classification(body: dict[str, Any]) -> dict[str, Any] | None:
    """What `engine.classification.Question` is made of, or None if no such metrics are asked for."""
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
    return invalid(param, f"'{param}' {problem}")


def _name(store: Store, asked: JobRequest) -> str:
    """A name such as ``ada:ft-personal-2022-12-07-17-10-04``. Each second has one name."""
    taken, second = {name for _, _, name in store.table(FineTuningJob, "private.model_name")}, int(time.time())
    while True:
        moment = time.strftime("%Y-%m-%d-%H-%M-%S", time.gmtime(second))
        name = f"{asked.model}:ft-personal{':' + asked.suffix if asked.suffix else ''}-{moment}"
        if name not in taken:
            return name
        second += 1


def list_fine_tunes(request: Request) -> Response:
    """All fine-tunes, oldest first, as in 2022."""
    store, owner = context(request).store, identity(request).sees
    data = [_fine_tune(store, job) for job in store.page(FineTuningJob, owner=owner, order="asc")]
    return JSONResponse({"object": "list", "data": data})


def retrieve(request: Request) -> Response:
    """One fine-tune, with its events."""
    return JSONResponse(_fine_tune(context(request).store, find(request), with_events=True))


def cancel(request: Request) -> Response:
    """End a fine-tune before its time."""
    job = changed(request, "cancel", "cancelled")
    return JSONResponse(_fine_tune(context(request).store, job, with_events=True))


def list_events(request: Request) -> Response:
    """What happened in a fine-tune, oldest first; with ``stream=true`` as it happens, until it is over."""
    service, job = context(request), find(request)
    if request.query_params.get("stream", "").lower() == "true":
        return StreamingResponse(_stream(service, job.id, identity(request).name), media_type="text/event-stream")
    data = _events(job.id, service.store.events(job.id, limit=-1, order="asc"))
    return JSONResponse({"object": "list", "data": data})


async def _stream(service: Context, id_: str, who: str) -> AsyncIterator[str]:
    """The database is asked only when something has changed: a whole class may follow."""
    last, changes = None, -1
    while True:
        if changes == (now := service.store.changes(id_)):
            await asyncio.sleep(max(_POLL_SECONDS, service.polling.look(who, id_, STREAM_SECONDS)))
            continue
        changes = now
        job = await service.store.aside(service.store.get, FineTuningJob, id_)
        new = await service.store.aside(service.store.events, id_, after=last, limit=-1, order="asc")
        for event in _events(id_, new):
            yield f"data: {json.dumps(event)}\n\n"
        last = new[-1]["id"] if new else last
        if job is None or job.status in ENDED:
            break
    yield "data: [DONE]\n\n"


def _fine_tune(store: Store, job: FineTuningJob, *, with_events: bool = False) -> dict[str, Any]:
    """The object ``fine-tune`` of a job."""
    known, latest = store.private(FineTuningJob, job.id).get("of_2022"), store.events(job.id, limit=1)
    special = known or {"model": job.model, "prompt_loss_weight": 0.0}
    whole = {
        "id": f"ft-{job.id.removeprefix('ftjob-')}",
        "object": "fine-tune",
        "model": special["model"],
        "created_at": job.created_at,
        "updated_at": max([job.created_at, *(event["created_at"] for event in latest)]),
        "fine_tuned_model": job.fine_tuned_model,
        "hyperparams": _hyperparams(job, special),
        "organization_id": job.organization_id,
        "status": _STATES.get(job.status, job.status),
        "training_files": _files(store, job.training_file),
        "validation_files": _files(store, job.validation_file),
        "result_files": _files(store, *job.result_files),
    }
    if with_events:
        whole["events"] = _events(job.id, store.events(job.id, limit=-1, order="asc"))
    return whole


def _hyperparams(job: FineTuningJob, special: dict[str, Any]) -> dict[str, Any]:
    """What is still ``auto`` was null in 2022."""
    now = job.hyperparameters.to_dict()
    found: dict[str, Any] = {name: None if value == "auto" else value for name, value in now.items()}
    if found["learning_rate_multiplier"] is not None:
        found["learning_rate_multiplier"] /= RATE
    found["prompt_loss_weight"] = special["prompt_loss_weight"]
    if asked := special.get("classification"):
        found["compute_classification_metrics"] = True
        found |= {f"classification_{name}": value for name, value in asked.items() if name != "betas"}
    return found


def _files(store: Store, *ids: str | None) -> list[dict[str, Any]]:
    """The files with these ids, but for those that were deleted."""
    found = (store.get(FileObject, id_) for id_ in ids if id_)
    return [plain(file) for file in found if file]


def _events(job: str, given: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Events of a job in the wording of 2022. Those of single steps had no place in it."""
    return [
        {"object": "fine-tune-event", "created_at": event["created_at"], "level": event["level"], "message": said}
        for event in given
        if event.get("type") != "metrics"
        for said in _messages(job, event)
    ]


def _messages(job: str, event: dict[str, Any]) -> list[str]:
    """What was said in 2022 instead of an event: nothing, one message or several.

    That is told by the event's facts. One without them says the same as today: it has no counterpart in 2022, or
    it was kept by an earlier version of the service, which wrote down none.
    """
    match event.get("data"):
        case {"really_trained": sentence}:
            return [f"Created fine-tune: ft-{job.removeprefix('ftjob-')}", str(sentence)]
        case {"status": "validating_files"}:
            return []
        case {"status": "queued"}:
            return ["Fine-tune costs $0.00"]
        case {"jobs_ahead": ahead}:
            return [f"Fine-tune enqueued. Queue number: {ahead}"]
        case {"status": "running"}:
            return ["Fine-tune started"]
        case {"epoch": epoch, "n_epochs": n_epochs}:
            return [f"Completed epoch {epoch}/{n_epochs}"]
        case {"fine_tuned_model": model}:
            return [f"Uploaded model: {model}"]
        case {"result_file": file}:
            return [f"Uploaded result file: {file}"]
        case {"status": "failed", "error": {"message": why}}:
            return [f"Fine-tune failed. {why}"]
        case {"status": "succeeded" | "cancelled" as end}:
            return [f"Fine-tune {end}"]
    return [event["message"]]


ROUTES = [
    Route("/fine-tunes", create, methods=["POST"]),
    Route("/fine-tunes", list_fine_tunes, methods=["GET"]),
    Route("/fine-tunes/{id}", retrieve, methods=["GET"]),
    Route("/fine-tunes/{id}/cancel", cancel, methods=["POST"]),
    Route("/fine-tunes/{id}/events", list_events, methods=["GET"]),
]
