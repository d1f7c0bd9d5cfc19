"""``/v1/fine_tuning/jobs``: create, list, retrieve, cancel, pause, resume, events, checkpoints."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from functools import partial
from typing import Any

from openai.types.fine_tuning import FineTuningJob
from openai.types.fine_tuning.job_create_params import JobCreateParams
from openai.types.fine_tuning.jobs import FineTuningJobCheckpoint
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from openai_local.service.context import context, identity
from openai_local.service.contract import contract
from openai_local.service.errors import APIError, brief
from openai_local.service.paging import one, page
from openai_local.service.parameters import MOST_PAIRS, check_metadata, read_body, refuse
from openai_local.service.submission import check_hyperparameters, submit

_CREATE = contract(JobCreateParams)
_OFFERED = frozenset("model training_file validation_file hyperparameters method suffix seed metadata".split())
_HARMLESS: dict[str, Any] = {"integrations": []}


async def create(request: Request) -> Response:
    """Take a job."""
    service, body = context(request), await read_body(request, _CREATE)
    refuse(body, _OFFERED, _HARMLESS)
    _check(body)
    method, who = _method(body), identity(request)
    suffix = slug(body.get("suffix", ""))
    hyperparameters = method.get("hyperparameters") or body.get("hyperparameters", {})
    where = "method.supervised.hyperparameters." if method.get("hyperparameters") else "hyperparameters."
    check_hyperparameters(hyperparameters, where)
    job = await run_in_threadpool(
        submit,
        service,
        who,
        body,
        hyperparameters=hyperparameters,
        name=lambda base: f"ft:{base.name}:{who.name}:{suffix}:{secrets.token_hex(4)}",
    )
    return one(job)


def _method(body: dict[str, Any]) -> dict[str, Any]:
    """The content of the method ``supervised``, the only one there is."""
    method = body.get("method", {"type": "supervised"})
    for name in (method["type"], *method):
        if name not in ("supervised", "type"):
            message = f"This service trains with the method 'supervised'. It does not offer {name!r}."
            raise APIError(
                400,
                message,
                param=f"method.{name}" if name in method else "method.type",
                code="unsupported_method",
            )
    supervised = method.get("supervised") or {}
    inside = {f"method.supervised.{name}": value for name, value in supervised.items()}
    refuse(inside, frozenset({"method.supervised.hyperparameters"}), {})
    return supervised


def _check(body: dict[str, Any]) -> None:
    if "suffix" in body and not 1 <= len(body["suffix"]) <= 64:
        raise APIError(400, "'suffix' must have 1 to 64 characters.", param="suffix", code="invalid_value")
    if not 0 <= body.get("seed", 0) < 1 << 31:
        raise APIError(400, "'seed' must be from 0 to 2147483647.", param="seed", code="invalid_value")
    check_metadata(body)


def slug(suffix: str) -> str:
    """A suffix as it stands in a model's name."""
    return re.sub(r"[^a-z0-9-]+", "-", suffix.lower()).strip("-")


def list_jobs(request: Request) -> Response:
    """The jobs, newest first. ``metadata[KEY]=VALUE`` or ``metadata=null`` asks for some of them."""
    owner = identity(request).sees
    fetch = partial(context(request).store.page, FineTuningJob, owner=owner, **_filter(request))
    return page(request, fetch, default=20, highest=1000)


def _filter(request: Request) -> dict[str, Any]:
    params = request.query_params
    if params.get("metadata") == "null":
        return {"metadata": None}
    asked = ((re.fullmatch(r"metadata\[(.*)\]", name), value) for name, value in params.items())
    having = {found[1]: value for found, value in asked if found}
    if len(having) > MOST_PAIRS:
        message = f"A job has {MOST_PAIRS} pairs of metadata at most, so you can't ask for {len(having)}."
        raise APIError(400, message, param="metadata", code="invalid_value")
    return {"having": having}


def find(request: Request) -> FineTuningJob:
    """The job whose id is in the path: one of today (``ftjob-…``) or of 2022 (``ft-…``).

    Raises:
        APIError: 404, there is none, or it is somebody else's.
    """
    id_ = request.path_params["id"]
    today = f"ftjob-{id_.removeprefix('ft-')}" if id_.startswith("ft-") else id_
    job = context(request).store.get(FineTuningJob, today, identity(request).sees)
    if job is None:
        message = f"Could not find fine tune: {brief(id_)}"
        raise APIError(404, message, param="fine_tuning_job_id", code="fine_tune_not_found")
    return job


def retrieve(request: Request) -> Response:
    """One job as it is now."""
    job = find(request)
    seconds = context(request).polling.look(identity(request).name, job.id)
    return one(job, {"openai-poll-after-ms": f"{seconds * 1000:.0f}"})


def cancel(request: Request) -> Response:
    """End a job before its time."""
    return one(change(find(request), context(request).queue.cancel, "cancelled"))


def pause(request: Request) -> Response:
    """Stop a job for a while."""
    return one(change(find(request), context(request).queue.pause, "paused"))


def resume(request: Request) -> Response:
    """Let a paused job go on."""
    return one(change(find(request), context(request).queue.resume, "resumed"))


def change(job: FineTuningJob, act: Callable[[FineTuningJob], FineTuningJob], word: str) -> FineTuningJob:
    """Cancel, pause or resume a job.

    Raises:
        APIError: 400, in its state that is not possible.
    """
    after = act(job)
    if after.status == job.status:
        message = f"Job {job.id} is {job.status} and can't be {word}."
        raise APIError(400, message, param="fine_tuning_job_id", code="invalid_value")
    return after


def events(request: Request) -> Response:
    """What happened in a job, newest first."""
    return page(request, partial(context(request).store.plain_events, find(request).id), default=20, highest=1000)


def checkpoints(request: Request) -> Response:
    """The checkpoints of a job, newest first."""
    job, owner = find(request), identity(request).sees
    fetch = partial(context(request).store.page, FineTuningJobCheckpoint, owner=owner, fine_tuning_job_id=job.id)
    return page(request, fetch, default=10, highest=1000, ends=True)


ROUTES = [
    Route("/fine_tuning/jobs", create, methods=["POST"]),
    Route("/fine_tuning/jobs", list_jobs, methods=["GET"]),
    Route("/fine_tuning/jobs/{id}", retrieve, methods=["GET"]),
    Route("/fine_tuning/jobs/{id}/cancel", cancel, methods=["POST"]),
    Route("/fine_tuning/jobs/{id}/pause", pause, methods=["POST"]),
    Route("/fine_tuning/jobs/{id}/resume", resume, methods=["POST"]),
    Route("/fine_tuning/jobs/{id}/events", events, methods=["GET"]),
    Route("/fine_tuning/jobs/{id}/checkpoints", checkpoints, methods=["GET"]),
]
