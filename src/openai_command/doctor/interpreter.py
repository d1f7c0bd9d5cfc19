"""Python itself, its environment, and the Jupyter that goes with it."""

from __future__ import annotations

import os
import platform
import shutil
import struct
import sys
from importlib.metadata import metadata
from pathlib import Path

import psutil
from packaging.specifiers import SpecifierSet

from openai_command.doctor import place
from openai_command.doctor.line import Line, ok, warning, wrong


def interpreter() -> Line:
    """Its version and its word size."""
    version, bits = platform.python_version(), struct.calcsize("P") * 8
    wanted = metadata("openai-lesson")["Requires-Python"] or ">=3"
    if not SpecifierSet(wanted).contains(version, prereleases=True):
        return wrong(f"Python {version} is too old: the lesson needs {wanted}.", place.new_environment())
    if bits != 64:
        return wrong(
            f"This Python {version} is a {bits}-bit program. PyTorch needs one of 64 bits.",
            place.new_environment(),
        )
    return ok(f"Python {version}, 64-bit, {platform.system()} on {platform.machine()}.")


def environment() -> Line:
    """Which environment this is, and whether Jupyter runs in it."""
    here = _in_words()
    jupyter = serving_jupyter()
    if jupyter is None:
        return warning(
            f"This is {here}. This terminal finds no command jupyter, for the environment is not activated.",
            place.activate(),
        )
    if not belongs_here(jupyter):
        where = place.shown(jupyter.parent)
        if in_kernel():
            return ok(f"This is {here}. Jupyter itself runs in another one ({where}).")
        return warning(
            f"This is {here}. But the command jupyter of this terminal is another one's ({where}).",
            place.activate(),
        )
    if place.kind() == "none":
        return warning(f"This is {here}. One for the lesson alone is safer.", place.new_environment())
    return ok(f"This is {here}. Jupyter runs in it.")


def _in_words() -> str:
    kind = place.kind()
    if kind == "none":
        return "no environment, but a Python for everything"
    return f"the {'conda environment' if kind == 'conda' else 'virtual environment'} {place.name()!r}"


def in_kernel() -> bool:
    """Whether Jupyter started this process."""
    return bool(os.environ.get("JPY_PARENT_PID"))


def serving_jupyter() -> Path | None:
    """The Jupyter that a learner works with: in a notebook the one behind it, in a terminal that of the PATH."""
    if in_kernel() and (parent := _parent()):
        return parent
    found = shutil.which("jupyter")
    return Path(found) if found else None


def belongs_here(program: Path) -> bool:
    """Whether a program is this environment's."""
    return place.same(program.parent, Path(sys.executable).parent) or place.same(program.parent, place.scripts())


def _parent() -> Path | None:
    """The program that started this process. Its first word keeps the environment's path, its `exe` need not."""
    try:
        parent = psutil.Process().parent()
        words = parent.cmdline() if parent else []
    except psutil.Error:
        return None
    return Path(words[0]) if words and Path(words[0]).is_absolute() else None
