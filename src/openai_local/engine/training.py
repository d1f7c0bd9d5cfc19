"""One fine-tuning job, from its directory to an adapter.

The loop is the textbook's: for each epoch shuffle the examples, for each batch compute the loss of the answers'
tokens, its gradient, one step of the optimizer. What makes it quick lies in `student` and `muon`. Every loss
that is reported is the mean over counted tokens and the whole vocabulary, before the step.

Left out: going on from the middle of a job that was interrupted; it starts again from the beginning.
"""

from __future__ import annotations

import csv
import math
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from openai_local.engine.adapter import write_adapter
from openai_local.engine.examples import DataError, Encoder, Example, read
from openai_local.engine.journal import Job, Journal
from openai_local.engine.muon import Muon
from openai_local.engine.student import ALPHA, AnswerLoss, Student, choose_device, choose_dtype, pack

LEARNING_RATE = 0.01
WARM_UP = 6
ROW_TOKENS = 512
EXAMPLE_TOKENS = 2048
ESTIMATE_SECONDS = 5.0


@dataclass(frozen=True)
class Hyperparameters:
    """What a job is trained with, once every ``auto`` is settled."""

    n_epochs: int
    batch_size: int
    learning_rate_multiplier: float


@dataclass
class Score:
    """Sums over counted tokens: ``loss`` in nats, ``right`` likeliest-token hits, ``tokens`` in all."""

    loss: float = 0.0
    right: int = 0
    tokens: int = 0

    def add(self, other: Score) -> None:
        """Add another score's sums."""
        self.loss += other.loss
        self.right += other.right
        self.tokens += other.tokens

    @property
    def mean_loss(self) -> float:
        """Nats per token."""
        return self.loss / max(1, self.tokens)

    @property
    def accuracy(self) -> float:
        """Share of tokens that were the likeliest, 0 to 1."""
        return self.right / max(1, self.tokens)


def settle(job: Job, n_examples: int) -> Hyperparameters:
    """Replace each ``auto``.

    About 1,400 examples are seen in all (3 to 25 epochs), in twenty batches an epoch (of 1 to 16 examples):
    enough for a hundred questions and answers to be learned by heart.
    """

    def given(value: Any, auto: Any) -> Any:
        return auto if value == "auto" else value

    return Hyperparameters(
        n_epochs=given(job.n_epochs, min(25, max(3, round(1400 / n_examples)))),
        batch_size=given(job.batch_size, min(16, max(1, round(n_examples / 20)))),
        learning_rate_multiplier=given(job.learning_rate_multiplier, 1.0),
    )


def train(journal: Journal) -> None:
    """Train what ``job.json`` says and write the adapter, the table of results and ``result.json``.

    Raises:
        DataError: the training file can't be used.
    """
    job = journal.read_job()
    encoder = Encoder(Path(job.weights))
    examples = _load(job.training_file, encoder)
    validation = _load(job.validation_file, encoder) if job.validation_file else []
    if cut := sum(len(example.tokens) == EXAMPLE_TOKENS for example in examples):
        journal.event(f"{cut} example(s) reach {EXAMPLE_TOKENS} tokens and were cut there.", level="warn")
    chosen = settle(job, len(examples))
    journal.settle(**vars(chosen))

    torch.manual_seed(job.seed)
    device = choose_device()
    student = Student(Path(job.weights), device=device, dtype=choose_dtype(device))
    student.keep_below([*examples, *validation])
    final = _Loop(journal, student, examples, validation, chosen, job.seed).run()

    config = student.config
    heads, kv_heads = config.num_attention_heads, config.num_key_value_heads
    write_adapter(journal.adapter, student.factors(), alpha=ALPHA, heads=heads, kv_heads=kv_heads)
    journal.finish(
        status="succeeded",
        trained_tokens=chosen.n_epochs * sum(len(example.tokens) for example in examples),
        train_loss=final.mean_loss,
    )


def _load(path: str, encoder: Encoder) -> list[Example]:
    """The examples of a file. One whose prompt alone fills `EXAMPLE_TOKENS` teaches nothing and is left out."""
    examples = [encoder.encode(record, EXAMPLE_TOKENS) for record in read(Path(path))]
    if not (useful := [example for example in examples if example.n_targets]):
        message = (
            f"No example has anything to learn within its first {EXAMPLE_TOKENS} tokens. Shorten the prompts."
        )
        raise DataError("invalid_training_file", message)
    return useful


class _Loop:
    def __init__(
        self,
        journal: Journal,
        student: Student,
        examples: list[Example],
        validation: list[Example],
        chosen: Hyperparameters,
        seed: int,
    ) -> None:
        self.journal, self.student, self.chosen = journal, student, chosen
        self.examples, self.validation = examples, validation
        self.steps = math.ceil(len(examples) / chosen.batch_size) * chosen.n_epochs
        self.rate = LEARNING_RATE * chosen.learning_rate_multiplier
        self.optimizer = Muon(student.parameters, lr=self.rate)
        self.order = random.Random(seed)
        self.begun = self.estimated = time.time()

    def run(self) -> Score:
        """All epochs. Returns the score of the last one."""
        step = 0
        with self.journal.table.open("w", newline="", encoding="utf-8") as file:
            table = csv.writer(file, lineterminator="\n")
            table.writerow(["step", "train_loss", "train_accuracy", "valid_loss", "valid_mean_token_accuracy"])
            for epoch in range(1, self.chosen.n_epochs + 1):
                whole, row = Score(), list[object]()
                for batch in self._batches():
                    if row:
                        table.writerow(row)
                    step += 1
                    score = self._step(batch, step)
                    whole.add(score)
                    row = [step, f"{score.mean_loss:.5f}", f"{score.accuracy:.5f}", "", ""]
                    self._tell_step(step, score)
                if self.validation:
                    row[3:] = self._validate(step)
                table.writerow(row)
                self.journal.event(
                    f"Epoch {epoch}/{self.chosen.n_epochs}: training loss={whole.mean_loss:.4f}, "
                    f"token accuracy={whole.accuracy:.4f}"
                )
        return whole

    def _batches(self) -> Iterator[list[Example]]:
        shuffled = list(self.examples)
        self.order.shuffle(shuffled)
        for start in range(0, len(shuffled), self.chosen.batch_size):
            yield shuffled[start : start + self.chosen.batch_size]

    def _step(self, batch: Sequence[Example], step: int) -> Score:
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate * min(step / WARM_UP, 1.0, (self.steps - step + 1) / self.steps)
        total = sum(example.n_targets for example in batch)
        score = Score()
        for examples in _rows(batch):
            row = pack(examples, self.student.device)
            hidden = self.student.hidden(examples, row)
            loss, right = AnswerLoss.apply(hidden, row.targets, self.student.head, total)
            loss.backward()
            score.add(Score(loss.item() * total, int(right.sum()), len(row.targets)))
        self.optimizer.step()
        self.optimizer.zero_grad()
        return score

    @torch.no_grad()
    def _validate(self, step: int) -> list[str]:
        """The loss and accuracy on all examples of the validation file, told and returned as text."""
        score = Score()
        for examples in _rows(self.validation):
            row = pack(examples, self.student.device)
            hidden = self.student.hidden(examples, row)
            loss, right = AnswerLoss.apply(hidden, row.targets, self.student.head, 1)
            score.add(Score(loss.item(), int(right.sum()), len(row.targets)))
        self.journal.event(
            f"Step {step}/{self.steps}: full validation loss={score.mean_loss:.4f}",
            data={
                "step": step,
                "total_steps": self.steps,
                "full_valid_loss": round(score.mean_loss, 5),
                "full_valid_mean_token_accuracy": round(score.accuracy, 5),
            },
        )
        return [f"{score.mean_loss:.5f}", f"{score.accuracy:.5f}"]

    def _tell_step(self, step: int, score: Score) -> None:
        self.journal.event(
            f"Step {step}/{self.steps}: training loss={score.mean_loss:.4f}",
            data={
                "step": step,
                "total_steps": self.steps,
                "train_loss": round(score.mean_loss, 5),
                "train_mean_token_accuracy": round(score.accuracy, 5),
            },
        )
        now = time.time()
        if now - self.estimated > ESTIMATE_SECONDS:
            self.estimated = now
            self.journal.estimate(now + (now - self.begun) / step * (self.steps - step))


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
