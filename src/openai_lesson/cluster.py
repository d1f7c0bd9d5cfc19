"""Following a job under Slurm, in sentences: why it waits, where it runs, what it prints, how it ended.

To submit one takes a line in a notebook (``!sbatch lesson-job.sh``), and so does a look at the queue (``!squeue
--me``). `follow` says what these lines don't. ``squeue`` knows the jobs that wait and run, and ``scontrol``
remembers one that has ended for some minutes. ``sacct`` is not asked: it needs a database that small sites lack.
"""

import re
import subprocess
import time
from functools import partial
from pathlib import Path

from openai_data.errors import LessonError
from openai_figures.figure import Figure
from openai_figures.progress import Card, in_notebook

PAUSE = 5.0  # seconds between two looks: Slurm serves the whole cluster, so it is not asked more often
_SECONDS = 20  # so long one of Slurm's commands may take

REASONS = {
    "None": "Slurm has not looked at it yet",
    "Priority": "other jobs come first",
    "Resources": "it waits until enough cores and memory are free",
    "PartitionTimeLimit": "it asks for more time than its queue allows, so it will never start. Cancel it",
    "PartitionNodeLimit": "it asks for more than its queue has, so it will never start. Cancel it",
    "PartitionDown": "its queue takes no jobs at the moment",
    "ReqNodeNotAvail": "the computers that it needs are down or reserved",
}
"""The reasons that a learner meets most, from the section "job reason codes" of Slurm's manual page of squeue."""

ENDS = {
    "COMPLETED": "is done",
    "FAILED": "failed",
    "CANCELLED": "was cancelled. If it had begun to train, the next service goes on with that",
    "TIMEOUT": "had not finished when its time was over. Ask for more time and submit it again: what it has "
    "trained is not lost",
    "OUT_OF_MEMORY": "needed more memory than it had asked for. Ask for more, such as --mem=8G, and submit it "
    "again",
    "NODE_FAIL": "lost its computer, which broke down. Submit it again",
    "PREEMPTED": "had to give way to a more urgent job. Submit it again",
    "FORGOTTEN": "is not known to Slurm any more: it remembers a job for some minutes only",
} | dict.fromkeys(("BOOT_FAIL", "DEADLINE", "REVOKED"), "could not be run")
"""What to tell of a job that is over, by Slurm's word for it. ``FORGOTTEN`` is ours."""


def is_here() -> bool:
    """Whether a Slurm answers on this machine; if not, a sentence says so."""
    try:
        answers = bool(_ask("sinfo", "--noheader"))
    except LessonError:
        answers = False
    if not answers:
        print("There is no Slurm on this machine, or it does not answer.")
    return answers


def follow(number: str) -> str:
    """Show how a job goes until it is over: Slurm's word for its state, and what it prints.

    Interrupting it (the square button, or Ctrl-C) stops the showing, not the job. Call it again at any time.

    Args:
        number: the job's number, as ``sbatch`` says it. What it prints is looked for in ``lesson-NUMBER.txt``.

    Returns:
        Slurm's word for how it ended, such as ``"COMPLETED"``; for how it is, if it was interrupted.

    Raises:
        LessonError: the job ended without having done its work, or that is no job's number.
    """
    number = number.strip().split(";")[0]  # where there are several clusters, sbatch says NUMBER;CLUSTER
    if not number.isdecimal():
        raise LessonError(f"This is no number of a job: {number}. If Slurm refused the job, it says here why.")
    card, told, word = Card(), 0, "PENDING"
    try:
        while word not in ENDS:
            word, line = look(number)
            lines = printed(number)
            if not in_notebook():
                card.clear()
                print(*(f"{new}\n" for new in lines[told:]), sep="", end="")
            told = len(lines)
            card.show(line, partial(Figure, "\n".join([line, *lines])))
            if word not in ENDS:
                time.sleep(PAUSE)
    except KeyboardInterrupt:
        print(f"Job {number} goes on. Run this cell again to come back. To end it for good:  scancel {number}")
        return word
    finally:
        card.close()
    if word not in ("COMPLETED", "CANCELLED"):
        raise LessonError(f"{line} Its last line: {lines[-1]}" if lines else line)
    return word


def look(number: str) -> tuple[str, str]:
    """How a job is: Slurm's word for it, and a sentence.

    Raises:
        LessonError: there are no commands of Slurm here, or they do not answer.
    """
    if said := _ask("squeue", "--noheader", f"--jobs={number}", "--format=%T|%r|%M|%l|%N"):
        word, reason, used, limit, where = said.splitlines()[0].split("|")
        if word == "PENDING":
            return word, f"Job {number} waits: {_reason(reason)}."
        return word, f"Job {number} is {word.lower()} on {where or 'a computer'}, for {used} of {limit}."
    facts = dict(re.findall(r"(\w+)=(\S*)", _ask("scontrol", "--oneliner", "show", "job", number)))
    word = facts.get("JobState", "FORGOTTEN")
    used = f" (Slurm says: {word}, exit code {facts['ExitCode']}, after {facts['RunTime']})" if facts else ""
    return word, f"Job {number} {ENDS.get(word, word)}.{used}"


def printed(number: str) -> list[str]:
    """The lines that a job has printed, with the last state of each that was overwritten."""
    try:
        text = Path(f"lesson-{number}.txt").read_bytes().decode("utf-8", "replace")
    except OSError:  # it has not started, or the shared file system is late
        return []
    return [line.rstrip("\r").rsplit("\r", 1)[-1] for line in text.split("\n") if line.strip()]


def _reason(reason: str) -> str:
    """Slurm may add details to a reason after a comma or in brackets."""
    word = reason.split(",")[0].strip("()") or "None"
    return f"{REASONS[word]} (Slurm says: {word})" if word in REASONS else f"Slurm says: {word}"


def _ask(*words: str) -> str:
    """What one of Slurm's commands prints; nothing if it fails, as it does for a job that is over."""
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=_SECONDS, errors="replace")
    except subprocess.TimeoutExpired:
        raise LessonError(f"{words[0]} did not answer within {_SECONDS} seconds. Run this cell again.") from None
    except OSError:
        raise LessonError("There is no Slurm on this machine, so there is no job to follow.") from None
    if "Unable to contact" in done.stderr:
        raise LessonError("Slurm does not answer at the moment; the job is not lost. Run this cell again later.")
    return "" if done.returncode else done.stdout.strip()
