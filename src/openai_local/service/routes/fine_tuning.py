"""``/v1/fine_tuning/jobs``: create, list, retrieve, cancel, pause, resume, events, checkpoints.

What the API of 2022 (`fine_tunes_2022`) does alike is here too: putting a job into the queue, finding it, changing
it.
"""

import random
import re
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from openai.types import FileObject, Model
from openai.types.fine_tuning import FineTuningJob
from openai.types.fine_tuning.job_create_params import JobCreateParams
from openai.types.fine_tuning.jobs import FineTuningJobCheckpoint
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from openai_local.models.base_models import Base
from openai_local.service.auth import Identity
from openai_local.service.context import Context, context, identity, one, page
from openai_local.service.contract import MOST_PAIRS, check_metadata, contract, read_body, refuse
from openai_local.service.errors import APIError, brief, invalid
from openai_local.training.job_folder import new_id

_CREATE = contract(JobCreateParams)
_OFFERED = frozenset("model training_file validation_file hyperparameters method suffix seed metadata".split())
_HARMLESS: dict[str, Any] = {"integrations": []}
RANGES = {"n_epochs": (1, 50), "batch_size": (1, 256), "learning_rate_multiplier": (0, 1000)}
"""The hyperparameters, each from where to where."""


@dataclass(frozen=True)
class JobRequest:
    """A fine-tuning job as somebody asks for it, in today's API or in that of 2022."""

    model: str  # a name of a base model
    training_file: str  # the id of an upload, and so the next
    validation_file: str | None
    hyperparameters: dict[str, Any]  # for each of `RANGES` a number or ``"auto"``
    suffix: str  # what stands in the trained model's name; it may be empty
    seed: int  # decides the order of the examples
    metadata: dict[str, str] | None = None  # whatever the client wants to keep with the job
    of_2022: dict[str, Any] | None = None  # what only a fine-tune of 2022 has, as it is kept beside the job


async def create(request: Request) -> Response:
    """Take a job."""
    service, who = context(request), identity(request)
    asked = _read(await read_body(request, _CREATE))

    def name(base: Base) -> str:
        return f"ft:{base.name}:{who.name}:{asked.suffix}:{secrets.token_hex(4)}"

    return one(await run_in_threadpool(submit, service, who, asked, name))


def _read(body: dict[str, Any]) -> JobRequest:
    refuse(body, _OFFERED, _HARMLESS)
    if "suffix" in body and not 1 <= len(body["suffix"]) <= 64:
        raise invalid("suffix", "'suffix' must have 1 to 64 characters.")
    if not 0 <= body.get("seed", 0) < 1 << 31:
        raise invalid("seed", "'seed' must be from 0 to 2147483647.")
    check_metadata(body)
    given, prefix = _supervised(body).get("hyperparameters"), "method.supervised.hyperparameters."
    if not given:
        given, prefix = body.get("hyperparameters", {}), "hyperparameters."
    return JobRequest(
        model=body["model"],
        training_file=body["training_file"],
        validation_file=body.get("validation_file"),
        hyperparameters=settings(given, prefix),
        suffix=slug(body.get("suffix", "")),
        seed=body.get("seed", random.getrandbits(31)),
        metadata=body.get("metadata") or None,
    )


def _supervised(body: dict[str, Any]) -> dict[str, Any]:
    """The content of the method ``supervised``, the only one there is."""
    method = body.get("method", {"type": "supervised"})
    for name in (method["type"], *method):
        if name not in ("supervised", "type"):
            message = f"This service trains with the method 'supervised'. It does not offer {name!r}."
            param = f"method.{name}" if name in method else "method.type"
            raise APIError(400, message, param=param, code="unsupported_method")
    supervised = method.get("supervised") or {}
    inside = {f"method.supervised.{name}": value for name, value in supervised.items()}
    refuse(inside, frozenset({"method.supervised.hyperparameters"}), {})
    return supervised


def settings(given: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """All hyperparameters: a number or ``"auto"`` that is `given` for some of `RANGES`, ``"auto"`` for the others.

    Raises `APIError` (400) for one that there is not or is out of range. In the request they begin with `prefix`.
    """
    refuse({f"{prefix}{name}": given[name] for name in given}, frozenset(f"{prefix}{name}" for name in RANGES), {})
    for name, value in given.items():
        low, high = RANGES[name]
        open_end = name == "learning_rate_multiplier"  # it may be anything above zero
        if value != "auto" and not (low <= value <= high and (value > low or not open_end)):
            message = f"'{name}' must be 'auto' or from {low} to {high}, not {brief(str(value))}."
            raise invalid(f"{prefix}{name}", message)
    return dict.fromkeys(RANGES, "auto") | given


def slug(suffix: str) -> str:
    """A suffix as it stands in a model's name."""
    return re.sub(r"[^a-z0-9-]+", "-", suffix.lower()).strip("-")


def submit(service: Context, who: Identity, asked: JobRequest, name: Callable[[Base], str]) -> FineTuningJob:
    """Put a job of `who` into the queue. Its files are checked later, as at OpenAI.

    `name` gives the trained model's name; nobody else gets the same one meanwhile. Raises `APIError`: the model or
    a file does not exist, or is somebody else's; or there is no room for one more job; `LocalError`: the base
    model is not on this machine.
    """
    store = service.store
    with store.together():  # nobody can take the file, the room or the name meanwhile
        most_minutes = service.quota.job(who)
        base = _base(service, asked.model, who)
        for param, file in (("training_file", asked.training_file), ("validation_file", asked.validation_file)):
            if file is not None:
                _require_file(service, param, file, who)
        chosen = asked.hyperparameters
        job = FineTuningJob.construct(
            id=new_id("ftjob"),
            object="fine_tuning.job",
            created_at=int(time.time()),
            model=base.name,
            training_file=asked.training_file,
            validation_file=asked.validation_file,
            status="validating_files",
            hyperparameters=chosen,
            method={"type": "supervised", "supervised": {"hyperparameters": chosen}},
            seed=asked.seed,
            organization_id="org-local",
            metadata=asked.metadata,
            result_files=[],
            integrations=[],
            **dict.fromkeys(("error", "fine_tuned_model", "finished_at", "trained_tokens", "estimated_finish")),
        )
        private = {"base": base.name, "hyperparameters": chosen, "model_name": name(base)}
        if asked.of_2022:
            private["of_2022"] = asked.of_2022
        store.add(job, who.name, **private, most_minutes=most_minutes)
        trained = (
            f"The model that is really trained is {base.title}, an open model ({base.licence}), "
            f"{service.queue.runner.place}."
        )
        if asked.model != base.name:
            trained += f" It stands in for {asked.model}, which nobody can train any more."
        tell, status = service.records.tell, {"status": "validating_files"}
        tell(job.id, f"Created fine-tuning job: {job.id}. {trained}", {"really_trained": trained})
        tell(job.id, f"Validating training file: {job.training_file}", status, key="validating")
    service.queue.wake()
    return job


def _base(service: Context, name: str, who: Identity) -> Base:
    base = service.bases.find(name)
    if base is None:
        if service.store.get(Model, name, who.sees):
            message = f"{name} is trained already and can't be trained further. Name a base model, such as ada."
            raise APIError(400, message, param="model", code="model_not_available")
        raise service.no_model(name, who)
    base.require()
    return base


def _require_file(service: Context, param: str, id_: str, who: Identity) -> None:
    file = service.store.get(FileObject, id_, who.sees)
    if file is None:
        message = f"invalid {param}: {brief(id_)}. Upload the file first, with purpose 'fine-tune'."
        raise APIError(400, message, param=param, code="file_not_found")
    if file.purpose != "fine-tune":
        raise APIError(400, f"{param} {id_} has the purpose {file.purpose!r}, not 'fine-tune'.", param=param)


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
        raise invalid("metadata", message)
    return {"having": having}


def find(request: Request) -> FineTuningJob:
    """The job in the path, ``ftjob-…`` or of 2022 ``ft-…``. Raises `APIError` (404) if it is none of theirs."""
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
    return one(changed(request, "cancel", "cancelled"))


def pause(request: Request) -> Response:
    """Stop a job for a while."""
    return one(changed(request, "pause", "paused"))


def resume(request: Request) -> Response:
    """Let a paused job go on."""
    return one(changed(request, "resume", "resumed"))


def changed(request: Request, act: str, word: str) -> FineTuningJob:
    """A job after an `act` of the queue's. Raises `APIError` (400) if that is not possible in its state."""
    job = find(request)
    after: FineTuningJob = getattr(context(request).queue, act)(job)
    if after.status == job.status:
        raise invalid("fine_tuning_job_id", f"Job {job.id} is {job.status} and can't be {word}.")
    return after


def events(request: Request) -> Response:
    """What happened in a job, newest first."""
    return page(request, partial(context(request).store.events, find(request).id), default=20, highest=1000)


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
