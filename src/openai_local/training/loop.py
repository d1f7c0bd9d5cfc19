"""One fine-tuning job, from its directory to an adapter: epochs, steps, and where to go on after a break.

The loop is the textbook's: for each epoch shuffle the examples, for each batch compute the loss of the answers'
tokens, its gradient, one step of the optimizer. What makes it quick lies in `lora` and `data_parallel`, what
spares the base's language in `directions` and `optimizer`. Every loss that is told is the mean over counted tokens
and the whole vocabulary, before the step; that of the training is with the words left out that it drops.

A job can be paused after any step and goes on there; one that was killed goes on from its last snapshot.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from openai_local.errors import LocalError
from openai_local.home import link
from openai_local.models.base_models import SMOLLM2
from openai_local.training import general_text
from openai_local.training.data_parallel import DataParallel
from openai_local.training.dataset import DataError, read
from openai_local.training.job_folder import EXAMPLE_TOKENS, Hyperparameters, Job, Journal, Paused, Stuck, settle
from openai_local.training.lora import Dropped, LoraModel, choose_device, choose_dtype
from openai_local.training.metrics import Classes, Score, write_table
from openai_local.training.optimizer import AdamW, load_snapshot, save_snapshot
from openai_local.training.tokenisation import Encoder, Example

LEARNING_RATE = 0.006
WARM_UP = 6
DROPPED = 0.2
"""The share of the prompts' tokens that is dropped at first (word dropout: Iyyer et al., 2015). So an answer hangs
on all of its question, not on one word of it, and is found when the question is worded differently. Only the
layers that learn do without them."""
AIM_TOKENS = 8192
"""So many of the examples' tokens are looked at before the first step: more say nothing new, and cost time."""
ESTIMATE_SECONDS = 5.0
SNAPSHOT_SHARE = 0.01
"""How much of the time may be spent on writing down where training is. How often follows from that: with the
lesson's model and a disk of 700 MB/s it is every six seconds."""


def train(journal: Journal) -> None:
    """Train what ``job.json`` says and write the adapters, the table of results and ``result.json``.

    Raises:
        DataError: a file can't be used.
        LocalError: the base model can't be read.
        Paused: the job was asked to pause.
    """
    job = journal.read_job()
    encoder = _encoder(job)
    data = _load(job, journal, encoder)
    chosen = settle(job.n_epochs, job.batch_size, job.learning_rate_multiplier, len(data.training))
    journal.tell("hyperparameters", **vars(chosen))

    model = _model(job)
    general = general_text.of(Path(job.weights), model.llama, encoder)
    loop = Loop(journal, model, data, general, chosen, job.seed)
    loop.run()

    journal.keep(lambda: _write_adapter(journal, loop))
    journal.keep(lambda: write_table(journal.table, journal.rows(), of_2022=job.of_2022))
    trained_tokens = chosen.n_epochs * sum(len(example.tokens) for example in data.training)
    journal.finish(status="succeeded", trained_tokens=trained_tokens)
    journal.snapshot.unlink(missing_ok=True)


def _model(job: Job) -> LoraModel:
    device = choose_device()
    try:
        return LoraModel(Path(job.weights), device=device, dtype=choose_dtype(device))
    except (OSError, ValueError, KeyError, SafetensorError) as error:
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
        loop.model.write_adapter(journal.adapter)


def _encoder(job: Job) -> Encoder:
    try:
        return Encoder(Path(job.weights))
    except Exception as error:  # the tokenizer's own errors have no type
        raise _no_base(job, error) from None


def _load(job: Job, journal: Journal, encoder: Encoder) -> Data:
    training = _examples(job.training_file, "training_file", encoder)
    validation = _examples(job.validation_file, "validation_file", encoder) if job.validation_file else []
    if cut := sum(len(example.tokens) == EXAMPLE_TOKENS for example in [*training, *validation]):
        message = f"{cut} example(s) reach {EXAMPLE_TOKENS} tokens and were cut there."
        journal.event(message, level="warn", key="cut")
    classes = None
    if job.classification is not None:
        classes = Classes.find([*training, *validation], encoder, **job.classification)
    return Data(training, validation, job.prompt_weight, classes)


def _examples(path: str, param: str, encoder: Encoder) -> list[Example]:
    """The examples of a file. One whose prompt alone fills `EXAMPLE_TOKENS` teaches nothing and is left out."""
    examples = [encoder.encode(record, EXAMPLE_TOKENS) for record in read(Path(path), param)]
    if not (useful := [example for example in examples if example.n_targets]):
        message = (
            f"No example has anything to learn within its first {EXAMPLE_TOKENS} tokens. Shorten the prompts."
        )
        raise DataError(message, param=param)
    return useful


@dataclass(frozen=True)
class Data:
    """What a job learns from and is measured with."""

    training: list[Example]
    validation: list[Example]
    prompt_weight: float
    classes: Classes | None


class Loop:
    """The steps of one job."""

    def __init__(
        self,
        journal: Journal,
        model: LoraModel,
        data: Data,
        general: Sequence[Example],
        chosen: Hyperparameters,
        seed: int,
    ) -> None:
        """`run` sets it going; `seed` decides the order of the examples. `general` is text to be spared."""
        self.journal, self.model, self.data, self.general, self.chosen = journal, model, data, general, chosen
        self.epoch_steps = math.ceil(len(data.training) / chosen.batch_size)
        self.steps = self.epoch_steps * chosen.n_epochs
        self.rate = LEARNING_RATE * chosen.learning_rate_multiplier
        self.optimizer = AdamW(model.parameters, model.directions)
        self.seed, self.order = seed, random.Random(seed)
        self.parallel = DataParallel(model, data.prompt_weight, chosen.batch_size, self._pause_if_asked)
        self.done, self.epoch = 0, Score()
        self.elapsed_tokens = self.elapsed_examples = 0

    def run(self) -> None:
        """All epochs, from the last snapshot on if there is one. Raises `Paused` if the job was asked to pause."""
        if not self._go_on():
            general_text.recall(self.model, self.general)
            self.parallel.aim(self._some_examples(), self.general)
        self.begun = self.estimated = self.saved = time.monotonic()
        self.save_seconds = 0.01  # a guess, until one was written
        self.first = done = self.done
        try:
            for step, batch in enumerate(self._batches(), start=1):
                self.elapsed_tokens += sum(len(example.tokens) for example in batch)
                self.elapsed_examples += len(batch)
                if step > done:
                    self._take_step(step, batch)
                if step >= done and step % self.epoch_steps == 0:
                    self._end_epoch(step)
        except Stuck:
            raise
        except Paused:
            self.journal.keep(self._write_snapshot)
            raise

    def _go_on(self) -> bool:
        """Put back what the last snapshot holds, if there is one. A damaged one costs the steps, not the job."""
        try:
            found = load_snapshot(self.journal.snapshot, self.optimizer)
        except LocalError as error:
            self.journal.event(f"{error}, so the training begins again with the first step.", level="warn")
            return False
        if found is None:
            return False
        self.done, self.epoch = found
        self.journal.event(f"Going on after step {self.done}/{self.steps}")
        return True

    def _some_examples(self) -> list[Example]:
        """Examples of about `AIM_TOKENS` tokens together, which speak for all of them."""
        shuffled = list(self.data.training)
        random.Random(0).shuffle(shuffled)
        lengths = accumulate(len(example.tokens) for example in shuffled)
        return [
            example for example, length in zip(shuffled, lengths, strict=True) if length <= AIM_TOKENS
        ] or shuffled[:1]

    def _batches(self) -> Iterator[list[Example]]:
        for _ in range(self.chosen.n_epochs):
            shuffled = list(self.data.training)
            self.order.shuffle(shuffled)
            for start in range(0, len(shuffled), self.chosen.batch_size):
                yield shuffled[start : start + self.chosen.batch_size]

    def _take_step(self, step: int, batch: list[Example]) -> None:
        if step % self.epoch_steps == 1 or self.epoch_steps == 1:
            self.epoch = Score()
        valid = self.parallel.measure(self._validation_batch(step)) if self.data.validation else None
        score, gradients = self.parallel.learn(batch, self._dropped(step, batch))
        rate = self.rate * min(step / WARM_UP, 1.0, (self.steps - step + 1) / self.steps)
        self.optimizer.step(gradients, rate, step)
        self.done, self.epoch = step, self.epoch + score
        self._tell_step(step, score, valid)
        self._look_at_the_clock()

    def _dropped(self, step: int, batch: list[Example]) -> Dropped:
        """Some of the prompts' tokens, always the same at one step of a job; fewer and fewer, and none at last."""
        rate = DROPPED * (1 - step / self.steps)
        chance = random.Random(f"{self.seed} {step}")
        return {id(one): [not counts and chance.random() < rate for counts in one.counts] for one in batch}

    def _validation_batch(self, step: int) -> list[Example]:
        """Half as many validation examples as a batch has, others at each step: they only cost time."""
        examples, size = self.data.validation, max(1, self.chosen.batch_size // 2)
        size = min(size, len(examples))
        start = (step - 1) * size % len(examples)
        return [*examples[start:], *examples[:start]][:size]

    def _pause_if_asked(self) -> None:
        if self.journal.pause_requested():
            raise Paused

    def _write_snapshot(self) -> None:
        """The steps that were told go to the disk first: else a power cut could take them from the table."""
        begun = time.monotonic()
        self.journal.sync()
        save_snapshot(self.journal.snapshot, self.done, self.epoch, self.optimizer)
        self.save_seconds = time.monotonic() - begun

    def _tell_step(self, step: int, score: Score, valid: Score | None) -> None:
        message = f"Step {step}/{self.steps}: training loss={score.mean_loss:.4f}"
        data: dict[str, Any] = {"step": step, "total_steps": self.steps, **score.named("train")}
        if valid:
            message += f", validation loss={valid.mean_loss:.4f}"
            data |= valid.named("valid")
        self.journal.event(message, data=data, key=f"step {step}")
        columns = {**score.columns("train"), **(valid.columns("valid") if valid else {})}
        elapsed = {"elapsed_tokens": self.elapsed_tokens, "elapsed_examples": self.elapsed_examples}
        self.journal.tell("row", step=step, **elapsed, **columns)

    def _look_at_the_clock(self) -> None:
        now = time.monotonic()
        if now - self.estimated > ESTIMATE_SECONDS:
            self.estimated = now
            pace = (now - self.begun) / (self.done - self.first)
            self.journal.tell("estimate", finish=int(time.time() + pace * (self.steps - self.done)))
        if now - self.saved > self.save_seconds / SNAPSHOT_SHARE:
            self.journal.keep(self._write_snapshot)
            self.saved = time.monotonic()

    def _end_epoch(self, step: int) -> None:
        """Measure with all validation examples, and keep a checkpoint."""
        epoch = step // self.epoch_steps
        metrics: dict[str, Any] = {"step": step, **self.epoch.named("train")}
        validation = ""
        if self.data.validation:
            full = self.parallel.measure(self.data.validation)
            validation = f"validation loss={full.mean_loss:.4f}, "
            named = full.named("full_valid")
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
            probabilities = self.parallel.class_probabilities(self.data.classes, self.data.validation)
            found = self.data.classes.metrics(self.data.validation, probabilities)
            self.journal.tell("row", step=step, **found)
        self.journal.keep(lambda: self.model.write_adapter(self.journal.checkpoint_file(step)))
        self.journal.tell("checkpoint", step=step, metrics=metrics)
