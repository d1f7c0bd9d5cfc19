"""A fine-tuned model by its name: which files it is made of, and what is known of its training.

The service need not run. The database is read beside it; nothing in the home is changed.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path

from openai.types import Model
from openai.types.fine_tuning import FineTuningJob
from openai.types.fine_tuning.jobs import FineTuningJobCheckpoint

from openai_local.engine.bases import Bases
from openai_local.engine.export.source import Source
from openai_local.engine.origin import data_file, noted
from openai_local.errors import LocalError
from openai_local.home import Home
from openai_local.service.job_records import Records
from openai_local.service.store import Store

_SHOWN = 5


def find(home: Home, cache: Path, model: str) -> Source:
    """What `engine.export` needs to know of a fine-tuned model or a checkpoint.

    Args:
        home: where the model was trained.
        cache: where base models lie.
        model: its name in the API.

    Raises:
        LocalError: there is no such model, it is a base model or is still being trained, or files are missing. The
            message says what to type instead.
    """
    if not home.database.exists():
        raise LocalError(f"No model was trained in {home.path} yet. If you keep them elsewhere, add --home DIR.")
    store = Store(home.database)
    try:
        if store.get(Model, model) is None:
            raise LocalError(_no_model(store, Bases(home, cache), model))
        return _source(Records(store, home), Bases(home, cache), model)
    finally:
        store.close()


def _source(records: Records, bases: Bases, model: str) -> Source:
    store = records.store
    private = store.private(Model, model)
    adapter = records.adapter(private)
    job, base = store.get(FineTuningJob, private["job"]), bases.require(private["base"])
    if job is None:
        raise LocalError(f"The job that made {model} is not in the database any more. Train the model again.")
    journal = records.journal(job.id)
    data = data_file(journal.folder, "training_file")
    if not data.exists():  # the job is over
        data = noted(journal.folder)
    for file in (adapter, data, journal.folder / "job.json"):
        if not file.exists():
            raise LocalError(f"{file}, which belongs to {model}, is gone. Train the model again.")
    point = store.get(FineTuningJobCheckpoint, private.get("checkpoint", ""))
    known = store.get(Model, model)
    hyperparameters = job.hyperparameters
    return Source(
        model=model,
        adapter_file=adapter,
        base=base,
        journal=journal,
        hyperparameters={} if hyperparameters is None else hyperparameters.to_dict(),
        trained=date.fromtimestamp(known.created if known else job.created_at),
        step=point.step_number if point else None,
    )


def _no_model(store: Store, bases: Bases, name: str) -> str:
    """Why there is no such model, and which there are."""
    models = [model.id for model in store.page(Model)]
    finished = [model for model in models if ":ckpt-step-" not in model]
    example = f"  For example:  openai-local export {finished[0]} --to my-model" if finished else ""
    if base := bases.find(name):
        also = "" if name == base.name else f", which stands for {base.title} here"
        return f"{name} is a base model{also}. Only fine-tunes are exported.{example}"
    for job in store.page(FineTuningJob):
        if name not in (job.id, store.private(FineTuningJob, job.id).get("model_name")):
            continue
        if job.fine_tuned_model in models and job.fine_tuned_model != name:
            return f"{name} is a job. Its model is:  openai-local export {job.fine_tuned_model} --to my-model"
        return f"The job {job.id} has no model: it is {job.status}.{_checkpoints(store, job, models)}"
    if not models:
        return f"There is no model {name}, and no fine-tune at all yet. Train one first."
    shown = "".join(f"\n  {model}" for model in (finished or models)[:_SHOWN])
    return f"There is no fine-tuned model {name}. The last ones are:{shown}"


def _checkpoints(store: Store, job: FineTuningJob, models: list[str]) -> str:
    points = store.page(FineTuningJobCheckpoint, fine_tuning_job_id=job.id)
    names = [point.fine_tuned_model_checkpoint for point in points if point.fine_tuned_model_checkpoint in models]
    if names:
        return f" Its last checkpoint can be exported:  openai-local export {names[0]} --to my-model"
    return " Wait until it has succeeded." if job.status not in ("failed", "cancelled") else " Train it again."
