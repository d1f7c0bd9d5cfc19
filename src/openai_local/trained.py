"""A fine-tuned model by its name: which files it is made of, and what is known of its training.

The service need not run. The database is read beside it; nothing in the home is changed.
"""

from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Any

from openai.types import Model
from openai.types.fine_tuning import FineTuningJob
from openai.types.fine_tuning.jobs import FineTuningJobCheckpoint

from openai_local.errors import LocalError
from openai_local.home import Home
from openai_local.models.base_models import Bases
from openai_local.models.export_formats import Source
from openai_local.service.job_records import Records
from openai_local.service.store import Store
from openai_local.training.job_folder import FILES, Journal, data_file, noted, provenance

_SHOWN = 5


def find(home: Home, cache: Path, model: str) -> Source:
    """What `models.export` needs to know of a fine-tuned model or a checkpoint, by its name in the API.

    Raises `LocalError`, with what to type instead: no such model, a base, one in training, or files are missing.
    """
    if not home.database.exists():
        raise LocalError(f"No model was trained in {home.path} yet. If you keep them elsewhere, add --home DIR.")
    bases = Bases(home, cache)
    with closing(Store(home.database)) as store:
        known = store.get(Model, model)
        if known is None:
            raise LocalError(_no_model(store, bases, model))
        return _source(Records(store, home), bases, known)


def _source(records: Records, bases: Bases, known: Model) -> Source:
    store, model = records.store, known.id
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
    settled = {} if job.hyperparameters is None else job.hyperparameters.to_dict()
    step = point.step_number if point else None
    return Source(model, adapter, base, **history(journal, settled, date.fromtimestamp(known.created), step))


def history(
    journal: Journal, hyperparameters: dict[str, Any], trained: date, step: int | None = None
) -> dict[str, Any]:
    """What `Source` says of a training: `plain`, and the rows of the model card.

    The hyperparameters are as settled, and `trained` is the day. The model was written after a `step`, if it is a
    checkpoint; else at the end.
    """
    training, validation = (provenance(journal.folder).get(param) for param in FILES)
    assert training
    rows: dict[str, Any] = {
        "trained on": trained.isoformat(),
        "training file, SHA-256": f"`{training.sha256}`",
        "examples": training.examples,
    }
    if validation:
        rows["validation file, SHA-256"] = f"`{validation.sha256}`"
    rows |= {**dict(sorted(hyperparameters.items())), "seed": journal.read_job().seed}
    return {"plain": training.plain, "training": rows, "losses": _losses(journal, step)}


def _losses(journal: Journal, step: int | None) -> dict[str, Any]:
    rows = {row["step"]: row for row in journal.rows() if step is None or row["step"] <= step}
    if not rows:
        return {}
    first, last = rows[min(rows)], rows[max(rows)]
    told = {
        "steps": last["step"],
        "training loss, first step": f"{first['train_loss']:.4f}",
        "training loss, last step": f"{last['train_loss']:.4f}",
    }
    checkpoints = [entry for _, entry in journal.read() if entry["kind"] == "checkpoint"]
    for metrics in (entry["metrics"] for entry in checkpoints if entry["step"] <= last["step"]):
        if "full_valid_loss" in metrics:
            told["validation loss, at the end"] = f"{metrics['full_valid_loss']:.4f}"
    return told


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
