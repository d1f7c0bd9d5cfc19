"""The packages that the lesson needs, next to the versions that it was tried with.

What is needed stands in the package's own metadata. The versions that ``make`` installs stand in
``constraints.txt``.
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, requires, version

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from openai_command.doctor import place
from openai_command.doctor.line import Line, ok, warning, wrong


def versions() -> list[Line]:
    """A line for each package that is missing or too old, and one for all others."""
    lines = [line for requirement in needed() if (line := _unmet(requirement))]
    return lines or [_beside_pins()]


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
    if (file := place.constraints()) is None:
        return {}
    pairs = (line.split("==") for line in file.read_text(encoding="utf-8").splitlines() if "==" in line)
    return {canonicalize_name(name): pinned.strip() for name, pinned in pairs}


def _unmet(requirement: Requirement) -> Line | None:
    found = installed(requirement.name)
    if found is None:
        return wrong(f"The package {requirement.name} is missing.", place.install(str(requirement)))
    if not requirement.specifier.contains(found, prereleases=True):
        said = f"{requirement.name} {found} is here, but the lesson needs {requirement.specifier}."
        return wrong(said, place.install(str(requirement)))
    return None


def _beside_pins() -> Line:
    tried, names = pins(), [requirement.name for requirement in needed()]
    others = [
        f"{name} {found} (tried: {pinned})"
        for name in names
        if (pinned := tried.get(canonicalize_name(name))) and (found := installed(name)) and _differ(found, pinned)
    ]
    all_here = f"All {len(names)} packages that the lesson needs are here"
    if not others:
        return ok(f"{all_here}, in the versions that it was tried with." if tried else f"{all_here}.")
    differing = f"{all_here}, but not all in the versions that it was tried with: {', '.join(others)}."
    if place.kind() == "conda":  # conda chooses for itself; nothing is wrong with that
        return ok(differing)
    exactly = [f"{name}=={tried[canonicalize_name(name)]}" for name in (other.split()[0] for other in others)]
    return warning(differing, place.install(*exactly))


def _differ(found: str, pinned: str) -> bool:
    """A local part, as in ``2.13.0+cpu``, makes no other version."""
    return Version(found).public != Version(pinned).public
