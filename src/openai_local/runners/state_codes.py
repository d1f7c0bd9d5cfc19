"""What Slurm says of a job, read, and in sentences: why it waits, how it ended, why it was refused.

They are read by learners, who did not write ``site.toml`` and can't mend it. So where it must be mended, they are
told to ask their instructor.
"""

import re
from dataclasses import dataclass

from openai_local.errors import LocalError
from openai_local.runners import Status

STOPPED = 4  # the training process was told to end, and has written down where it is (`training.__main__`)
BUSY = 3  # another process is at the job (`training.__main__`)

ENDED = frozenset(
    """COMPLETED FAILED CANCELLED TIMEOUT OUT_OF_MEMORY NODE_FAIL PREEMPTED BOOT_FAIL DEADLINE REVOKED
    LAUNCH_FAILED FORGOTTEN""".split()
)
"""States of a job that is over. ``FORGOTTEN`` is ours: Slurm does not know the job any more."""

_NEVER = "so it will never start. Ask your instructor: in site.toml, {word} must be smaller. Cancel this job"
_REASONS = {
    "None": "Slurm has not looked at it yet",
    "Priority": "other jobs come first",
    "Resources": "it waits until enough cores and memory are free",
    "Dependency": "it waits for another job",
    "BeginTime": "its time has not come yet",
    "Licenses": "it waits for a licence",
    "Cleaning": "its last computer is being tidied up",
    "Prolog": "its computer is being made ready",
    "JobHeldUser": "somebody holds it back. Your instructor can let it go:  scontrol release {number}",
    "JobHeldAdmin": "the cluster's staff holds it back. Ask your instructor",
    "PartitionTimeLimit": f"it asks for more time than its partition allows, {_NEVER.format(word='time')}",
    "PartitionNodeLimit": f"it asks for more than its partition has, {_NEVER.format(word='cores or memory')}",
    "PartitionConfig": f"it asks for what its partition can't give, {_NEVER.format(word='cores, memory or time')}",
    "PartitionDown": "its partition takes no jobs at the moment",
    "PartitionInactive": "its partition starts no jobs at the moment",
    "ReqNodeNotAvail": "the computers that it needs are down or reserved",
    "Reservation": "its reservation has not begun yet",
    "ReservationDeleted": "its reservation is over. Ask your instructor: site.toml names one",
    "BadConstraints": "no computer is as it wants it. Ask your instructor: site.toml asks for what is not there",
    "launch failed requeued held": "Slurm could not start it. Ask your instructor",
}
"""The reasons that are met most, from the section "job reason codes" of Slurm's manual page of squeue."""
_DOWN = "Nodes required for job are DOWN"
_LIMITS = ("QOS", "Assoc", "MaxJobs", "MaxSubmit", "MaxCpu", "MaxMem")

_GOES_ON = "It goes on from its last snapshot, in a new Slurm job."
_AGAIN = "It is submitted again."
_ENDS = {
    "TIMEOUT": ("The time that Slurm gave it ({limit}) was over.", _GOES_ON),
    "PREEMPTED": ("It had to make way for a more urgent job.", _GOES_ON),
    "NODE_FAIL": ("The computer that trained it broke down.", _GOES_ON),
    "BOOT_FAIL": ("The computer that was to train it did not start.", _AGAIN),
    "LAUNCH_FAILED": ("Slurm could not start it on the computer that was chosen.", _AGAIN),
    "FORGOTTEN": ("Slurm does not know it any more: it remembers a job for some minutes only.", _GOES_ON),
}
_FAILS = {
    "OUT_OF_MEMORY": "Slurm job {number} needed more memory than site.toml asks for. Use a smaller batch_size or "
    "shorter examples, or ask your instructor for more memory there.",
    "DEADLINE": "Slurm job {number} could not be done before its deadline.",
    "REVOKED": "Slurm job {number} was taken over by another cluster.",
}
_KILLED, _TERMINATED = 9, 15

_REFUSALS = (
    ("account", "Mend account in site.toml: the cluster's staff knows its name."),
    ("partition", "Mend partition in site.toml. List them:  sinfo"),
    ("qos", "Mend qos in site.toml."),
    ("reservation", "Mend reservation in site.toml. List them:  scontrol show reservation"),
    ("time limit", "Ask for less in site.toml: time."),
    ("node configuration", "No computer of this partition has so much. Ask for less in site.toml: cores, memory."),
    ("generic resource", "Mend gpus in site.toml. List what there is:  sinfo -o '%P %G'"),
    ("memory", "Ask for less in site.toml: memory."),
)


@dataclass(frozen=True)
class Seen:
    """A job as Slurm shows it."""

    number: str  # Slurm's number of it
    word: str  # its state, such as ``PENDING``
    reason: str = ""  # why it is so, in Slurm's word
    name: str = ""  # the name under which it was submitted
    exit_code: int = 0  # what its program ended with
    signal: int = 0  # the number of the signal that ended its program; 0 for none
    limit: str = ""  # the time that it may take

    @property
    def ended(self) -> bool:
        """Whether the job is over."""
        return self.word in ENDED


def listed(said: str) -> list[Seen]:
    """The jobs in what ``squeue`` printed. Lines that are none, such as warnings, are left out."""
    rows = (line.split("|", 3) for line in said.splitlines())
    return [Seen(row[0], row[1], row[2], row[3]) for row in rows if len(row) == 4]


def remembered(number: str, said: str) -> Seen:
    """A job in what ``scontrol --oneliner show job`` printed."""
    # A path may hold such words as well, but paths come last.
    facts: dict[str, str] = {}
    for word, value in re.findall(r"(\w+)=(\S*)", said):
        facts.setdefault(word, value)
    code, _, signal = facts.get("ExitCode", "0:0").partition(":")
    return Seen(
        number,
        facts.get("JobState", "FORGOTTEN"),
        facts.get("Reason", ""),
        facts.get("JobName", ""),
        int(code) if code.isdigit() else 0,
        int(signal) if signal.isdigit() else 0,
        facts.get("TimeLimit", ""),
    )


def status(seen: Seen, *, began: bool, last_line: str) -> Status:
    """How a job is that Slurm shows, which had `began` to train, now or earlier, and printed `last_line` last."""
    if not seen.ended:
        return Status(True, waits=_waits(seen, began))
    if seen.word == "COMPLETED":
        return Status(False)
    if seen.word == "CANCELLED":
        return Status(False, ended="cancelled", said=f"Somebody cancelled it in Slurm (scancel {seen.number}).")
    if seen.word in _ENDS:
        said, then = _ENDS[seen.word]
        return Status(False, ended="again", said=said.format(limit=seen.limit), then=then)
    if seen.word in _FAILS:
        return Status(False, ended="failed", said=_FAILS[seen.word].format(number=seen.number))
    return _failed(seen, last_line)


def _failed(seen: Seen, last_line: str) -> Status:
    if seen.exit_code == STOPPED or seen.signal == _TERMINATED:
        return Status(False, ended="again", said="Slurm told it to end before it was done.", then=_GOES_ON)
    if seen.exit_code == BUSY:
        said = "Another process was at it still, perhaps on a computer that broke down."
        return Status(False, ended="again", said=said, then=_AGAIN)
    last = f" Its last line: {last_line}" if last_line else " It printed nothing."
    if seen.signal == _KILLED:
        how = "was killed, which often means that memory was not enough"
    elif seen.exit_code in (126, 127):
        how = "did not find Python. Ask your instructor: in site.toml, mend modules, setup or python"
    else:
        how = f"failed with exit code {seen.exit_code}"
    return Status(False, ended="failed", said=f"Slurm job {seen.number} {how}.{last}")


def _waits(seen: Seen, began: bool) -> str | None:
    if seen.word in ("RUNNING", "COMPLETING"):
        return None
    if seen.word == "CONFIGURING":
        return "Slurm has found a computer for it, which is being made ready."
    if seen.word in ("SUSPENDED", "STOPPED"):
        return "Slurm has halted it for a more urgent job. It goes on by itself."
    if seen.word != "PENDING":
        return f"Slurm holds it (Slurm says: {seen.word})."
    if began:
        return f"It was interrupted, and waits in Slurm's queue to go on from where it was: {_why(seen)}."
    return f"It waits in Slurm's queue: {_why(seen)}."


def _why(seen: Seen) -> str:
    """Slurm may add details to a reason after a comma or in brackets."""
    reason = seen.reason.strip("()")
    if reason.startswith(_DOWN):
        return "the computers that could train it are down or reserved (Slurm says: DOWN)"
    word = reason if reason in _REASONS else reason.split(",")[0]
    if word in ("", "None"):
        return _REASONS["None"]
    if word in _REASONS:
        return f"{_REASONS[word].format(number=seen.number)} (Slurm says: {word})"
    if word.startswith(_LIMITS):
        return f"the class has reached a limit of its account (Slurm says: {word})"
    return f"Slurm says: {word}"


def full(said: str) -> bool:
    """Whether ``sbatch`` refused a job only because there are too many already."""
    return "MaxSubmit" in said or "MaxJobs" in said or "job submit limit" in said.lower()


def refused(said: str) -> LocalError:
    """What to tell of a job that ``sbatch`` did not take, by what it `said`."""
    reason = said.split("Batch job submission failed:")[-1].removeprefix("sbatch: error:").strip().rstrip(".")
    hint = next((hint for word, hint in _REFUSALS if word in said.lower()), "")
    return LocalError(f"Slurm did not take the job. It said: {reason}. {hint}".strip())
