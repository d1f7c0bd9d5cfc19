"""One fine-tuning job, from its directory to an adapter: read the data, settle what is ``auto``, train, finish."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import SafetensorError

from openai_local.engine.base import BASES
from openai_local.engine.classification import Classes, Question
from openai_local.engine.examples import DataError, Encoder, Example, read
from openai_local.engine.hyperparameters import EXAMPLE_TOKENS, settle
from openai_local.engine.journal import Job, Journal
from openai_local.engine.loop import Data, Loop
from openai_local.engine.results import write_table
from openai_local.engine.student import Student, choose_device, choose_dtype
from openai_local.errors import LocalError
from openai_local.home import link


def train(journal: Journal) -> None:
    """Train what ``job.json`` says and write the adapters, the table of results and ``result.json``.

    Raises:
        DataError: a file can't be used.
        LocalError: the base model can't be read.
        Paused: the job was asked to pause.
    """
    job = journal.read_job()
    data = _load(job, journal)
    chosen = settle(job.n_epochs, job.batch_size, job.learning_rate_multiplier, len(data.training))
    journal.settle(**vars(chosen))

    torch.manual_seed(job.seed)
    loop = Loop(journal, _student(job), data, chosen, job.seed)
    loop.run()

    journal.keep(lambda: _write_adapter(journal, loop))
    journal.keep(lambda: write_table(journal.table, journal.rows(), of_2022=job.of_2022))
    journal.finish(
        status="succeeded",
        trained_tokens=chosen.n_epochs * sum(len(example.tokens) for example in data.training),
    )
    journal.snapshot.unlink(missing_ok=True)


def _student(job: Job) -> Student:
    device = choose_device()
    try:
        return Student(Path(job.weights), device=device, dtype=choose_dtype(device))
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        raise _no_base(job, error) from None


def _encoder(job: Job) -> Encoder:
    try:
        return Encoder(Path(job.weights))
    except Exception as error:  # the tokenizer's own errors have no type
        raise _no_base(job, error) from None


def _no_base(job: Job, error: Exception) -> LocalError:
    what = f"The base model {job.base} can't be read: a file of it is damaged or gone ({error})."
    if job.base in BASES:
        return LocalError(f"{what} Fetch it again, then train again:  openai-local bases fetch")
    return LocalError(f"{what} Remove it, add it again, and train again:  openai-local bases remove {job.base}")


def _write_adapter(journal: Journal, loop: Loop) -> None:
    journal.adapter.unlink(missing_ok=True)
    if (last := journal.checkpoint_file(loop.steps)).exists():
        link(last, journal.adapter)
    else:  # somebody deleted it a moment ago
        loop.student.write_adapter(journal.adapter)


def _load(job: Job, journal: Journal) -> Data:
    encoder = _encoder(job)
    training = _examples(job.training_file, "training_file", encoder)
    validation = _examples(job.validation_file, "validation_file", encoder) if job.validation_file else []
    if cut := sum(len(example.tokens) == EXAMPLE_TOKENS for example in [*training, *validation]):
        message = f"{cut} example(s) reach {EXAMPLE_TOKENS} tokens and were cut there."
        journal.event(message, level="warn", key="cut")
    classes = None
    if job.classification is not None:
        classes = Classes.find([*training, *validation], Question(**job.classification), encoder)
    return Data(training, validation, job.prompt_weight, classes)


def _examples(path: str, param: str, encoder: Encoder) -> list[Example]:
    """The examples of a file. One whose prompt alone fills `EXAMPLE_TOKENS` teaches nothing and is left out."""
    examples = [encoder.encode(record, EXAMPLE_TOKENS) for record in read(Path(path), param)]
    if not (useful := [example for example in examples if example.n_targets]):
        message = (
            f"No example has anything to learn within its first {EXAMPLE_TOKENS} tokens. Shorten the prompts."
        )
        raise DataError("invalid_training_file", message, param)
    return useful
