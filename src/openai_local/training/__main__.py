"""``python -m openai_local.training JOB [SECONDS]``: train one job's directory. The service starts it.

It waits so many seconds for another process that is at the job (none if it is not said). SIGTERM is a warning, as
Slurm gives it before it ends a process for good: what was trained is written down, and the next process goes on.

Exit codes: 0 the job is over (``result.json`` says how), 3 another process is at it, 4 it was paused or told to
end, and is not over.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import traceback
from pathlib import Path

from filelock import FileLock, Timeout

from openai_local import disk
from openai_local.errors import LocalError
from openai_local.training.dataset import DataError
from openai_local.training.job_folder import Journal, Paused


def main() -> int:
    """Train the job in the directory named on the command line."""
    journal = Journal(Path(sys.argv[1]))
    lock = FileLock(journal.lock, timeout=float(sys.argv[2]) if sys.argv[2:] else 0)
    try:
        journal.keep(lock.acquire)
        if journal.result() is not None:
            return 0
        _work(journal)
    except Timeout:
        return 3
    except Paused:
        return 4
    return 0


def _work(journal: Journal) -> None:
    """Train, and write down how it ended. Raises `Paused` if it is not over."""
    journal.keep(lambda: journal.write_pid(os.getpid()))
    if hasattr(os, "nice"):
        os.nice(10)  # else a model that answers meanwhile would wait seconds for each token
    try:
        journal.keep(journal.mend)
        journal.event("Fine-tuning job started", facts={"status": "running"}, key="started")
        from openai_local.training.loop import train  # late, because it takes seconds

        # From now on there is something to lose.
        signal.signal(signal.SIGTERM, lambda *_: journal.end_soon())
        train(journal)
    except Paused:
        raise
    except DataError as error:
        journal.finish(status="failed", code=error.code, message=str(error), param=error.param)
    except LocalError as error:
        journal.finish(status="failed", code="server_error", message=str(error), param=None)
    except Exception as error:
        with contextlib.suppress(OSError):  # the log lies on a disk too
            traceback.print_exc()
        journal.finish(status="failed", code="server_error", message=_explain(error, journal), param=None)


def _explain(error: Exception, journal: Journal) -> str:
    if isinstance(error, MemoryError) or "allocate memory" in str(error) or "out of memory" in str(error):
        return "Training ran out of memory. Close other programs, or use a smaller batch_size or shorter examples."
    if said := disk.sentence(error, journal.folder):
        return said
    return f"Training stopped: {type(error).__name__}: {error}. Details are in {journal.log}."


if __name__ == "__main__":
    raise SystemExit(main())
