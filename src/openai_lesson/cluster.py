"""A job under Slurm: submit it, follow it with a card until it is over, read what it printed, cancel it.

The job's service and the one on this machine share a home folder, which belongs to one at a time. So `submit`
stops the one here if it has nothing to do, and refuses while it trains.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import openai

from openai_data.atomic_write import write_whole
from openai_data.errors import LessonError
from openai_data.local_cli import output
from openai_figures.figure import Figure
from openai_figures.progress import Card, in_notebook
from openai_lesson import local

PAUSE = 5.0
"""Seconds between two looks. Slurm serves the whole cluster, so it is not asked more often."""
PATIENCE = 600.0
"""Seconds for which a Slurm that does not answer is asked again."""
_BUSY = ("validating_files", "queued", "running")


@dataclass(frozen=True)
class Job:
    """A job that was submitted: its number, and the file that gets what it prints."""

    number: str
    printed: Path

    def __repr__(self) -> str:
        """A line about it."""
        return f"Slurm job {self.number}. What it prints goes to {self.printed.name}"


def submit(script: Script) -> Job | None:
    """Hand a script to Slurm. It is written to ``lesson-job.sh`` first, and run in the current folder.

    Returns:
        The job, or nothing where there is no Slurm; a sentence says so.

    Raises:
        LessonError: the training file is missing, a service holds the home folder, or Slurm refuses the job.
    """
    found = find()
    if not found:
        print(f"{found.problem} So nothing was submitted. On a cluster you would see the number of your job here.")
        return None
    if not Path(script.training_file).is_file():
        file = f"There is no file {script.training_file} in {Path.cwd()}."
        raise LessonError(f"{file} Run the notebook 01-prepare-data first.")
    _free_the_home()
    path = script.write()
    try:
        said = call("sbatch", "--parsable", "--export=ALL", str(path), environment=_environment())
    except SilentError:
        raise
    except LessonError as error:
        raise LessonError(refused(str(error))) from None
    number = said.strip().splitlines()[-1].split(";")[0]
    return Job(number, Path.cwd() / OUTPUT.format(number))


def _environment() -> dict[str, str]:
    """What the job inherits: this environment's commands, and the folders of the service here.

    No address and no key goes along, and none of the variables of a job that this notebook itself may run in:
    Slurm would take them for wishes.
    """
    leave = ("OPENAI_BASE_URL", "OPENAI_API_BASE", "OPENAI_API_KEY", "OPENAI_LESSON_LOCAL_URL")
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in leave and (not name.startswith("SLURM_") or name in ("SLURM_CONF", "SLURM_JWT"))
    }
    where = json.loads(output("where", "--json"))
    kept["OPENAI_LOCAL_HOME"], kept["OPENAI_LOCAL_CACHE"] = where["home"], where["cache"]
    kept["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), kept.get("PATH", "")])
    return kept


def _free_the_home() -> None:
    """Stop the service on this machine, unless it trains."""
    service = local.running()
    if service is None:
        return
    try:
        key = local.own_key(service)
        ours = local.takes(service.url, key)
    except openai.APIError:
        ours = False
    if not ours:
        raise LessonError(
            f"A service holds the folder {service.home}, and it runs on another machine. Two machines can't use "
            "one folder at the same time. Stop it there:  openai-local stop"
        )
    client = openai.OpenAI(base_url=service.url, api_key=key)
    for job in client.fine_tuning.jobs.list(limit=100):
        if job.status in _BUSY:
            raise LessonError(
                f"The service on this machine is training ({job.id}), so the folder {service.home} is in use. "
                f"Wait until it is over, or end it:  client.fine_tuning.jobs.cancel({job.id!r})"
            )
    output("stop")
    print("The service on this machine was stopped, so that the job can use its folder.")


def follow(job: Job | None) -> State | None:
    """Show how a job goes until it is over: Slurm's word for its state, and what it prints.

    Interrupting it (the square button, or Ctrl-C) stops the showing, not the job. Call it again at any time.

    Args:
        job: from `submit`; nothing where there was no Slurm.

    Returns:
        The job's last state.

    Raises:
        LessonError: the job ended without having done its work; the message says why.
    """
    if job is None:
        print("There is no job to follow. On a cluster you would see it wait, run and print its lines here.")
        return None
    view = _View(job)
    try:
        state = view.watch()
    except KeyboardInterrupt:
        print(f"Job {job.number} goes on. Come back with:  cluster.follow(job)")
        print(f"To end it for good:  cluster.cancel(job)    in a terminal:  scancel {job.number}")
        return view.state
    if state.word not in ("COMPLETED", "CANCELLED"):
        raise LessonError(sentence(job.number, state, tail(job, 1)))
    return state


def tail(job: Job | None, lines: int = 10) -> str:
    """The last lines that a job has printed; nothing if there are none."""
    return "\n".join(_printed(job)[-lines:]) if job else ""


def cancel(job: Job | None) -> None:
    """End a job before its time. What it had trained so far is kept.

    Raises:
        LessonError: Slurm refuses.
    """
    if job is not None:
        call("scancel", job.number)
        print(f"Job {job.number} is told to end.")


def _printed(job: Job) -> list[str]:
    try:
        text = job.printed.read_text(encoding="utf-8", errors="replace")
    except OSError:  # it has not started, or the shared file system is late
        return []
    return [line.rsplit("\r", 1)[-1] for line in text.splitlines() if line.strip()]


class _View:
    """Looks at a job again and again, and shows it."""

    def __init__(self, job: Job) -> None:
        self.job, self.state = job, State("PENDING")
        self._card, self._told = Card(), 0

    def watch(self) -> State:
        """Show the job until it is over."""
        silent_since: float | None = None
        try:
            while True:
                try:
                    self.state, silent_since = look(self.job.number), None
                except SilentError:
                    silent_since = silent_since or time.monotonic()
                    if time.monotonic() - silent_since > PATIENCE:
                        raise
                self._show(silent_since is not None)
                if self.state.ended:
                    return self.state
                time.sleep(PAUSE)
        finally:
            self._card.close()

    def _show(self, silent: bool) -> None:
        lines = _printed(self.job)
        line = sentence(self.job.number, self.state, "")
        if silent:
            line += " (Slurm does not answer at the moment. Trying again.)"
        if not in_notebook():
            self._card.clear()
            for new in lines[self._told :]:
                print(new)
        self._told = len(lines)
        self._card.show(line, lambda: Figure("\n".join([line, *lines])))


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


REASONS = {
    "None": "Slurm has not looked at it yet",
    "Priority": "other jobs come first",
    "Resources": "it waits until enough cores and memory are free",
    "Dependency": "it waits for another job",
    "BeginTime": "its time has not come yet",
    "JobHeldUser": "it is held back. Let it go:  scontrol release {number}",
    "JobHeldAdmin": "the cluster's staff holds it back. Ask them",
    "PartitionTimeLimit": "it asks for more time than its partition allows, so it will never start. Cancel it "
    "(scancel {number}) and ask for less time",
    "PartitionNodeLimit": "it asks for more than its partition has, so it will never start. Cancel it "
    "(scancel {number}) and ask for less",
    "PartitionDown": "its partition takes no jobs at the moment",
    "ReqNodeNotAvail": "the computers that it needs are down or reserved",
}
"""The reasons that a learner meets most, from the section "job reason codes" of Slurm's manual page of squeue."""
_LIMITS = ("QOS", "Assoc", "MaxJobs", "MaxSubmit")

_ENDS = {
    "COMPLETED": "Job {number} is done, after {used}.",
    "CANCELLED": "Job {number} was cancelled. If it had begun to train, the next service goes on with that.",
    "TIMEOUT": "Job {number} had not finished when its time ({limit}) was over, so Slurm ended it. Ask for more "
    "time and submit it again. What it has trained is not lost: the next job goes on with that first.",
    "OUT_OF_MEMORY": "Job {number} needed more memory than it had asked for, so Slurm ended it. Ask for more, "
    'such as memory="8G", and submit it again.',
    "NODE_FAIL": "The computer that ran job {number} broke down. Submit it again.",
    "BOOT_FAIL": "The computer that was to run job {number} did not start. Submit it again.",
    "PREEMPTED": "Job {number} had to give way to a more urgent job. Submit it again.",
    "DEADLINE": "Job {number} could not be done before its deadline.",
    "REVOKED": "Job {number} was taken over by another cluster.",
    "FORGOTTEN": "Slurm does not know job {number} any more: it remembers a job for some minutes only.",
}

_REFUSALS = (
    ("partition", "List the partitions:  sinfo   Then name one:  partition='…'"),
    ("account", "Ask your instructor for the name of your account. Then:  account='…'"),
    ("time limit", "Ask for less time:  time='…'"),
    ("node configuration", "No computer of this partition has so much. Ask for fewer cores or less memory."),
    ("Memory", "Ask for less memory:  memory='…'"),
)


def sentence(number: str, state: State, last_line: str) -> str:
    """How a job is.

    Args:
        number: the job's number.
        state: what Slurm says.
        last_line: what it printed last; said of a job that failed.
    """
    facts = {"number": number, "used": state.used, "limit": state.limit}
    if state.word == "PENDING":
        return f"Job {number} waits: {_reason(state.reason, number)}."
    if state.word in ("RUNNING", "COMPLETING"):
        return f"Job {number} runs on {state.where or 'a computer'}, for {state.used} of {state.limit}."
    if state.word == "FAILED":
        said = f" Its last line: {last_line}" if last_line else " It printed nothing."
        return f"Job {number} failed with exit code {state.exit_code}.{said}"
    if state.word in _ENDS:
        said = f" Its last line: {last_line}" if last_line and state.word == "FORGOTTEN" else ""
        return _ENDS[state.word].format(**facts) + said
    return f"Job {number} is {state.word.lower().replace('_', ' ')}."


def _reason(reason: str, number: str) -> str:
    """Slurm may add details to a reason after a comma or in brackets."""
    word = reason.split(",")[0].strip("()") or "None"
    if word in REASONS:
        said = REASONS[word].format(number=number)
        return said if word == "None" else f"{said} (Slurm says: {word})"
    if word.startswith(_LIMITS):
        return f"you have reached a limit of your account (Slurm says: {word})"
    return f"Slurm says: {word}"


def refused(said: str) -> str:
    """What to tell of a job that ``sbatch`` did not take.

    Args:
        said: what ``sbatch`` said.
    """
    reason = said.split("Batch job submission failed:")[-1].removeprefix("sbatch: error:").strip()
    hint = next((hint for word, hint in _REFUSALS if word.lower() in said.lower()), "")
    return f"Slurm did not take the job. It said: {reason}. {hint}".strip()
