"""Taking a fine-tuning job: what today's API and that of 2022 do alike."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from typing import Any

from openai.types import FileObject, Model
from openai.types.fine_tuning import FineTuningJob

from openai_local.engine.bases import Entry
from openai_local.engine.journal import new_id
from openai_local.service.auth import Identity
from openai_local.service.context import Context
from openai_local.service.errors import APIError, brief
from openai_local.service.parameters import refuse

LIMITS = {"n_epochs": (1, 50), "batch_size": (1, 256), "learning_rate_multiplier": (0, 1000)}


def submit(
    service: Context,
    who: Identity,
    body: dict[str, Any],
    *,
    hyperparameters: Mapping[str, Any],
    name: Callable[[Entry], str],
    **private: Any,
) -> FineTuningJob:
    """Put a job into the queue. Its files are checked later, as at OpenAI.

    Args:
        service: where.
        who: whose job it is.
        body: the request, with ``model``, ``training_file`` and what else both APIs have.
        hyperparameters: checked; what is missing is ``"auto"``.
        name: what the trained model will be called.
        private: what to keep beside the job.

    Raises:
        APIError: the model or a file does not exist, or is somebody else's; or there is no room for one more job.
        LocalError: the base model is not on this machine.
    """
    with service.store.together():  # nobody can take the file, the room or the name meanwhile
        most_minutes = service.quota.job(who)
        base = _base(service, body["model"], who)
        for param in ("training_file", "validation_file"):
            _require_file(service, body, param, who)
        settings = {name: hyperparameters.get(name, "auto") for name in LIMITS}
        job = FineTuningJob(
            id=new_id("ftjob"),
            object="fine_tuning.job",
            created_at=int(time.time()),
            model=base.name,
            training_file=body["training_file"],
            validation_file=body.get("validation_file"),
            status="validating_files",
            hyperparameters=settings,  # type: ignore[arg-type]
            method={"type": "supervised", "supervised": {"hyperparameters": dict(settings)}},  # type: ignore[arg-type]
            seed=body.get("seed", random.getrandbits(31)),
            organization_id="org-local",
            result_files=[],
            error=None,
            fine_tuned_model=None,
            finished_at=None,
            trained_tokens=None,
            estimated_finish=None,
            integrations=[],
            metadata=body.get("metadata") or None,
        )
        known = {"base": base.name, "hyperparameters": settings, "model_name": name(base)}
        service.store.add(job, who.name, **known, most_minutes=most_minutes, **private)
        _tell(service, job, base, body["model"])
    service.queue.wake()
    return job


def _base(service: Context, name: str, who: Identity) -> Entry:
    base = service.bases.find(name)
    if base is None:
        if service.store.get(Model, name, who.sees):
            message = f"{name} is trained already and can't be trained further. Name a base model, such as ada."
            raise APIError(400, message, param="model", code="model_not_available")
        raise service.no_model(name, who)
    base.require()
    return base


def _require_file(service: Context, body: dict[str, Any], param: str, who: Identity) -> None:
    id_ = body.get(param)
    if id_ is None:
        return
    file = service.store.get(FileObject, id_, who.sees)
    if file is None:
        message = f"invalid {param}: {brief(id_)}. Upload the file first, with purpose 'fine-tune'."
        raise APIError(400, message, param=param, code="file_not_found")
    if file.purpose != "fine-tune":
        raise APIError(400, f"{param} {id_} has the purpose {file.purpose!r}, not 'fine-tune'.", param=param)


def check_hyperparameters(given: Mapping[str, Any], prefix: str = "") -> None:
    """Refuse hyperparameters that there are not, and numbers that are out of range.

    Args:
        given: a number or ``"auto"`` for some of `LIMITS`.
        prefix: what stands before the name in the request.

    Raises:
        APIError: 400, naming the parameter.
    """
    refuse({f"{prefix}{name}": given[name] for name in given}, frozenset(f"{prefix}{name}" for name in LIMITS), {})
    for name, value in given.items():
        low, high = LIMITS[name]
        open_end = name == "learning_rate_multiplier"  # it may be anything above zero
        if value != "auto" and not (low <= value <= high and (value > low or not open_end)):
            message = f"'{name}' must be 'auto' or from {low} to {high}, not {brief(str(value))}."
            raise APIError(400, message, param=f"{prefix}{name}", code="invalid_value")


def _tell(service: Context, job: FineTuningJob, base: Entry, asked: str) -> None:
    other = "" if asked == base.name else f" It stands in for {asked}, which nobody can train any more."
    service.records.tell(
        job.id,
        f"Created fine-tuning job: {job.id}. The model that is really trained is {base.title}, an open model "
        f"({base.licence}), {service.queue.runner.place}.{other}",
    )
    service.records.tell(job.id, f"Validating training file: {job.training_file}", key="validating")
