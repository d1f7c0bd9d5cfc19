"""A job under Slurm: submit it, follow it with a card until it is over, read what it printed, cancel it.

The job's service and the one on this machine share a home folder, which belongs to one at a time. So `submit`
stops the one here if it has nothing to do, and refuses while it trains.
"""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import openai

from openai_lesson import local
from openai_lesson.cluster import slurm, words
from openai_lesson.cluster.batch import OUTPUT, Script
from openai_lesson.cluster.slurm import SilentError, State
from openai_lesson.display import Card, Figure, in_notebook
from openai_lesson.errors import LessonError
from openai_lesson.local_command import output

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
    found = slurm.find()
    if not found:
        print(f"{found.problem} So nothing was submitted. On a cluster you would see the number of your job here.")
        return None
    if not Path(script.training_file).is_file():
        file = f"There is no file {script.training_file} in {Path.cwd()}."
        raise LessonError(f"{file} Run the notebook 01-prepare-data first.")
    _free_the_home()
    path = script.write()
    try:
        said = slurm.call("sbatch", "--parsable", "--export=ALL", str(path), environment=_environment())
    except SilentError:
        raise
    except LessonError as error:
        raise LessonError(words.refused(str(error))) from None
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
        raise LessonError(words.sentence(job.number, state, tail(job, 1)))
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
        slurm.call("scancel", job.number)
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
                    self.state, silent_since = slurm.look(self.job.number), None
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
        line = words.sentence(self.job.number, self.state, "")
        if silent:
            line += " (Slurm does not answer at the moment. Trying again.)"
        if not in_notebook():
            self._card.clear()
            for new in lines[self._told :]:
                print(new)
        self._told = len(lines)
        self._card.show(line, lambda: Figure("\n".join([line, *lines])))
