"""A job as the API of 2022 showed it: the object ``fine-tune`` and its events, made from today's.

Nothing is kept twice. What only a fine-tune of 2022 has lies beside its job, under ``of_2022``; a job that was
started in today's API has none of it and is shown all the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from openai.types import FileObject
from openai.types.fine_tuning import FineTuningJob, FineTuningJobEvent

from openai_local.service.paging import plain
from openai_local.service.store import Store

RATE = 10.0
"""How much of today's learning rate multiplier makes one of 2022: then 0.1 was an ordinary value, now 1 is."""

_STATES = {"validating_files": "pending", "queued": "pending", "paused": "pending"}


@dataclass(frozen=True)
class Of2022:
    """What is kept beside a job that was started in the API of 2022."""

    model: str
    prompt_loss_weight: float
    classification: dict[str, Any] | None = None


def id_of_2022(job: str) -> str:
    """``ft-…`` for ``ftjob-…``."""
    return f"ft-{job.removeprefix('ftjob-')}"


def fine_tune(store: Store, job: FineTuningJob, *, with_events: bool = False) -> dict[str, Any]:
    """The object ``fine-tune`` of a job."""
    known = store.private(FineTuningJob, job.id).get("of_2022")
    special = Of2022(**known) if known else Of2022(job.model, 0.0)
    latest = store.events(job.id, limit=1)
    whole = {
        "id": id_of_2022(job.id),
        "object": "fine-tune",
        "model": special.model,
        "created_at": job.created_at,
        "updated_at": max([job.created_at, *(event.created_at for event in latest)]),
        "fine_tuned_model": job.fine_tuned_model,
        "hyperparams": _hyperparams(job, special),
        "organization_id": job.organization_id,
        "status": _STATES.get(job.status, job.status),
        "training_files": _files(store, job.training_file),
        "validation_files": _files(store, job.validation_file),
        "result_files": _files(store, *job.result_files),
    }
    if with_events:
        whole["events"] = events(job.id, store.events(job.id, limit=-1, order="asc"))
    return whole


def _hyperparams(job: FineTuningJob, special: Of2022) -> dict[str, Any]:
    """What is still ``auto`` was null in 2022."""
    now = job.hyperparameters.to_dict()
    found: dict[str, Any] = {name: None if value == "auto" else value for name, value in now.items()}
    if found["learning_rate_multiplier"] is not None:
        found["learning_rate_multiplier"] /= RATE
    found["prompt_loss_weight"] = special.prompt_loss_weight
    if asked := special.classification:
        found["compute_classification_metrics"] = True
        for name in ("n_classes", "positive_class"):
            if name in asked:
                found[f"classification_{name}"] = asked[name]
    return found


def _files(store: Store, *ids: str | None) -> list[dict[str, Any]]:
    """The files with these ids, but for those that were deleted."""
    found = (store.get(FileObject, id_) for id_ in ids if id_)
    return [plain(file) for file in found if file]


def events(job: str, given: Iterable[FineTuningJobEvent]) -> list[dict[str, Any]]:
    """Events of a job in the wording of 2022. Those of single steps had no place in it."""
    return [
        {"object": "fine-tune-event", "created_at": event.created_at, "level": event.level, "message": message}
        for event in given
        if event.type != "metrics"
        for message in _messages(job, event)
    ]


def _messages(job: str, event: FineTuningJobEvent) -> list[str]:
    """What was said in 2022 instead of an event: nothing, one message or several.

    That is told by the event's facts. One without them says the same as today: it has no counterpart in 2022, or
    it was kept by an earlier version of the service, which wrote down none.
    """
    match event.data:
        case {"really_trained": sentence}:
            return [f"Created fine-tune: {id_of_2022(job)}", str(sentence)]
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
    return [event.message]
