"""A Slurm of one computer, this one, for tests: its two programs, run from a temporary folder."""

import contextlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

PROGRAMS = ("slurmctld", "slurmd", "sbatch", "sinfo", "squeue", "scontrol", "scancel")
PACKAGES = "slurmctld slurmd slurm-client slurm-wlm-basic-plugins"
SETTINGS = """\
ClusterName=lesson
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/none
AuthInfo=cred_expire=5
CredType=cred/none
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
MpiDefault=none
SlurmdParameters=config_overrides
SchedulerParameters=batch_sched_delay=0,sched_interval=1,sched_min_interval=10000
ReturnToService=2
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
NodeName={host} NodeAddr=127.0.0.1 CPUs=4 RealMemory=8000
PartitionName=debug Nodes={host} Default=YES MaxTime=INFINITE State=UP
PartitionName=short Nodes={host} MaxTime=5 State=UP
"""


def missing() -> str:
    """Why there can be no Slurm here; empty if there can."""
    where = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin"])
    lacking = [name for name in PROGRAMS if not shutil.which(name, path=where)]
    if lacking:
        return f"Slurm is not installed ({', '.join(lacking)}). On Debian:  apt-get install {PACKAGES}"
    return "" if os.geteuid() == 0 else "only root can start this Slurm"


@contextlib.contextmanager
def or_skip(folder: Path, more: str = "") -> Iterator[Path]:
    """As `slurm`, but skips the tests, with the reason, where there can be none."""
    if why := missing():
        pytest.skip(why)
    try:
        with slurm(folder, more) as settings:
            yield settings
    except TimeoutError as error:
        pytest.skip(str(error))


def ask(*command: str) -> str:
    """What a command prints."""
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def wait_for(what: Callable[[], Any], seconds: float = 90) -> Any:
    """Wait until something is true. Returns it; if it does not come to that, the test fails with Slurm's view."""
    deadline = time.monotonic() + seconds
    while not (found := what()):
        if time.monotonic() > deadline:
            pytest.fail(f"It did not come to that. Slurm's jobs: {ask('scontrol', '--oneliner', 'show', 'job')}")
        time.sleep(0.1)
    return found


@contextlib.contextmanager
def slurm(folder: Path, more: str = "") -> Iterator[Path]:
    """Start it, and stop it at the end of the block. Yields its file of settings, for ``SLURM_CONF``.

    Args:
        folder: where its files may lie.
        more: more lines of settings; ``{host}`` stands for the one computer.

    Raises:
        TimeoutError: it does not become ready; the message holds what it said.
    """
    for name in ("state", "spool"):
        (folder / name).mkdir(parents=True)
    settings = folder / "slurm.conf"
    host = socket.gethostname().split(".")[0]
    text = (SETTINGS + more).format(host=host, folder=folder, ports=_free_ports(2))
    settings.write_text(text)
    path = os.pathsep.join([os.environ["PATH"], "/usr/sbin"])
    environment = {**os.environ, "SLURM_CONF": str(settings), "PATH": path}
    programs = []
    try:
        with (folder / "said.txt").open("wb") as said:
            for name in ("slurmctld", "slurmd"):
                words = [shutil.which(name, path=path) or name, "-D"]
                programs.append(subprocess.Popen(words, env=environment, stdout=said, stderr=said))
        _wait(environment, folder)
        yield settings
    finally:
        subprocess.run(["scancel", "--user=root"], env=environment, capture_output=True)
        for program in reversed(programs):
            program.terminate()
        for program in programs:
            try:
                program.wait(timeout=20)
            except subprocess.TimeoutExpired:
                program.kill()
                program.wait()


def _wait(environment: dict[str, str], folder: Path) -> None:
    deadline = time.monotonic() + 40
    while time.monotonic() < deadline:
        done = subprocess.run(["sinfo", "-h", "-o", "%T"], env=environment, capture_output=True, text=True)
        if "idle" in done.stdout:
            return
        time.sleep(0.3)
    raise TimeoutError(f"Slurm did not become ready. It said: {(folder / 'said.txt').read_text()[-2000:]}")


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
