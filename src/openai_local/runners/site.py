"""What a cluster is like, from one small file that its site writes: ``site.toml``.

Clusters differ in names: of queues, accounts, modules. The "HPC Intro" lesson keeps those of each cluster in one
file, and so do we. ``docs/site.toml`` is one to start from. What is written there goes into a batch script, so
each word is checked first: it must be what it says, and must not be able to leave its line.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from openai_local.errors import LocalError

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.,:+@-]*")
_MEMORY = re.compile(r"[1-9]\d*[KMGT]?")
_TIME = re.compile(r"(\d+-)?\d+(:\d+){0,2}")
_GPUS = re.compile(r"([A-Za-z0-9_.-]+:)?[1-9]\d*")
_LINE = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f\u0085\u2028\u2029]+")


@dataclass(frozen=True)
class Site:
    """What each training job asks Slurm for. An empty text leaves it to the cluster.

    Attributes:
        partition: in which of the cluster's queues it waits.
        account: whom the cluster charges.
        qos: a "quality of service", where the site has such.
        reservation: computers that are kept free for the class.
        time: how long it may take at most, as Slurm writes it: hours:minutes:seconds, and other forms.
        cores: how many processor cores.
        memory: how much memory, such as ``4G``.
        gpus: graphics cards, such as ``1`` or ``a100:1``.
        modules: what ``module load`` shall load, one after the other.
        setup: lines of shell that come then, such as ``conda activate openai``.
        python: the Python that has this package.
        at_once: how many jobs Slurm is given at a time; more wait in the service's own queue.
    """

    partition: str = ""
    account: str = ""
    qos: str = ""
    reservation: str = ""
    time: str = "1:00:00"
    cores: int = 4
    memory: str = "4G"
    gpus: str = ""
    modules: tuple[str, ...] = ()
    setup: tuple[str, ...] = ()
    python: str = sys.executable
    at_once: int = 100


def read_site(path: Path) -> Site:
    """The site that a file describes. All words may be left out.

    Raises:
        LocalError: there is no such file, or it says something that can't be used; the message names the word.
    """
    try:
        said = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        example = "docs/site.toml is one to start from."
        raise LocalError(f"The site's file {path} can't be read: {error.strerror}. {example}") from None
    except ValueError as error:  # no TOML, or no UTF-8
        raise LocalError(f"The site's file {path} is no TOML: {error}. Texts stand in quotes.") from None
    known = [field.name for field in fields(Site)]
    for word, value in said.items():
        if word not in known:
            raise LocalError(f"{path} has a word that is not known: {word}. There are {', '.join(known)}.")
        if not _CHECKS[word][0](value):
            raise LocalError(f"{path}: {word} = {_shown(value)} is {_CHECKS[word][1]}")
    return Site(**{word: _kept(word, value) for word, value in said.items()})


def _kept(word: str, value: Any) -> Any:
    if isinstance(value, list):
        return tuple(value)
    if word == "python":
        return str(Path(value).expanduser()) if value.startswith("~") else value
    return str(value) if word == "gpus" else value


def _shown(value: Any) -> str:
    return repr(value) if len(repr(value)) < 80 else f"{repr(value)[:80]}…"


def _is(form: re.Pattern[str]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, str) and form.fullmatch(value) is not None


def _is_name(value: Any) -> bool:
    return value == "" or _is(_NAME)(value)


def _is_time(value: Any) -> bool:
    return _is(_TIME)(value) and value.strip("0-:") != ""


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _is_gpus(value: Any) -> bool:
    return value == "" or _is_count(value) or _is(_GPUS)(value)


def _are_lines(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is(_LINE), value))


_NO_NAME = "no name. It is a text of letters, digits and - _ . , : + @ only."
_NO_COUNT = "no number. Write a whole number above zero, without quotes."
_CHECKS: dict[str, tuple[Callable[[Any], bool], str]] = {
    **dict.fromkeys(("partition", "account", "qos", "reservation"), (_is_name, _NO_NAME)),
    "time": (_is_time, 'no time limit. One hour is  time = "1:00:00"'),
    "cores": (_is_count, _NO_COUNT),
    "memory": (_is(_MEMORY), 'no amount of memory. Four gigabytes are  memory = "4G"'),
    "gpus": (_is_gpus, 'no number of graphics cards. Write  gpus = 1  or, with their kind,  gpus = "a100:1"'),
    "modules": (_are_lines, 'no list of modules. Write  modules = ["python/3.12"]'),
    "setup": (_are_lines, 'no list of lines. Write each line by itself:  setup = ["conda activate openai"]'),
    "python": (_is(_LINE), 'no program. Write its path, such as  python = "/home/you/.venv/bin/python"'),
    "at_once": (_is_count, _NO_COUNT),
}
"""For each word: whether a value is right, and what is wrong with it otherwise."""
