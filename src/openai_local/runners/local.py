"""Training jobs as processes of their own on this machine, one at a time.

A process lives on when the service goes away, and is found again by the lock that it holds.
"""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from openai_local.home import is_held
from openai_local.runners import Status
from openai_local.training.job_folder import Journal

ENVIRONMENT = {
    # glibc gives freed memory back to the system at once and takes it again at the next step; keeping it makes a
    # step about a tenth faster.
    "MALLOC_MMAP_THRESHOLD_": "4000000000",
    "MALLOC_TRIM_THRESHOLD_": "4000000000",
    "MALLOC_TOP_PAD_": "268435456",
    # Threads that wait for each other spin for a while before they sleep. With another program on one of the two
    # cores, the usual 300,000 rounds made a step more than ten times slower, and 3,000 twice.
    "GOMP_SPINCOUNT": "3000",
}
"""For the training process; systems that do not know these ignore them."""


class LocalRunner:
    """Runs jobs as processes on this machine, behind everything else that wants the processor."""

    place = "on this machine"
    at_once = 1

    def __init__(self) -> None:
        self._processes: dict[Path, subprocess.Popen[bytes]] = {}

    def start(self, journal: Journal) -> None:
        """Start the training process, unless one is at this job already."""
        if self._alive(journal):
            return
        alone: dict[str, Any] = {"start_new_session": True}  # it outlives this process
        if sys.platform == "win32":
            alone = {"creationflags": subprocess.BELOW_NORMAL_PRIORITY_CLASS | subprocess.CREATE_NEW_PROCESS_GROUP}
        command = [sys.executable, "-P", "-m", "openai_local.training", str(journal.folder)]
        with journal.log.open("ab") as log:
            self._processes[journal.folder] = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **ENVIRONMENT},
                **alone,
            )

    def look(self, journal: Journal) -> Status:
        """Whether a process is at this job, also one that an earlier service started."""
        return Status(self._alive(journal))

    def _alive(self, journal: Journal) -> bool:
        process = self._processes.get(journal.folder)
        if process is not None and process.poll() is None:
            return True
        return journal.lock.exists() and is_held(journal.lock)  # by one that an earlier service started

    def stop(self, journal: Journal) -> None:
        """End the training process, if there is one."""
        process = self._processes.get(journal.folder)
        if process is not None:
            process.terminate()
            self.release(journal)
        elif (pid := journal.read_pid()) is not None and self._alive(journal):
            os.kill(pid, signal.SIGTERM)

    def release(self, journal: Journal) -> None:
        """Wait for a process that is about to end, and end one that is not."""
        process = self._processes.pop(journal.folder, None)
        if process is None:
            return
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
