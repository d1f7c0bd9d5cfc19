"""What Slurm says of our jobs: one ``squeue`` for all of them, and ``scontrol show job`` for one that has ended.

``sacct`` is not asked: it needs a database that small sites don't have. Slurm serves a whole cluster, so it is
asked once in two seconds at most, however many jobs are looked at. When it does not answer, that is said
(`SilentError`), and never taken for "there is no such job".
"""

import re
import subprocess
import time
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

from openai_local.errors import LocalError

FRESH = 2.0  # seconds for which an answer is good
LASTING = 60.0  # seconds for which the last answer is used if there is no newer one
PATIENCE = 1.0  # seconds that `Squeue.living` waits for a new answer, all calls together
SECONDS = 15.0  # so long one of Slurm's commands may take
ENDED = frozenset(
    """COMPLETED FAILED CANCELLED TIMEOUT OUT_OF_MEMORY NODE_FAIL PREEMPTED BOOT_FAIL DEADLINE REVOKED
    LAUNCH_FAILED FORGOTTEN""".split()
)
"""States of a job that is over. ``FORGOTTEN`` is ours: Slurm does not know the job any more."""
SILENT = "Slurm does not answer at the moment. It is asked again."
_SILENCE = re.compile(
    "unable to contact|connection refused|timed out|timeout|transport endpoint|zero bytes|standby mode|"
    "temporarily|no route to host|not responding|resource temporarily|shutting down",
    re.I,
)
_NEVER = float("-inf")


class SilentError(LocalError):
    """Slurm does not answer at the moment."""


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


class Squeue:
    """Our jobs, as Slurm shows them. It is asked in a thread, so that one that is silent holds nobody up."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, "squeue")
        self._known: dict[str, Seen] = {}
        self._known_at = self._asked_at = _NEVER
        self._asking: Future[dict[str, Seen]] | None = None

    def living(self) -> dict[str, Seen]:
        """The jobs that wait or run, by their numbers. It takes a second at most.

        Raises:
            SilentError: Slurm has not answered for some time.
        """
        if self._asking is None and time.monotonic() - self._asked_at > FRESH:
            self._asked_at = time.monotonic()
            self._asking = self._pool.submit(_ask)
        if self._asking:
            wait([self._asking], max(0.0, self._asked_at + PATIENCE - time.monotonic()))
        if self._asking and self._asking.done():
            if not self._asking.exception():
                self._known, self._known_at = self._asking.result(), time.monotonic()
            self._asking = None
        if time.monotonic() - self._known_at > LASTING:
            raise SilentError(SILENT)
        return self._known

    def living_now(self) -> dict[str, Seen]:
        """The same, asked anew; it takes as long as it takes.

        Raises:
            SilentError: Slurm does not answer.
        """
        self._known, self._known_at = _ask(), time.monotonic()
        return self._known

    def hurry(self) -> None:
        """Something was changed: ask anew at the next look."""
        self._asked_at = _NEVER

    def one(self, number: str) -> Seen:
        """A job by its number, also one that has ended.

        Raises:
            SilentError: Slurm does not answer.
        """
        try:
            return remembered(number, call("scontrol", "--oneliner", "show", "job", number))
        except LocalError as error:
            if "Invalid job id" in str(error):
                return Seen(number, "FORGOTTEN")
            self._known_at = _NEVER  # else each job would wait for its own answer
            raise SilentError(str(error)) from None


def _ask() -> dict[str, Seen]:
    try:
        said = call("squeue", "--me", "--all", "--noheader", "--format=%i|%T|%r|%j")
    except LocalError as error:
        raise SilentError(str(error)) from None
    return {seen.number: seen for seen in listed(said)}


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


def call(*words: str, environment: Mapping[str, str] | None = None) -> str:
    """What one of Slurm's commands prints.

    Raises:
        SilentError: Slurm does not answer.
        LocalError: the command fails; the message is what it said.
    """
    try:
        done = subprocess.run(
            words,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=SECONDS,
            env=environment,
        )
    except subprocess.TimeoutExpired:
        raise SilentError(f"{words[0]} did not answer within {SECONDS:.0f} seconds.") from None
    except OSError as error:
        where = "The service must run where Slurm's commands are, such as the cluster's login node."
        raise LocalError(f"{words[0]} can't be run: {error.strerror}. {where}") from None
    if done.returncode == 0:
        return done.stdout
    said = " ".join(done.stderr.split()) or f"{words[0]} failed without saying why."
    raise SilentError(said) if _SILENCE.search(said) else LocalError(said)
