"""The batch script of one training job: what it asks Slurm for, and how it begins to train."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path

from openai_local.runners.local import ENVIRONMENT
from openai_local.runners.site import Site

LOCK_SECONDS = 120
"""How long a job waits for another process at the same job: one on a computer that broke down, whose lock the
file server still holds."""

_KEPT = (
    *("PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "TZ", "LD_LIBRARY_PATH", "BASH_ENV", "BASH_FUNC_"),
    *("LC_", "MODULE", "LMOD_", "_LM", "__LMOD", "LOADEDMODULES", "CONDA_", "MAMBA_", "VIRTUAL_ENV"),
    *("SLURM_CONF", "SLURM_JWT", "OPENAI_LOCAL_CACHE"),
)
"""Variables that a job gets from the service, or how they begin."""


def script(folder: Path, site: Site) -> str:
    """The script's text. There is nothing secret in it.

    When the time is over, or the job must make way for another, Slurm sends SIGTERM, and half a minute later
    SIGKILL. ``exec`` puts the training process in the place of the shell, so that it gets the first one itself.

    Args:
        folder: the job's directory.
        site: what to ask for.
    """
    parts = ["\n".join(_head(site))]
    if site.modules or site.setup:
        loads = (f"module load {shlex.quote(name)}" for name in site.modules)
        parts.append("\n".join(["# What this cluster needs first", *loads, *site.setup]))
    exports = [f"export {name}={value}" for name, value in ENVIRONMENT.items()]
    parts.append("\n".join(["umask 077", "export OMP_NUM_THREADS=$SLURM_CPUS_PER_TASK", *exports]))
    words = [site.python, "-P", "-m", "openai_local.training", str(folder), str(LOCK_SECONDS)]
    parts.append(f"exec {shlex.join(words)}")
    return "\n\n".join(parts) + "\n"


def _head(site: Site) -> Iterator[str]:
    yield "#!/bin/bash -l"
    asked = {
        "partition": site.partition,
        "account": site.account,
        "qos": site.qos,
        "reservation": site.reservation,
        "time": site.time,
        "cpus-per-task": site.cores,
        "mem": site.memory,
        "gres": f"gpu:{site.gpus}" if site.gpus else "",
        "output": "train.log",
        "open-mode": "append",
    }
    yield from (f"#SBATCH --{name}={value}" for name, value in asked.items() if value)
    yield "#SBATCH --nodes=1"
    yield "#SBATCH --ntasks=1"
    yield "#SBATCH --requeue"


def environment(ours: Mapping[str, str] = os.environ) -> dict[str, str]:
    """What a job gets of the service's variables: where programs are, no keys.

    Slurm keeps a job's variables on its disk. And where the service itself runs in a Slurm job, that job's own
    variables would be taken for wishes.
    """
    return {name: value for name, value in ours.items() if name.startswith(_KEPT)}
