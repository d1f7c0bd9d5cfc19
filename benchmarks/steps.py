"""Training as the service starts it, watched from outside: when each step was done, and how much memory it took.

    .venv/bin/python benchmarks/steps.py FILE STEPS '{"n_epochs": 3}'

Trains with FILE in a folder for temporary files, at most STEPS, and prints `Steps` as JSON. The other benchmarks
call it like that, as the memory is that of the children of a process. Hyperparameters that are not said are
``auto``.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import openai_data as prepare
from machine import megabytes
from openai_lesson import catechism
from openai_local.home import Home, default_cache
from openai_local.models.base_models import SMOLLM2, Bases
from openai_local.runners.local import LocalRunner
from openai_local.training.job_folder import Job, Journal
from openai_local.training.tokenisation import Encoder

LOOK_SECONDS = 0.01


@dataclass
class Steps:
    """What was seen of a job's training process, all in seconds since its beginning.

    Args:
        settled: when the data was read and the hyperparameters known.
        ended: when each step was done.
        tokens: how many tokens had been read by then.
        epoch_steps: how many steps make an epoch.
        checkpoints: when each checkpoint was told, by its step.
        over: when the last file was written.
        peak_mb: the largest memory of the process, in MB; 0 if it was not measured.
    """

    settled: float = 0.0
    ended: list[float] = field(default_factory=list)
    tokens: list[int] = field(default_factory=list)
    epoch_steps: int = 0
    checkpoints: dict[int, float] = field(default_factory=dict)
    over: float = 0.0
    peak_mb: float = 0.0

    def pace(self, first: int, last: int) -> float:
        """Seconds for a thousand tokens, from the end of step `first` to that of step `last` (counted from 1)."""
        seconds = self.ended[last - 1] - self.ended[first - 1]
        return 1000 * seconds / (self.tokens[last - 1] - self.tokens[first - 1])

    def see(self, seconds: float, entry: dict[str, Any]) -> None:
        """Take in a line of the journal."""
        if entry["kind"] == "hyperparameters":
            self.settled = seconds
        elif entry["kind"] == "row" and "train_loss" in entry:
            self.ended.append(seconds)
            self.tokens.append(entry["elapsed_tokens"])
        elif entry["kind"] == "checkpoint":
            self.epoch_steps = self.epoch_steps or entry["step"]
            self.checkpoints[entry["step"]] = seconds


def lines(journal: Journal, going: Callable[[], bool]) -> Iterator[tuple[float, dict[str, Any]]]:
    """The lines of a journal, each with the time (`time.time`) when it was seen, until it goes on no more."""
    seen, alive = 0, True
    while alive:
        alive = going()  # asked first, so that the last lines are read
        for offset, entry in journal.read(seen):
            seen = offset
            yield time.time(), entry
        time.sleep(LOOK_SECONDS)


def order(folder: Path, file: Path, hyperparameters: dict[str, Any]) -> Journal:
    """A job's folder as the service makes it; what is not said is ``auto``."""
    base, journal = Bases(Home.at(), default_cache()).require("ada"), Journal(folder)
    auto = {"n_epochs": "auto", "batch_size": "auto", "learning_rate_multiplier": "auto"}
    journal.write_job(
        Job("ftjob-1", base.name, str(base.weights), str(file), None, seed=1648, **(auto | hyperparameters))
    )
    return journal


def train(file: Path, most: int, hyperparameters: dict[str, Any]) -> Steps:
    """Train with a file in a process as the service starts it, at most so many steps."""
    with tempfile.TemporaryDirectory() as folder:
        journal, runner, steps = order(Path(folder), file, hyperparameters), LocalRunner(), Steps()
        begun = time.time()
        runner.start(journal)
        try:
            for at, entry in lines(journal, lambda: runner.look(journal).alive):
                steps.see(at - begun, entry)
                if len(steps.ended) >= most:
                    journal.request_pause()
        finally:
            runner.stop(journal)  # else it would go on when this is interrupted
        steps.over = time.time() - begun
        result = journal.result()
        if not steps.ended or (result and result["status"] == "failed"):
            raise SystemExit(f"Training failed: {result or journal.log.read_text()}")
    return steps


@contextmanager
def in_training(file: Path) -> Iterator[None]:
    """While the block runs, a job trains; it begins behind the job's first step."""
    with tempfile.TemporaryDirectory() as folder:
        journal, runner = order(Path(folder), file, {"n_epochs": 50}), LocalRunner()
        runner.start(journal)
        try:
            while not any(journal.rows()):
                if not runner.look(journal).alive:
                    raise SystemExit(f"Training failed: {journal.log.read_text()}")
                time.sleep(0.1)
            yield
        finally:
            runner.stop(journal)


def apart(file: Path, most: int, *, threads: int | None = None, **hyperparameters: Any) -> Steps:
    """`train` in a process of its own, for the memory, with so many threads (nothing: one for each core)."""
    environment = {**os.environ} | ({"OMP_NUM_THREADS": str(threads)} if threads else {})
    command = [sys.executable, __file__, str(file), str(most), json.dumps(hyperparameters)]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return Steps(**json.loads(done.stdout))


def write_examples(path: Path, count: int, tokens: int) -> Path:
    """Write examples of about so many tokens each: pieces of the Larger Catechism, half of each the answer."""
    words = " ".join(catechism.load("larger").stack()).split()
    encoder = Encoder(SMOLLM2.at(default_cache()).weights)
    half = max(2, round(tokens / 2 * len(words) / len(encoder.tokens(" ".join(words)))))
    chance = random.Random(1)
    with path.open("w", encoding="utf-8") as file:
        for _ in range(count):
            start = chance.randrange(len(words) - 2 * half)
            prompt, answer = words[start : start + half], words[start + half : start + 2 * half]
            file.write(json.dumps({"prompt": " ".join(prompt), "completion": " " + " ".join(answer)}) + "\n")
    return path


def lesson_file(folder: Path) -> Path:
    """The lesson's training file, as notebook 1 makes it: 107 questions and answers."""
    return prepare.analyse(catechism.load()).write(folder / "training.jsonl")


def main() -> None:
    """Train, and print what was seen."""
    import resource

    file, most, hyperparameters = sys.argv[1:]
    steps = train(Path(file), int(most), json.loads(hyperparameters))
    steps.peak_mb = megabytes(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
    print(json.dumps(asdict(steps)))


if __name__ == "__main__":
    main()
