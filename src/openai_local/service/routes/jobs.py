"""``/v1/fine_tuning/jobs``: create, list, retrieve, cancel, events."""

from __future__ import annotations

import random
import re
import secrets
import time
from typing import Any

from openai.types import FileObject
from openai.types.fine_tuning import FineTuningJob
from openai.types.fine_tuning.job_create_params import JobCreateParams
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from openai_local.engine.base import find_base
from openai_local.engine.journal import new_id
from openai_local.service.context import Context, context, owner
from openai_local.service.contract import contract
from openai_local.service.errors import APIError
from openai_local.service.parameters import query_int, read_body, refuse
from openai_local.service.queue import ENDED

_CREATE = contract(JobCreateParams)
_OFFERED = frozenset("model training_file validation_file hyperparameters method suffix seed metadata".split())
_LIMITS = {"n_epochs": (1, 50), "batch_size": (1, 256), "learning_rate_multiplier": (0, 1000)}


async def create(request: Request) -> Response:
    """Take a job. Its files are checked later, as at OpenAI."""
    service, body = context(request), await read_body(request, _CREATE)
    refuse(body, _OFFERED, {"integrations": []})
    base = find_base(body["model"])
    if base is None:
        raise service.no_model(body["model"])
    base.require(service.cache)
    for param in ("training_file", "validation_file"):
        _require_file(service, body, param)
    hyperparameters = _hyperparameters(body)
    suffix = _suffix(body)
    id_ = new_id("ftjob")
    job = FineTuningJob(
        id=id_,
        object="fine_tuning.job",
        created_at=int(time.time()),
        model=base.name,
        training_file=body["training_file"],
        validation_file=body.get("validation_file"),
        status="validating_files",
        hyperparameters=hyperparameters,  # type: ignore[arg-type]
        method={"type": "supervised", "supervised": {"hyperparameters": dict(hyperparameters)}},  # type: ignore[arg-type]
        seed=body.get("seed", random.getrandbits(31)),
        organization_id="org-local",
        result_files=[],
        error=None,
        fine_tuned_model=None,
        finished_at=None,
        trained_tokens=None,
        estimated_finish=None,
        integrations=[],
        metadata=body.get("metadata"),
    )
    name = f"ft:{base.name}:{owner(request)}:{suffix}:{secrets.token_hex(4)}"
    service.store.add(job, owner(request), base=base.name, hyperparameters=hyperparameters, model_name=name)
    asked = (
        ""
        if body["model"] == base.name
        else f" It stands in for {body['model']}, which nobody can train any more."
    )
    service.queue.tell(
        id_,
        f"Created fine-tuning job: {id_}. The model that is really trained is {base.title}, an open model "
        f"({base.licence}), on this machine.{asked}",
    )
    service.queue.tell(id_, f"Validating training file: {job.training_file}")
    service.queue.wake()
    return JSONResponse(job.to_dict(mode="json"))


def _require_file(service: Context, body: dict[str, Any], param: str) -> None:
    id_ = body.get(param)
    if id_ is None:
        return
    file = service.store.get(FileObject, id_)
    if file is None:
        message = f"invalid {param}: {id_}. Upload the file first, with purpose 'fine-tune'."
        raise APIError(400, message, param=param, code="file_not_found")
    if file.purpose != "fine-tune":
        raise APIError(400, f"{param} {id_} has the purpose {file.purpose!r}, not 'fine-tune'.", param=param)


def _hyperparameters(body: dict[str, Any]) -> dict[str, Any]:
    method = body.get("method", {"type": "supervised"})
    if method["type"] != "supervised":
        message = f"This service trains with the method 'supervised', not {method['type']!r}."
        raise APIError(400, message, param="method.type", code="unsupported_method")
    given = method.get("supervised", {}).get("hyperparameters") or body.get("hyperparameters", {})
    for name, value in given.items():
        low, high = _LIMITS[name]
        if value != "auto" and not (
            low < value <= high if name == "learning_rate_multiplier" else low <= value <= high
        ):
            message = f"'{name}' must be 'auto' or from {low} to {high}, not {value}."
            raise APIError(400, message, param=f"hyperparameters.{name}", code="invalid_value")
    return {name: given.get(name, "auto") for name in _LIMITS}


def _suffix(body: dict[str, Any]) -> str:
    suffix = body.get("suffix", "")
    if "suffix" in body and not 1 <= len(suffix) <= 64:
        raise APIError(400, "'suffix' must have 1 to 64 characters.", param="suffix", code="invalid_value")
    return re.sub(r"[^a-z0-9-]+", "-", suffix.lower()).strip("-")


def list_jobs(request: Request) -> Response:
    """The jobs, newest first."""
    page = context(request).store.page(
        FineTuningJob, after=request.query_params.get("after"), limit=query_int(request, "limit", 20, 100)
    )
    data = [job.to_dict(mode="json") for job in page]
    return JSONResponse({"object": "list", "data": data, "has_more": page.has_more})


def _find(request: Request) -> FineTuningJob:
    id_ = request.path_params["id"]
    job = context(request).store.get(FineTuningJob, id_)
    if job is None:
        raise APIError(
            404, f"Could not find fine tune: {id_}", param="fine_tuning_job_id", code="fine_tune_not_found"
        )
    return job


def retrieve(request: Request) -> Response:
    """One job as it is now."""
    return JSONResponse(_find(request).to_dict(mode="json"))


def cancel(request: Request) -> Response:
    """End a job before its time."""
    job = _find(request)
    if job.status in ENDED:
        message = f"Job {job.id} is over ({job.status}) and can't be cancelled."
        raise APIError(400, message, param="fine_tuning_job_id", code="invalid_value")
    return JSONResponse(context(request).queue.cancel(job).to_dict(mode="json"))


def events(request: Request) -> Response:
    """What happened in a job, newest first."""
    job = _find(request)
    page = context(request).store.events(
        job.id, after=request.query_params.get("after"), limit=query_int(request, "limit", 20, 100)
    )
    data = [event.to_dict(mode="json") for event in page]
    return JSONResponse({"object": "list", "data": data, "has_more": page.has_more})


ROUTES = [
    Route("/fine_tuning/jobs", create, methods=["POST"]),
    Route("/fine_tuning/jobs", list_jobs, methods=["GET"]),
    Route("/fine_tuning/jobs/{id}", retrieve, methods=["GET"]),
    Route("/fine_tuning/jobs/{id}/cancel", cancel, methods=["POST"]),
    Route("/fine_tuning/jobs/{id}/events", events, methods=["GET"]),
]
