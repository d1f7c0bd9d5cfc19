"""What Slurm's words mean, in sentences: why a job waits, how it ended, why it was refused."""

from __future__ import annotations

from openai_lesson.cluster.slurm import State

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
