"""Training jobs as jobs of a cluster's Slurm, as many at once as Slurm gives.

Each becomes one Slurm job, whose name is the fine-tuning job's id. Only one living Slurm job bears a name, so a
service that was killed at any point finds it again and never submits twice. The training process writes into the
job's directory as ever, on a file system that the service and the cluster's computers share.

This is a thin layer over Slurm's own commands. Libraries were looked at (2026-11). submitit and Parsl ask
``sacct`` for a job's state, which needs an accounting database; with ``squeue`` alone, Parsl takes a job that is
not listed for one that is done, and its tasks need its own process to live on. PSI/J counts a time limit and
preemption as failures, and what has failed does not come back. We need those told apart, without accounting, and
over the death of the service.

Slurm serves a whole cluster, so it is asked once in two seconds at most, however many jobs are looked at. When it
does not answer, that is said (`SilentError`), and never taken for "there is no such job".
"""

import contextlib
import re
import subprocess
import time
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path

from openai_local.errors import LocalError
from openai_local.home import write_whole
from openai_local.runners import Status, state_codes
from openai_local.runners.site import Site, environment, script
from openai_local.runners.state_codes import Seen, listed, remembered
from openai_local.training.job_folder import Journal

AGAIN_SECONDS = 10.0  # so long to wait before Slurm is asked again for what it could not do
LATE_SECONDS = 30.0  # so long a result may take to be seen from here: shared file systems are late at times
FRESH = 2.0  # seconds for which an answer is good
LASTING = 60.0  # seconds for which the last answer is used if there is no newer one
PATIENCE = 1.0  # seconds that `Squeue.living` waits for a new answer, all calls together
SECONDS = 15.0  # so long one of Slurm's commands may take
SILENT = "Slurm does not answer at the moment. It is asked again."
_SILENCE = re.compile(
    "unable to contact|connection refused|timed out|timeout|transport endpoint|zero bytes|standby mode|"
    "temporarily|no route to host|not responding|resource temporarily|shutting down",
    re.I,
)
_NEVER = float("-inf")


class SilentError(LocalError):
    """Slurm does not answer at the moment."""


class FullError(LocalError):
    """Slurm takes no more jobs of ours at the moment."""


class Squeue:
    """Our jobs, as Slurm shows them. It is asked in a thread, so that one that is silent holds nobody up."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, "squeue")
        self._known: dict[str, Seen] = {}
        self._known_at = self._asked_at = _NEVER
        self._asking: Future[dict[str, Seen]] | None = None

    def living(self) -> dict[str, Seen]:
        """The jobs that wait or run, by number, within a second. Raises `SilentError` after a long silence."""
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
        """The same, asked anew; it takes as long as it takes. Raises `SilentError`: Slurm does not answer."""
        self._known, self._known_at = _ask(), time.monotonic()
        return self._known

    def hurry(self) -> None:
        """Something was changed: ask anew at the next look."""
        self._asked_at = _NEVER

    def one(self, number: str) -> Seen:
        """A job by its number, also one that has ended. Raises `SilentError`: Slurm does not answer."""
        try:
            return remembered(number, call("scontrol", "--oneliner", "show", "job", number))
        except LocalError as error:
            if "Invalid job id" in str(error):
                return Seen(number, "FORGOTTEN")
            self._known_at = _NEVER  # else each job would wait for its own answer
            raise SilentError(str(error)) from None


class SlurmRunner:
    """Hands jobs to Slurm and looks at them there."""

    place = "on a cluster, under Slurm"

    def __init__(self, site: Site) -> None:
        """`site` says what each job asks for."""
        self.site, self.at_once = site, site.at_once
        self._squeue = Squeue()
        self._due: dict[Path, tuple[float, str]] = {}  # not handed over yet: when to try again, and why
        self._ended: dict[Path, tuple[Seen, float]] = {}  # over: how, and since when that is known
        self._stopped: dict[Path, float] = {}  # cancelled by us: when

    def start(self, journal: Journal) -> None:
        """Submit a job, unless a Slurm job is at it already.

        If Slurm is silent, or takes no more jobs now, `look` tries again. Raises `LocalError`: it refuses the job.
        """
        self._ended.pop(journal.folder, None)
        self._stopped.pop(journal.folder, None)
        try:
            number = self._submit(journal)
        except (SilentError, FullError) as error:
            why = SILENT if isinstance(error, SilentError) else str(error)
            self._due[journal.folder] = (time.monotonic() + AGAIN_SECONDS, why)
            return
        self._due.pop(journal.folder, None)
        write_whole(_note(journal), number)
        self._squeue.hurry()

    def _submit(self, journal: Journal) -> str:
        """The number of the Slurm job, which was there already or is new."""
        living = self._squeue.living_now()
        if found := _named(journal, living):
            return found.number
        path = journal.folder / "batch.sh"
        write_whole(path, script(journal.folder, self.site))
        # Given here and not in the script, where a path with spaces or a percent sign would mean something else.
        where = [f"--job-name={journal.folder.name}", f"--chdir={journal.folder}"]
        try:
            said = call("sbatch", "--parsable", *where, str(path), environment=environment())
        except SilentError:
            raise
        except LocalError as error:
            others = any(seen.name.startswith("ftjob-") for seen in living.values())
            if others and state_codes.full(str(error)):
                message = "Slurm takes no more of our jobs at the moment. This one is handed over when it does."
                raise FullError(message) from None
            raise state_codes.refused(str(error)) from None
        return said.strip().splitlines()[-1].split(";")[0]

    def look(self, journal: Journal) -> Status:
        """How the job is, also one that an earlier service submitted."""
        if journal.folder in self._due:
            if time.monotonic() < self._due[journal.folder][0]:
                return Status(True, waits=self._due[journal.folder][1])
            try:
                self.start(journal)
            except LocalError as error:
                self._due.pop(journal.folder, None)
                return Status(False, ended="failed", said=str(error))
            return self.look(journal)
        began = journal.read_pid() is not None
        try:
            seen = self._seen(journal)
        except SilentError as error:
            return Status(True, waits=None if began else str(error))
        if seen is None:
            return Status(False)
        status = state_codes.status(seen, began=began, last_line=_last_line(journal))
        return Status(True) if self._may_be_late(journal, seen) else status

    def _seen(self, journal: Journal) -> Seen | None:
        if journal.folder in self._ended:
            return self._ended[journal.folder][0]
        number, living = _number(journal), self._squeue.living()
        if number is None:  # the service was killed before it could note it, or the job was stopped
            if (named := _named(journal, living)) and journal.folder not in self._stopped:
                write_whole(_note(journal), named.number)
            return named or _named(journal, living, ending=True)
        seen = living.get(number) or self._squeue.one(number)
        if seen.ended:
            self._ended[journal.folder] = seen, time.monotonic()
        return seen

    def _may_be_late(self, journal: Journal, seen: Seen) -> bool:
        """Whether the job has ended well, and its result is not seen yet."""
        if seen.word != "COMPLETED":
            return False
        list(journal.folder.iterdir())  # this makes NFS look anew
        return journal.result() is None and time.monotonic() - self._ended[journal.folder][1] < LATE_SECONDS

    def stop(self, journal: Journal) -> None:
        """Cancel the job in Slurm, if it is there. It is alive for some seconds more.

        If Slurm does not answer, the job stays alive, and it has to be stopped again.
        """
        # The note goes first: without it, the end that comes now is not taken for somebody else's doing.
        self.release(journal)
        if time.monotonic() - self._stopped.get(journal.folder, float("-inf")) < AGAIN_SECONDS:
            return
        self._stopped[journal.folder] = time.monotonic()
        with contextlib.suppress(LocalError):
            self._squeue.living()  # this fails at once while Slurm is silent
            call("scancel", "--me", f"--name={journal.folder.name}")
        self._squeue.hurry()

    def release(self, journal: Journal) -> None:
        """Let go of a Slurm job. It ends by itself, or at its time limit."""
        _note(journal).unlink(missing_ok=True)
        self._due.pop(journal.folder, None)
        self._ended.pop(journal.folder, None)


def _note(journal: Journal) -> Path:
    """The file with the number of the Slurm job."""
    return journal.folder / "slurm"


def _number(journal: Journal) -> str | None:
    try:
        return _note(journal).read_text(encoding="utf-8").strip() or None
    except FileNotFoundError:
        return None


def _named(journal: Journal, living: dict[str, Seen], *, ending: bool = False) -> Seen | None:
    """The Slurm job with this job's name; one that is about to end only if that is asked for."""
    ours = (seen for seen in living.values() if seen.name == journal.folder.name)
    return next((seen for seen in ours if ending or seen.word != "COMPLETING"), None)


def _last_line(journal: Journal) -> str:
    try:
        lines = journal.log.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:  # it has not started, or the shared file system is late
        return ""
    return next((line for line in reversed(lines) if line.strip()), "")


def _ask() -> dict[str, Seen]:
    try:
        said = call("squeue", "--me", "--all", "--noheader", "--format=%i|%T|%r|%j")
    except LocalError as error:
        raise SilentError(str(error)) from None
    return {seen.number: seen for seen in listed(said)}


def call(*words: str, environment: Mapping[str, str] | None = None) -> str:
    """What one of Slurm's commands prints. Raises `SilentError`, or `LocalError` with what it said at its end."""
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
