"""What a cluster is like, from one small file of its site (``site.toml``), and the batch script of a job there.

Clusters differ in names: of queues, accounts, modules. The "HPC Intro" lesson keeps those of each cluster in one
file, and so do we. ``docs/site.toml`` is one to start from. What is written there goes into a batch script, so
each word is checked first: it must be what it says, and must not be able to leave its line.
"""

import os
import re
import shlex
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openai_local.errors import LocalError
from openai_local.runners.local import ENVIRONMENT

LOCK_SECONDS = 120
"""How long a job waits for another process at the same job: one on a computer that broke down, whose lock the
file server still holds."""
_KEPT = (
    *("PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "TZ", "LD_LIBRARY_PATH", "BASH_ENV", "BASH_FUNC_"),
    *("LC_", "MODULE", "LMOD_", "_LM", "__LMOD", "LOADEDMODULES", "CONDA_", "MAMBA_", "VIRTUAL_ENV"),
    *("SLURM_CONF", "SLURM_JWT", "OPENAI_LOCAL_CACHE"),
)
"""Variables that a job gets from the service, or how they begin."""


@dataclass(frozen=True)
class Site:
    """What each training job asks Slurm for. An empty text leaves it to the cluster."""

    partition: str = ""  # in which of the cluster's queues it waits
    account: str = ""  # whom the cluster charges
    qos: str = ""  # a "quality of service", where the site has such
    reservation: str = ""  # computers that are kept free for the class
    time: str = "1:00:00"  # how long it may take at most: hours:minutes:seconds, and other forms of Slurm's
    cores: int = 4  # of processors
    memory: str = "4G"
    gpus: str = ""  # graphics cards, such as ``1`` or ``a100:1``
    modules: tuple[str, ...] = ()  # what ``module load`` shall load, one after the other
    setup: tuple[str, ...] = ()  # lines of shell that come then, such as ``conda activate openai``
    python: str = sys.executable  # the Python that has this package
    at_once: int = 100  # how many jobs Slurm is given at a time; more wait in the service's own queue


_NAME = r"([A-Za-z0-9_][A-Za-z0-9_.,:+@-]*)?", "no name. It is a text of letters, digits and - _ . , : + @ only."
_COUNT = r"[1-9]\d*", "no number. Write a whole number above zero, without quotes."
_LINE = r"[^\x00-\x08\x0a-\x1f\x7f\u0085\u2028\u2029]+"
_FORMS = {
    **dict.fromkeys(("partition", "account", "qos", "reservation"), _NAME),
    "time": (r"(?=.*[1-9])(\d+-)?\d+(:\d+){0,2}", 'no time limit. One hour is  time = "1:00:00"'),
    "cores": _COUNT,
    "memory": (r"[1-9]\d*[KMGT]?", 'no amount of memory. Four gigabytes are  memory = "4G"'),
    "gpus": (
        r"(([A-Za-z0-9_.-]+:)?[1-9]\d*)?",
        'no number of graphics cards. Write  gpus = 1  or, with their kind,  gpus = "a100:1"',
    ),
    "modules": (_LINE, 'no list of modules. Write  modules = ["python/3.12"]'),
    "setup": (_LINE, 'no list of lines. Write each line by itself:  setup = ["conda activate openai"]'),
    "python": (_LINE, 'no program. Write its path, such as  python = "/home/you/.venv/bin/python"'),
    "at_once": _COUNT,
}
"""For each word: the form of what may be written, or of each line in it; and what is wrong with anything else."""


def read_site(path: Path) -> Site:
    """The site that a file describes; all words may be left out. Raises `LocalError`, which names the word."""
    try:
        said = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        example = "docs/site.toml is one to start from."
        raise LocalError(f"The site's file {path} can't be read: {error.strerror}. {example}") from None
    except ValueError as error:  # no TOML, or no UTF-8
        raise LocalError(f"The site's file {path} is no TOML: {error}. Texts stand in quotes.") from None
    for word, value in said.items():
        if word not in _FORMS:
            raise LocalError(f"{path} has a word that is not known: {word}. There are {', '.join(_FORMS)}.")
        form, wrong = _FORMS[word]
        if not _fits(word, value, form):
            shown = repr(value) if len(repr(value)) < 80 else f"{repr(value)[:80]}…"
            raise LocalError(f"{path}: {word} = {shown} is {wrong}")
        said[word] = tuple(value) if isinstance(value, list) else str(value) if word == "gpus" else value
    if said.get("python", "").startswith("~"):
        said["python"] = str(Path(said["python"]).expanduser())
    return Site(**said)


def _fits(word: str, value: Any, form: str) -> bool:
    default = getattr(Site, word)
    if isinstance(default, tuple):
        return isinstance(value, list) and all(
            isinstance(line, str) and re.fullmatch(form, line) for line in value
        )
    may_be = (str, int) if word == "gpus" else type(default)
    return isinstance(value, may_be) and re.fullmatch(form, str(value)) is not None


def script(folder: Path, site: Site) -> str:
    """The text of the batch script. There is nothing secret in it.

    When the time is over, or the job must make way for another, Slurm sends SIGTERM, and half a minute later
    SIGKILL. ``exec`` puts the training process in the place of the shell, so that it gets the first one itself.
    """
    asked = {
        **{name: getattr(site, name) for name in ("partition", "account", "qos", "reservation", "time")},
        "cpus-per-task": site.cores,
        "mem": site.memory,
        "gres": f"gpu:{site.gpus}" if site.gpus else "",
        "output": "train.log",
        "open-mode": "append",
        "nodes": 1,
        "ntasks": 1,
    }
    lines = [f"#SBATCH --{name}={value}" for name, value in asked.items() if value]
    parts = ["\n".join(["#!/bin/bash -l", *lines, "#SBATCH --requeue"])]
    if site.modules or site.setup:
        loads = (f"module load {shlex.quote(name)}" for name in site.modules)
        parts.append("\n".join(["# What this cluster needs first", *loads, *site.setup]))
    exports = [f"export {name}={value}" for name, value in ENVIRONMENT.items()]
    parts.append("\n".join(["umask 077", "export OMP_NUM_THREADS=$SLURM_CPUS_PER_TASK", *exports]))
    words = [site.python, "-P", "-m", "openai_local.training", str(folder), str(LOCK_SECONDS)]
    parts.append(f"exec {shlex.join(words)}")
    return "\n\n".join(parts) + "\n"


def environment(ours: Mapping[str, str] = os.environ) -> dict[str, str]:
    """What a job gets of the service's variables: where programs are, no keys.

    Slurm keeps a job's variables on its disk. And where the service itself runs in a Slurm job, that job's own
    variables would be taken for wishes.
    """
    return {name: value for name, value in ours.items() if name.startswith(_KEPT)}
