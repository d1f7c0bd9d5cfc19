"""One line of the doctor: how something is, and the command that mends it, as it is typed on this machine.

A command depends on where this Python lives (a venv, a conda environment or neither) and on the system. A program
of the environment is named by its word alone if the environment is activated, and with its path if not, so that
it can be copied into any terminal. Paths are written with ``~`` for the user's own folder, where the shell
understands that.
"""

import os
import shlex
import shutil
import sys
import sysconfig
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Literal

from openai_command import CHECKOUT, shipped
from openai_data.errors import LessonError


class State(StrEnum):
    """How something is. Only `WRONG` keeps the lesson from working."""

    OK = "OK"
    WARNING = "WARNING"
    WRONG = "WRONG"


@dataclass(frozen=True)
class Finding:
    """A state, a sentence or two, and a command for a terminal (empty: nothing to mend)."""

    state: State
    text: str
    mend: str = ""

    def __str__(self) -> str:
        """As it is printed, in a terminal and in a notebook."""
        mend = f"\n{'':<7}  Mend it:  {self.mend}" if self.mend else ""
        return f"{self.state:<7}  {self.text}{mend}"


ok, warning, wrong = (partial(Finding, state) for state in State)
"""All is well; it may go wrong, or will be slow; the lesson will not work so."""

WINDOWS = sys.platform == "win32"


def kind() -> Literal["venv", "conda", "none"]:
    """Which kind of environment this Python belongs to."""
    if (Path(sys.prefix) / "conda-meta").is_dir():
        return "conda"
    return "venv" if sys.prefix != sys.base_prefix else "none"


def name() -> str:
    """What the environment is called."""
    is_base = kind() == "conda" and (Path(sys.prefix) / "condabin").is_dir()
    return "base" if is_base else Path(sys.prefix).name


def activated() -> bool:
    """Whether the terminal finds this environment's commands by their words alone."""
    variable = {"venv": "VIRTUAL_ENV", "conda": "CONDA_PREFIX"}.get(kind())
    if variable:
        return bool(os.environ.get(variable)) and same(Path(os.environ[variable]), Path(sys.prefix))
    found = shutil.which("python")
    return found is not None and same(Path(found), Path(sys.executable))


def same(one: Path, other: Path) -> bool:
    """Whether two paths mean the same place, links followed."""
    return os.path.normcase(one.resolve()) == os.path.normcase(other.resolve())


def shown(path: Path) -> str:
    """A path as a person reads it."""
    home = Path.home()
    return str(Path("~") / path.relative_to(home)) if path.is_relative_to(home) and path != home else str(path)


def quoted(path: Path) -> str:
    """A path as it is typed in a terminal."""
    if WINDOWS:
        return f'"{path}"' if " " in str(path) else str(path)
    text = shown(path)
    return f"~/{shlex.quote(text[2:])}" if text.startswith("~/") else shlex.quote(text)


def scripts() -> Path:
    """The folder with this environment's commands."""
    return Path(sysconfig.get_path("scripts"))


def program(word: str) -> str:
    """A command of this environment."""
    return word if activated() else quoted(scripts() / (f"{word}.exe" if WINDOWS else word))


def python() -> str:
    """This Python."""
    return "python" if activated() else quoted(Path(sys.executable))


def activate() -> str:
    """The command that activates this environment."""
    if kind() == "conda":
        among_others = Path(sys.prefix).parent.name == "envs" or name() == "base"
        return f"conda activate {name() if among_others else quoted(Path(sys.prefix))}"
    if kind() == "venv":
        return quoted(scripts() / "activate") if WINDOWS else f"source {quoted(scripts() / 'activate')}"
    return new_environment()


def new_environment() -> str:
    """The command that makes an environment for the lesson."""
    if kind() == "conda":
        return "conda env create -f environment.yml"
    return "py -3.12 -m venv .venv" if WINDOWS else "python3.12 -m venv .venv"


def constraints() -> Path | None:
    """The file with the versions that were tried, if it is here."""
    with suppress(LessonError):
        return shipped("The versions that were tried", "constraints.txt", "openai-lesson/constraints.txt")
    return None


def install(*requirements: str) -> str:
    """The command that installs packages here, in the versions that were tried, if those are known."""
    if kind() == "conda" and (recipe := CHECKOUT / "environment.yml").is_file():
        return f"conda env update -p {quoted(Path(sys.prefix))} -f {quoted(recipe)}"
    constraint = f"-c {quoted(pins)} " if (pins := constraints()) else ""
    words = " ".join(f'"{requirement}"' for requirement in requirements)
    return f"{python()} -m pip install {constraint}{words}"


def set_variable(variable: str, value: str) -> str:
    """The command that sets an environment variable (on Windows for terminals that are opened later)."""
    return f'setx {variable} "{value}"' if WINDOWS else f"export {variable}={value}"
