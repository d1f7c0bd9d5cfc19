"""Where training jobs run: as processes of this machine, or under a cluster's Slurm.

A runner gets a job's directory and nothing else, so that one can take another's place. The queue starts a job,
looks at it again and again, and stops it; what the job does it tells in its directory (`training.job_folder`).
"""

from dataclasses import dataclass
from typing import Literal, Protocol

from openai_local.training.job_folder import Journal


@dataclass(frozen=True)
class Status:
    """How a job's process is."""

    alive: bool  # it works, or waits for a computer
    waits: str | None = None  # why it does not work yet, in a sentence; None if it works, or is gone
    # Why it is gone, where the runner knows: it may be started again and goes on from its last snapshot; somebody
    # ended it on purpose; or it failed, and so would another try.
    ended: Literal["again", "cancelled", "failed"] | None = None
    said: str | None = None  # how it ended, for people, in a sentence
    then: str = ""  # what comes after that, in another


class Runner(Protocol):
    """Starts training processes and knows how they are."""

    place: str  # where jobs run, in words that follow "is trained"
    at_once: int  # how many jobs may be started at the same time; more wait in the service's own queue

    def start(self, journal: Journal) -> None:
        """Start the training process, unless one is there. Raises `LocalError` if another try would not help."""

    def look(self, journal: Journal) -> Status:
        """How the process is, also one that an earlier service started. Quick: it is asked twice a second."""

    def stop(self, journal: Journal) -> None:
        """End the training process, if there is one."""

    def release(self, journal: Journal) -> None:
        """Let go of a process that has written its result; end one that does not."""
