"""``python -m openai_local.engine JOB [SECONDS]``: train one job's directory. The service starts it.

It waits so many seconds for another process that is at the job (none if it is not said). SIGTERM is a warning, as
Slurm gives it before it ends a process for good: what was trained is written down, and the next process goes on.

Exit codes: 0 the job is over (``result.json`` says how), 3 another process is at it, 4 it was paused or told to
end, and is not over.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
from pathlib import Path

from filelock import FileLock, Timeout

from openai_local.engine.examples import DataError
from openai_local.engine.journal import Journal


def main() -> int:
    """Train the job in the directory named on the command line."""
    journal = Journal(Path(sys.argv[1]))
    lock = FileLock(journal.lock, timeout=float(sys.argv[2]) if sys.argv[2:] else 0)
    try:
        lock.acquire()
    except Timeout:
        return 3
    if journal.result() is not None:
        return 0
    journal.write_pid(os.getpid())
    if hasattr(os, "nice"):
        os.nice(10)  # else a model that answers meanwhile would wait seconds for each token
    try:
        journal.mend()
        journal.event("Fine-tuning job started", key="started")
        # Late, because it takes seconds.
        from openai_local.engine.loop import Paused
        from openai_local.engine.training import train

        # From now on there is something to lose.
        signal.signal(signal.SIGTERM, lambda *_: journal.end_soon())
        try:
            train(journal)
        except Paused:
            return 4
    except DataError as error:
        journal.finish(status="failed", code=error.code, message=str(error), param=error.param)
    except Exception as error:
        traceback.print_exc()
        journal.finish(status="failed", code="server_error", message=_explain(error, journal), param=None)
    return 0


def _explain(error: Exception, journal: Journal) -> str:
    if isinstance(error, MemoryError) or "allocate memory" in str(error) or "out of memory" in str(error):
        return "Training ran out of memory. Close other programs, or use a smaller batch_size or shorter examples."
    return f"Training stopped: {type(error).__name__}: {error}. Details are in {journal.log}."


if __name__ == "__main__":
    raise SystemExit(main())
