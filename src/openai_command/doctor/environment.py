"""Python itself, its environment, the Jupyter that goes with it, and the packages that the lesson needs.

What is needed stands in the package's own metadata. The versions that ``make`` installs stand in
``constraints.txt``.
"""

import os
import platform
import shutil
import struct
import sys
from importlib.metadata import PackageNotFoundError, metadata, requires, version
from pathlib import Path

import psutil
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from openai_command.doctor import remedies
from openai_command.doctor.remedies import Finding, ok, warning, wrong


def interpreter() -> Finding:
    """Its version and its word size."""
    found, bits = platform.python_version(), struct.calcsize("P") * 8
    wanted = metadata("openai-lesson")["Requires-Python"] or ">=3"
    if not SpecifierSet(wanted).contains(found, prereleases=True):
        return wrong(f"Python {found} is too old: the lesson needs {wanted}.", remedies.new_environment())
    if bits != 64:
        said = f"This Python {found} is a {bits}-bit program. PyTorch needs one of 64 bits."
        return wrong(said, remedies.new_environment())
    return ok(f"Python {found}, 64-bit, {platform.system()} on {platform.machine()}.")


def environment() -> Finding:
    """Which environment this is, and whether Jupyter runs in it."""
    kind = {"conda": "conda environment", "venv": "virtual environment"}.get(remedies.kind())
    here = f"the {kind} {remedies.name()!r}" if kind else "no environment, but a Python for everything"
    jupyter = serving_jupyter()
    if jupyter is None:
        return warning(
            f"This is {here}. This terminal finds no command jupyter, for the environment is not activated.",
            remedies.activate(),
        )
    if not belongs_here(jupyter):
        where = remedies.shown(jupyter.parent)
        if in_kernel():
            return ok(f"This is {here}. Jupyter itself runs in another one ({where}).")
        return warning(
            f"This is {here}. But the command jupyter of this terminal is another one's ({where}).",
            remedies.activate(),
        )
    if not kind:
        return warning(f"This is {here}. One for the lesson alone is safer.", remedies.new_environment())
    return ok(f"This is {here}. Jupyter runs in it.")


def in_kernel() -> bool:
    """Whether this runs in a notebook: in its kernel, or in a program that the kernel started."""
    return bool(os.environ.get("JPY_PARENT_PID"))


def serving_jupyter() -> Path | None:
    """The program of the Jupyter that a learner works with.

    In a notebook that is the one that started the kernel, in a terminal the `jupyter` on the PATH.
    """
    if in_kernel() and (behind := _behind_kernel()):
        return behind
    found = shutil.which("jupyter")
    return Path(found) if found else None


def belongs_here(program: Path) -> bool:
    """Whether a program is this environment's."""
    here = (Path(sys.executable).parent, remedies.scripts())
    return any(remedies.same(program.parent, folder) for folder in here)


def _behind_kernel() -> Path | None:
    """The program that started the kernel: the first, going up, whose environment lacks the kernel's mark.

    The kernel hands the mark (`JPY_PARENT_PID`) to whatever it starts: to this process, and to a shell in between.
    The first word of a command line keeps the environment's path; what `psutil` calls `exe` need not.
    """
    mark = os.environ["JPY_PARENT_PID"]
    try:
        above = psutil.Process().parents()
        words: list[str] = next((up.cmdline() for up in above if up.environ().get("JPY_PARENT_PID") != mark), [])
    except psutil.Error:
        return None
    return Path(words[0]) if words and Path(words[0]).is_absolute() else None


def packages() -> list[Finding]:
    """A line for each package that is missing or too old, or one for all."""
    tried, bad, others = pins(), [], {}
    for requirement in needed():
        name, found = requirement.name, installed(requirement.name)
        pinned = tried.get(canonicalize_name(name))
        if found is None or not requirement.specifier.contains(found, prereleases=True):
            old = f"{name} {found} is here, but the lesson needs {requirement.specifier}."
            said = old if found else f"The package {name} is missing."
            bad.append(wrong(said, remedies.install(str(requirement))))
        elif pinned and Version(found).public != Version(pinned).public:  # ``2.13.0+cpu`` is no other version
            others[f"{name}=={pinned}"] = f"{name} {found} (tried: {pinned})"
    if bad:
        return bad
    all_here = f"All {len(needed())} packages that the lesson needs are here"
    if not others:
        return [ok(f"{all_here}, in the versions that it was tried with." if tried else f"{all_here}.")]
    differing = f"{all_here}, but not all in the versions that it was tried with: {', '.join(others.values())}."
    if remedies.kind() == "conda":  # conda chooses for itself; nothing is wrong with that
        return [ok(differing)]
    return [warning(differing, remedies.install(*others))]


def needed() -> list[Requirement]:
    """What the package asks for on this system, without extras."""
    listed = [Requirement(text) for text in requires("openai-lesson") or []]
    return [r for r in listed if r.marker is None or r.marker.evaluate({"extra": ""})]


def installed(name: str) -> str | None:
    """The version of a package, or None."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def pins() -> dict[str, str]:
    """The versions that the lesson was tried with, by name; none if the file is not here."""
    if (file := remedies.constraints()) is None:
        return {}
    pairs = (line.split("==") for line in file.read_text(encoding="utf-8").splitlines() if "==" in line)
    return {canonicalize_name(name): pinned.strip() for name, pinned in pairs}
