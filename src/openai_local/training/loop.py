"""One fine-tuning job, from its directory to an adapter: epochs, steps, and where to go on after a break.

The loop is the textbook's: for each epoch shuffle the examples, for each batch compute the loss of the answers'
tokens, its gradient, one step of the optimizer. What makes it quick lies in `lora` and `optimizer`. Every loss
that is told is the mean over counted tokens and the whole vocabulary, before the step.

A job can be paused after any step and goes on there; one that was killed goes on from its last snapshot.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from torch import Tensor

from openai_local.errors import LocalError
from openai_local.home import link
from openai_local.models.base_models import SMOLLM2
from openai_local.training.data_parallel import Crew
from openai_local.training.dataset import DataError, read
from openai_local.training.job_folder import EXAMPLE_TOKENS, Hyperparameters, Job, Journal, Paused, Stuck, settle
from openai_local.training.lora import AnswerLoss, Row, Student, choose_device, choose_dtype, pack
from openai_local.training.metrics import Classes, Question, Score, write_table
from openai_local.training.optimizer import Muon, load_snapshot, save_snapshot
from openai_local.training.tokens import Encoder, Example


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
    journal.tell("hyperparameters", **vars(chosen))

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
    if job.base == SMOLLM2.name:
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


LEARNING_RATE = 0.01
WARM_UP = 6
ROW_TOKENS = 512
ESTIMATE_SECONDS = 5.0
SNAPSHOT_SHARE = 0.01
"""How much of the time may be spent on writing down where training is. How often follows from that: with the
lesson's model and a disk of 700 MB/s it is every six seconds."""


@dataclass(frozen=True)
class Data:
    """What a job learns from and is measured with."""

    training: list[Example]
    validation: list[Example]
    prompt_weight: float
    classes: Classes | None


class Loop:
    """The steps of one job."""

    def __init__(self, journal: Journal, student: Student, data: Data, chosen: Hyperparameters, seed: int) -> None:
        """`run` sets it going; `seed` decides the order of the examples."""
        self.journal, self.student, self.data, self.chosen = journal, student, data, chosen
        self.epoch_steps = math.ceil(len(data.training) / chosen.batch_size)
        self.steps = self.epoch_steps * chosen.n_epochs
        self.rate = LEARNING_RATE * chosen.learning_rate_multiplier
        self.optimizer = Muon(student.parameters)
        self.order = random.Random(seed)
        self.crew = Crew(chosen.batch_size, student.device)
        self.done, self.epoch = 0, Score()
        self.elapsed_tokens = 0

    def run(self) -> None:
        """All epochs, from the last snapshot on if there is one.

        Raises:
            Paused: the job was asked to pause.
        """
        self._go_on()
        self.begun = self.estimated = self.saved = time.monotonic()
        self.save_seconds = 0.01  # a guess, until one was written
        self.first = done = self.done
        try:
            for step, batch in enumerate(self._batches(), start=1):
                self.elapsed_tokens += sum(len(example.tokens) for example in batch)
                if step > done:
                    self._take_step(step, batch)
                if step >= done and step % self.epoch_steps == 0:
                    self._end_epoch(step)
        except Stuck:
            raise
        except Paused:
            self._save()
            raise

    def _go_on(self) -> None:
        """Put back what the last snapshot holds. A damaged one costs the steps so far, not the job."""
        try:
            found = load_snapshot(self.journal.snapshot, self.optimizer)
        except LocalError as error:
            self.journal.event(f"{error}, so the training begins again with the first step.", level="warn")
            return
        if found:
            self.done, self.epoch = found
            self.journal.event(f"Going on after step {self.done}/{self.steps}")

    def _batches(self) -> Iterator[list[Example]]:
        for _ in range(self.chosen.n_epochs):
            shuffled = list(self.data.training)
            self.order.shuffle(shuffled)
            for start in range(0, len(shuffled), self.chosen.batch_size):
                yield shuffled[start : start + self.chosen.batch_size]

    def _take_step(self, step: int, batch: list[Example]) -> None:
        if step % self.epoch_steps == 1 or self.epoch_steps == 1:
            self.epoch = Score()
        valid = self._measure(self._validation_batch(step)) if self.data.validation else None
        score, gradients = self._learn(batch)
        self.optimizer.step(gradients, self.rate * min(step / WARM_UP, 1.0, (self.steps - step + 1) / self.steps))
        self.done, self.epoch = step, self.epoch + score
        self._tell_step(step, score, valid)
        self._look_at_the_clock()

    def _validation_batch(self, step: int) -> list[Example]:
        """Half as many validation examples as a batch has, others at each step: they only cost time."""
        examples, size = self.data.validation, max(1, self.chosen.batch_size // 2)
        size = min(size, len(examples))
        start = (step - 1) * size % len(examples)
        return [*examples[start:], *examples[:start]][:size]

    def _learn(self, batch: Sequence[Example]) -> tuple[Score, list[Tensor]]:
        """How well a batch was said, and the gradients of its loss."""
        total = sum(example.weight(self.data.prompt_weight) for example in batch)
        parts = self.crew.map(lambda share: self._learn_share(share, total), batch)
        (score, gradients), *others = parts
        for other, more in others:
            score += other
            torch._foreach_add_(gradients, more)
        return score, gradients

    def _learn_share(self, share: Sequence[Example], total: float) -> tuple[Score, list[Tensor]]:
        score, gradients = Score(), None
        for examples in _rows(share):
            self._pause_if_asked()
            part, loss = self._forward(examples, total)
            new = torch.autograd.grad(loss, self.student.parameters)
            score += part
            if gradients is None:
                gradients = [*new]
            else:
                torch._foreach_add_(gradients, new)
        return score, gradients or []

    def _measure(self, examples: Sequence[Example]) -> Score:
        """How well examples are said that are not learned."""
        return sum(self.crew.map(self._measure_share, examples), Score())

    @torch.no_grad()
    def _measure_share(self, share: Sequence[Example]) -> Score:
        score = Score()
        for some in _rows(share):
            self._pause_if_asked()
            score += self._forward(some, 1.0)[0]
        return score

    def _forward(self, examples: Sequence[Example], total: float) -> tuple[Score, Tensor]:
        row = pack(examples, self.student.device, self.data.prompt_weight)
        hidden = self.student.hidden(examples, row)
        loss, right = AnswerLoss.apply(hidden, row.targets, row.weights, self.student.head, total)
        return _score(row, len(examples), loss.item() * total, right), loss

    def _pause_if_asked(self) -> None:
        if self.journal.pause_requested():
            raise Paused

    def _save(self) -> None:
        self.journal.keep(self._write_snapshot)

    def _write_snapshot(self) -> None:
        """The steps that were told go to the disk first: else a power cut could take them from the table."""
        begun = time.monotonic()
        self.journal.sync()
        save_snapshot(self.journal.snapshot, self.done, self.epoch, self.optimizer)
        self.save_seconds = time.monotonic() - begun

    def _tell_step(self, step: int, score: Score, valid: Score | None) -> None:
        message = f"Step {step}/{self.steps}: training loss={score.mean_loss:.4f}"
        data: dict[str, Any] = {"step": step, "total_steps": self.steps, **_named("train", score)}
        if valid:
            message += f", validation loss={valid.mean_loss:.4f}"
            data |= _named("valid", valid)
        self.journal.event(message, data=data, key=f"step {step}")
        self.journal.tell("row", **self._columns(step, score, valid))

    def _columns(self, step: int, score: Score, valid: Score | None) -> dict[str, Any]:
        seen = (step - 1) // self.epoch_steps * len(self.data.training)
        in_epoch = (step - 1) % self.epoch_steps + 1
        columns: dict[str, Any] = {
            "step": step,
            "elapsed_tokens": self.elapsed_tokens,
            "elapsed_examples": seen + min(in_epoch * self.chosen.batch_size, len(self.data.training)),
        }
        for name, part in (("train", score), ("valid", valid)):
            if part:
                columns[f"{name}_loss"] = part.mean_loss
                columns[f"{name}_accuracy"] = part.accuracy
                columns[f"{name}_sequence_accuracy"] = part.sequence_accuracy
        return columns

    def _look_at_the_clock(self) -> None:
        now = time.monotonic()
        if now - self.estimated > ESTIMATE_SECONDS:
            self.estimated = now
            pace = (now - self.begun) / (self.done - self.first)
            self.journal.tell("estimate", finish=int(time.time() + pace * (self.steps - self.done)))
        if now - self.saved > self.save_seconds / SNAPSHOT_SHARE:
            self._save()
            self.saved = time.monotonic()

    def _end_epoch(self, step: int) -> None:
        """Measure with all validation examples, and keep a checkpoint."""
        epoch = step // self.epoch_steps
        metrics: dict[str, Any] = {"step": step, **_named("train", self.epoch)}
        validation = ""
        if self.data.validation:
            full = self._measure(self.data.validation)
            validation = f"validation loss={full.mean_loss:.4f}, "
            named = _named("full_valid", full)
            metrics |= named
            message = f"Step {step}/{self.steps}: full validation loss={full.mean_loss:.4f}"
            data = {"step": step, "total_steps": self.steps, **named}
            self.journal.event(message, data=data, key=f"validation {step}")
        self.journal.event(
            f"Epoch {epoch}/{self.chosen.n_epochs}: training loss={self.epoch.mean_loss:.4f}, "
            f"{validation}token accuracy={self.epoch.accuracy:.4f}",
            facts={"epoch": epoch, "n_epochs": self.chosen.n_epochs},
            key=f"epoch {epoch}",
        )
        if self.data.classes:
            found = self.data.classes.metrics(self.data.validation, self._class_probabilities(self.data.classes))
            self.journal.tell("row", step=step, **found)
        self.journal.keep(lambda: self.student.write_adapter(self.journal.checkpoint_file(step)))
        self.journal.tell("checkpoint", step=step, metrics=metrics)

    @torch.no_grad()
    def _class_probabilities(self, classes: Classes) -> np.ndarray:
        """Of each class, for each validation example: shape (examples, classes)."""
        found = []
        for examples in _rows(self.data.validation):
            row = pack(examples, self.student.device)
            hidden, start = self.student.hidden(examples, row), 0
            for example in examples:
                place = row.places == start + classes.position(example) - 1
                logits = hidden[place][0] @ self.student.head[classes.tokens].T
                found.append(torch.softmax(logits.float(), dim=-1).cpu().numpy())
                start += len(example.tokens)
        return np.stack(found)


def _score(row: Row, examples: int, loss: float, right: torch.Tensor) -> Score:
    answers = row.owners >= 0
    wrong = row.owners[answers & ~right].unique()
    return Score(
        loss=loss,
        weight=float(row.weights.sum()),
        right=int((right & answers).sum()),
        tokens=int(answers.sum()),
        exact=examples - len(wrong),
        examples=examples,
    )


def _named(kind: str, score: Score) -> dict[str, float]:
    """A score under the names of OpenAI's metrics."""
    return {f"{kind}_loss": round(score.mean_loss, 5), f"{kind}_mean_token_accuracy": round(score.accuracy, 5)}


def _rows(batch: Sequence[Example]) -> Iterator[list[Example]]:
    """Cut a batch into rows of about `ROW_TOKENS` tokens, so that memory is bounded by the longest example."""
    row: list[Example] = []
    filled = 0
    for example in batch:
        if row and filled + len(example.tokens) > ROW_TOKENS:
            yield row
            row, filled = [], 0
        row.append(example)
        filled += len(example.tokens)
    yield row
