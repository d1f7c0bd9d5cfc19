"""One line of the doctor: how something is, and the command that mends it, as it is typed on this machine.

A command depends on where this Python lives (a venv, a conda environment or neither) and on the system. A program
of the environment is named by its word alone if the environment is activated, and with its path if not, so that
it can be copied into any terminal. Paths are written with ``~`` for the user's own folder, where the shell
understands that.
"""

from __future__ import annotations

import os
import shlex
import shutil
import sys
import sysconfig
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Literal


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


def ok(text: str) -> Finding:
    """All is well."""
    return Finding(State.OK, text)


def warning(text: str, mend: str = "") -> Finding:
    """It may go wrong, or will be slow."""
    return Finding(State.WARNING, text, mend)


def wrong(text: str, mend: str = "") -> Finding:
    """The lesson will not work so."""
    return Finding(State.WRONG, text, mend)


WINDOWS = sys.platform == "win32"
CHECKOUT = Path(__file__).parents[3]
"""The folder with pyproject.toml, if the package was installed with ``pip install -e``."""


def kind() -> Literal["venv", "conda", "none"]:
    """Which kind of environment this Python belongs to."""
    if (Path(sys.prefix) / "conda-meta").is_dir():
        return "conda"
    return "venv" if sys.prefix != sys.base_prefix else "none"


def environment_name() -> str:
    """What the environment is called."""
    if kind() == "conda" and (Path(sys.prefix) / "condabin").is_dir():
        return "base"
    return Path(sys.prefix).name


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
        name = environment_name()
        among_others = Path(sys.prefix).parent.name == "envs" or name == "base"
        return f"conda activate {name if among_others else quoted(Path(sys.prefix))}"
    if kind() == "venv":
        return quoted(scripts() / "activate") if WINDOWS else f"source {quoted(scripts() / 'activate')}"
    return new_environment()


def new_environment() -> str:
    """The command that makes an environment for the lesson."""
    if kind() == "conda":
        return "conda env create -f environment.yml"
    return "py -3.12 -m venv .venv" if WINDOWS else "python3.12 -m venv .venv"


def constraints() -> Path | None:
    """The file with the versions that were tried: in a checkout, or installed next to the notebooks."""
    share = Path(sysconfig.get_path("data")) / "share" / "openai-lesson"
    files = (folder / "constraints.txt" for folder in (CHECKOUT, share))
    return next((file for file in files if file.is_file()), None)


def install(*requirements: str) -> str:
    """The command that installs packages here, in the versions that were tried, if those are known."""
    if kind() == "conda" and (recipe := CHECKOUT / "environment.yml").is_file():
        return f"conda env update -p {quoted(Path(sys.prefix))} -f {quoted(recipe)}"
    constraint = f"-c {quoted(pins)} " if (pins := constraints()) else ""
    words = " ".join(f'"{requirement}"' for requirement in requirements)
    return f"{python()} -m pip install {constraint}{words}"


def install_again(package: str) -> str:
    """The command that installs one package anew."""
    if kind() == "conda" and package == "torch":
        return f"conda install -p {quoted(Path(sys.prefix))} -c conda-forge --force-reinstall pytorch"
    return f"{python()} -m pip install --force-reinstall --no-deps {package}"


def set_variable(variable: str, value: str) -> str:
    """The command that sets an environment variable (on Windows for terminals that are opened later)."""
    return f'setx {variable} "{value}"' if WINDOWS else f"export {variable}={value}"


def forget_variable(variable: str) -> str:
    """The command that takes an environment variable away."""
    return f'setx {variable} ""' if WINDOWS else f"unset {variable}"


def delete(file: Path) -> str:
    """The command that deletes a file."""
    return f"{'del' if WINDOWS else 'rm'} {quoted(file)}"


def make_writable(folder: Path) -> str:
    """The command that lets the user write to a folder of theirs."""
    if WINDOWS:
        return f'icacls {quoted(folder)} /grant "%USERNAME%":(OI)(CI)F'
    return f"chmod u+rwx {quoted(folder)}"
