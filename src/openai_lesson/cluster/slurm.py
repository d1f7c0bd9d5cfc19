"""What Slurm says: whether it is here, its partitions, and how a job is.

``sacct`` is not asked: it needs a database that small sites don't have. ``squeue`` knows the jobs that wait and
run, and ``scontrol`` remembers one that has ended for some minutes.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass

from openai_lesson.errors import LessonError

NONE = "There is no Slurm on this machine."
_SECONDS = 20
"""How long one of Slurm's commands may take."""
ENDED = frozenset(
    """COMPLETED FAILED CANCELLED TIMEOUT OUT_OF_MEMORY NODE_FAIL PREEMPTED BOOT_FAIL DEADLINE REVOKED
    FORGOTTEN""".split()
)
"""States of a job that is over. ``FORGOTTEN`` is ours: Slurm does not know the job any more."""


@dataclass(frozen=True)
class Partition:
    """A part of the cluster with a queue of its own: the longest time for a job, and how many computers it has."""

    name: str
    default: bool
    limit: str
    idle: int
    nodes: int

    def __str__(self) -> str:
        """A line about it."""
        longest = "any time" if self.limit == "infinite" else f"at most {self.limit}"
        name = f"{self.name} (the default)" if self.default else self.name
        return f"{name}: {self.idle} of {self.nodes} computers idle, a job may take {longest}"


@dataclass(frozen=True)
class Slurm:
    """Whether there is Slurm. It is true in an ``if`` where a job can be submitted.

    `partitions` are those that take jobs; `problem` says in a sentence why there is no Slurm.
    """

    partitions: tuple[Partition, ...] = ()
    problem: str = ""

    def __bool__(self) -> bool:
        """Whether jobs can be submitted."""
        return not self.problem

    def __repr__(self) -> str:
        """What a learner should know."""
        if self.problem:
            return f"{self.problem} On a cluster you would see its partitions here: the queues that take your job."
        return "\n".join(["Slurm answers. Its partitions:", *(f"  {partition}" for partition in self.partitions)])


@dataclass(frozen=True)
class State:
    """How a job is: Slurm's word and reason, the time used and allowed, where it runs, its exit code."""

    word: str
    reason: str = ""
    used: str = ""
    limit: str = ""
    where: str = ""
    exit_code: int = 0

    @property
    def ended(self) -> bool:
        """Whether the job is over."""
        return self.word in ENDED


class SilentError(LessonError):
    """Slurm does not answer at the moment."""


def find() -> Slurm:
    """Look for Slurm on this machine. Where there is none, the result says so."""
    if not (shutil.which("sbatch") and shutil.which("sinfo")):
        return Slurm(problem=NONE)
    try:
        said = call("sinfo", "--noheader", "--format=%P|%a|%l|%F")
    except LessonError as error:
        return Slurm(problem=f"Slurm's commands are on this machine, but they don't work here: {error}")
    rows = [line.split("|") for line in said.splitlines()]
    found = {row[0]: _partition(row[0], row[2], row[3]) for row in rows if len(row) == 4 and row[1] == "up"}
    return Slurm(tuple(found.values()))


def _partition(name: str, limit: str, nodes: str) -> Partition:
    """`nodes` counts computers: allocated/idle/other/total."""
    _, idle, _, total = nodes.split("/")
    return Partition(name.removesuffix("*"), name.endswith("*"), limit, _number(idle), _number(total))


def _number(text: str) -> int:
    """Large clusters are counted in thousands: ``1.2K``."""
    return round(float(text.removesuffix("K")) * (1000 if text.endswith("K") else 1))


def look(number: str) -> State:
    """How a job is.

    Args:
        number: the job's number.

    Raises:
        SilentError: Slurm does not answer.
    """
    try:
        said = call("squeue", "--noheader", f"--jobs={number}", "--format=%T|%r|%M|%l|%N")
    except SilentError:
        raise
    except LessonError:  # "Invalid job id": it is over
        said = ""
    if said.strip():
        word, reason, used, limit, where = said.splitlines()[0].split("|")
        return State(word, reason, used, limit, where)
    try:
        return _remembered(call("scontrol", "--oneliner", "show", "job", number))
    except SilentError:
        raise
    except LessonError:
        return State("FORGOTTEN")


def _remembered(said: str) -> State:
    facts = dict(re.findall(r"(\w+)=(\S*)", said))
    code = facts.get("ExitCode", "0:0").split(":")[0]
    where = facts.get("NodeList", "")
    return State(
        facts.get("JobState", "FORGOTTEN"),
        facts.get("Reason", ""),
        facts.get("RunTime", ""),
        facts.get("TimeLimit", ""),
        "" if where == "(null)" else where,
        int(code) if code.isdigit() else 0,
    )


def call(*words: str, environment: Mapping[str, str] | None = None) -> str:
    """What one of Slurm's commands prints.

    Raises:
        SilentError: Slurm does not answer.
        LessonError: the command fails; the message is what it said.
    """
    try:
        done = subprocess.run(
            words, capture_output=True, text=True, timeout=_SECONDS, env=environment, errors="replace"
        )
    except subprocess.TimeoutExpired:
        raise SilentError(f"{words[0]} did not answer within {_SECONDS} seconds.") from None
    except OSError as error:
        raise LessonError(f"{words[0]} can't be run: {error.strerror}.") from None
    if done.returncode == 0:
        return done.stdout
    said = " ".join(done.stderr.split()) or f"{words[0]} failed without saying why."
    if "Unable to contact" in said or "Connection refused" in said or "timed out" in said:
        raise SilentError(f"Slurm does not answer. It said: {said}")
    raise LessonError(said)
