"""Training jobs as jobs of a cluster's Slurm, as many at once as Slurm gives.

Each becomes one Slurm job, whose name is the fine-tuning job's id. Only one living Slurm job bears a name, so a
service that was killed at any point finds it again and never submits twice. The training process writes into the
job's directory as ever, on a file system that the service and the cluster's computers share.

This is a thin layer over Slurm's own commands. Libraries were looked at (2026-11). submitit and Parsl ask
``sacct`` for a job's state, which needs an accounting database; with ``squeue`` alone, Parsl takes a job that is
not listed for one that is done, and its tasks need its own process to live on. PSI/J counts a time limit and
preemption as failures, and what has failed does not come back. We need those told apart, without accounting, and
over the death of the service.
"""

import contextlib
import time
from pathlib import Path

from openai_local.errors import LocalError
from openai_local.home import write_whole
from openai_local.runners import Status, state_codes
from openai_local.runners.site import Site, environment, script
from openai_local.runners.squeue import SILENT, Seen, SilentError, Squeue, call
from openai_local.training.job_folder import Journal

AGAIN_SECONDS = 10.0  # so long to wait before Slurm is asked again for what it could not do
LATE_SECONDS = 30.0  # so long a result may take to be seen from here: shared file systems are late at times


class FullError(LocalError):
    """Slurm takes no more jobs of ours at the moment."""


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

        If Slurm does not answer, or takes no more jobs at the moment, `look` tries again.

        Raises:
            LocalError: Slurm refuses the job.
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
