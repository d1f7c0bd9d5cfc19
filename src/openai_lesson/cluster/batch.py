"""The batch script: what a job asks Slurm for, and what it does.

The job starts the lesson's service, trains, and ends the service, all on the one computer that Slurm gives it.
What comes of it lies in the service's home folder, which the whole cluster sees.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from openai_lesson.errors import LessonError
from openai_lesson.files import write_whole

OUTPUT = "lesson-{}.txt"
"""What a job prints goes here; the braces stand for its number."""
_MEMORY = re.compile(r"[1-9]\d*[KMGT]?")
_WORD = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.,+-]*")
_TIME = re.compile(r"(?:(\d+)-)?(\d+)(?::(\d+))?(?::(\d+))?")

_GUARD = """\
# The lesson's folder belongs to one service at a time
if openai-local status | grep "A service runs"; then
    echo "Stop that service on its own machine:  openai-local stop   Then submit again."
    exit 1
fi"""
_END = """\
# When the job ends, its service ends too
trap 'openai-local stop' EXIT
trap 'exit 143' TERM"""


@dataclass(frozen=True)
class Script:
    """A batch script. ``print(script)`` shows it. The fields are the arguments of `script`."""

    training_file: str
    model: str
    cores: int
    memory: str
    time: str
    partition: str
    account: str
    epochs: int | None
    setup: tuple[str, ...]

    def __str__(self) -> str:
        """The script's text."""
        parts = ["\n".join(self._head())]
        if self.setup:
            parts.append("\n".join(["# What this cluster needs first", *self.setup]))
        cores = "# Use the cores that were asked for\nexport OMP_NUM_THREADS=$SLURM_CPUS_PER_TASK"
        return "\n\n".join([*parts, cores, _GUARD, _END, f"# Train\n{self.command}"]) + "\n"

    __repr__ = __str__

    def _head(self) -> Iterator[str]:
        yield "#!/bin/bash"
        asked = {
            "job-name": "lesson",
            "partition": self.partition,
            "account": self.account,
            "cpus-per-task": self.cores,
            "mem": self.memory,
            "time": self.time,
            "output": OUTPUT.format("%j"),
        }
        yield from (f"#SBATCH --{name}={value}" for name, value in asked.items() if value)

    @property
    def command(self) -> str:
        """The line that trains. ``-b local`` keeps it on the cluster, whatever keys are set."""
        # A name that begins with a dash would be taken for an option.
        file = f"./{self.training_file}" if self.training_file.startswith("-") else self.training_file
        words = ["openai", "-b", "local", "api", "fine_tunes.create", "-t", file, "-m", self.model]
        return shlex.join([*words, *(["--n_epochs", str(self.epochs)] if self.epochs else [])])

    def write(self, path: str | Path = "lesson-job.sh") -> Path:
        """Write the script into a file, for ``sbatch``. Returns the path.

        Raises:
            LessonError: the folder can't be written to.
        """
        write_whole(Path(path), str(self))
        return Path(path)


def script(
    training_file: str | Path,
    *,
    model: str = "ada",
    cores: int = 4,
    memory: str = "4G",
    time: str = "0:30:00",
    partition: str = "",
    account: str = "",
    epochs: int | None = 13,
    setup: Sequence[str] = (),
) -> Script:
    """A batch script that trains a model.

    Args:
        training_file: a JSONL file, as seen from the folder in which the job is submitted.
        model: the model to train.
        cores: how many processor cores the job gets.
        memory: how much memory, such as ``"4G"``.
        time: how long it may take at most, as Slurm writes it: hours:minutes:seconds, and other forms.
        partition: in which of the cluster's queues it waits (nothing: the cluster's default).
        account: whom the cluster charges (nothing: the learner's default).
        epochs: how often the model reads all examples (nothing: four times, as in 2022).
        setup: lines of shell that the cluster needs first, such as ``"module load python/3.12"``.

    Raises:
        LessonError: one of them is nothing that Slurm understands.
    """
    if isinstance(cores, bool) or not isinstance(cores, int) or cores < 1:
        raise LessonError(f"cores={cores!r} is no number of cores. Write a whole number, such as  cores=4")
    if not _MEMORY.fullmatch(str(memory)):
        raise LessonError(f'memory={memory!r} is no amount of memory. Four gigabytes are  memory="4G"')
    if seconds(time) == 0:
        raise LessonError("time is zero, so the job could do nothing. Thirty minutes are  time='0:30:00'")
    for name, word in (("partition", partition), ("account", account)):
        if word and not _WORD.fullmatch(word):
            raise LessonError(f"{name}={word!r} is no name. It has letters, digits and - _ . only.")
    lines = (setup,) if isinstance(setup, str) else tuple(setup)
    if any("\n" in line for line in lines):
        raise LessonError('Write each line of setup by itself:  setup=["module load python/3.12", "…"]')
    return Script(str(training_file), model, cores, str(memory), time, partition, account, epochs, lines)


def seconds(time: str) -> int:
    """How many seconds a time limit has, in the forms of ``sbatch --time``.

    Those are minutes, minutes:seconds, hours:minutes:seconds, days-hours, days-hours:minutes and
    days-hours:minutes:seconds (from the manual page of sbatch).

    Raises:
        LessonError: it is none of them.
    """
    found = _TIME.fullmatch(time) if isinstance(time, str) else None
    if found is None:
        raise LessonError(f"time={time!r} is no time limit. Thirty minutes are  time='0:30:00'")
    days, first, second, third = found.groups()
    if days is not None:
        hours, minutes, rest = int(first), int(second or 0), int(third or 0)
    elif third is not None:
        hours, minutes, rest = int(first), int(second), int(third)
    else:
        hours, minutes, rest = 0, int(first), int(second or 0)
    return ((int(days or 0) * 24 + hours) * 60 + minutes) * 60 + rest
