"""Training as the service starts it, watched from outside: when each step was done, and how much memory it took.

    .venv/bin/python benchmarks/steps.py FILE STEPS EPOCHS

Trains with FILE in a folder for temporary files, EPOCHS (or ``auto``) long but at most STEPS, and prints `Steps`
as JSON. The other benchmarks call it like that, as the memory is that of the children of a process.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from machine import megabytes
from openai_lesson import catechism, prepare
from openai_local.engine.bases import Bases
from openai_local.engine.journal import Job, Journal
from openai_local.home import Home, default_cache
from openai_local.service.runners import LocalRunner

LOOK_SECONDS = 0.01


@dataclass
class Steps:
    """What was seen of a job's training process, all in seconds since its beginning.

    Args:
        settled: when the data was read and the hyperparameters known.
        ended: when each step was done.
        tokens: how many tokens had been read by then.
        epoch_steps: how many steps make an epoch.
        over: when the last file was written.
        peak_mb: the largest memory of the process, in MB; 0 if it was not measured.
    """

    settled: float = 0.0
    ended: list[float] = field(default_factory=list)
    tokens: list[int] = field(default_factory=list)
    epoch_steps: int = 0
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
        elif entry["kind"] == "checkpoint" and not self.epoch_steps:
            self.epoch_steps = entry["step"]


def lines(journal: Journal, going: Callable[[], bool]) -> Iterator[tuple[float, dict[str, Any]]]:
    """The lines of a journal, each with the time (`time.time`) when it was seen, until it goes on no more."""
    seen, alive = 0, True
    while alive:
        alive = going()  # asked first, so that the last lines are read
        for offset, entry in journal.read(seen):
            seen = offset
            yield time.time(), entry
        time.sleep(LOOK_SECONDS)


def train(file: Path, most: int, **hyperparameters: Any) -> Steps:
    """Train with a file in a process as the service starts it, at most so many steps."""
    base = Bases(Home.at(), default_cache()).require("ada")
    auto = {"n_epochs": "auto", "batch_size": "auto", "learning_rate_multiplier": "auto"}
    settings = auto | hyperparameters
    with tempfile.TemporaryDirectory() as folder:
        journal, runner, steps = Journal(Path(folder)), LocalRunner(), Steps()
        journal.write_job(Job("ftjob-1", base.name, str(base.weights), str(file), None, 1648, **settings))
        begun = time.time()
        runner.start(journal)
        for at, entry in lines(journal, lambda: runner.alive(journal)):
            steps.see(at - begun, entry)
            if len(steps.ended) >= most:
                journal.request_pause()
        runner.release(journal)
        steps.over = time.time() - begun
        result = journal.result()
        if not steps.ended or (result and result["status"] == "failed"):
            raise SystemExit(f"Training failed: {result or journal.log.read_text()}")
    return steps


def apart(file: Path, most: int, epochs: int | str = "auto", threads: int | None = None) -> Steps:
    """`train` in a process of its own, for the memory, with so many threads (nothing: one for each core)."""
    environment = {**os.environ} | ({"OMP_NUM_THREADS": str(threads)} if threads else {})
    command = [sys.executable, __file__, str(file), str(most), str(epochs)]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return Steps(**json.loads(done.stdout))


def lesson_file(folder: Path) -> Path:
    """The lesson's training file, as notebook 1 makes it: 107 questions and answers."""
    return prepare.analyse(catechism.load()).write(folder / "training.jsonl")


def main() -> None:
    """Train, and print what was seen."""
    import resource

    file, most, epochs = sys.argv[1:]
    steps = train(Path(file), int(most), n_epochs=int(epochs) if epochs != "auto" else epochs)
    steps.peak_mb = megabytes(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
    print(json.dumps(asdict(steps)))


if __name__ == "__main__":
    main()
