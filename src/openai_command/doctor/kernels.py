"""The kernelspec "openai" that Jupyter will really use, what hides it, and kernelspecs whose Python is gone.

A kernelspec is a folder with a ``kernel.json``. Jupyter looks for them in several places and takes the first of a
name: that of ``JUPYTER_PATH``, then the environment's or the user's own (which of the two comes first depends on
how Jupyter was installed), then the system's. So Jupyter itself is asked. Where the ``jupyter`` of this terminal
is another environment's, that one is asked.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jupyter_client.kernelspec import KernelSpecManager
from jupyter_core.paths import jupyter_path

from openai_command.doctor import place
from openai_command.doctor.interpreter import belongs_here, in_kernel, serving_jupyter
from openai_command.doctor.line import Line, ok, warning, wrong
from openai_command.kernelspec import MODULE, NAME

STOCK = "a stock Python kernel, as `ipykernel install --name openai` of 2022 makes it"


@dataclass(frozen=True)
class Spec:
    """A kernelspec: its name, its folder, and the command that it starts (empty: it can't be read)."""

    name: str
    folder: Path
    argv: tuple[str, ...]

    @property
    def ours(self) -> bool:
        """Whether it starts the lesson's kernel."""
        return MODULE in self.argv

    @property
    def gone(self) -> bool:
        """Whether its program does not exist any more."""
        return bool(self.argv) and Path(self.argv[0]).is_absolute() and not Path(self.argv[0]).exists()

    def remove(self) -> str:
        """The command that takes it away."""
        return f"{place.program('openai-lesson')} kernel remove {_place(self.folder)}"


def kernels() -> list[Line]:
    """The kernelspec "openai", then those that are hidden or dead."""
    found = visible()
    winner = next((spec for spec in found if spec.name == NAME), None)
    hidden = [spec for spec in everywhere() if winner is None or not place.same(spec.folder, winner.folder)]
    lines = [_winner(winner), *(line for spec in hidden if (line := _hidden(spec)))]
    return lines + _others([spec for spec in found if spec.name != NAME])


def visible() -> list[Spec]:
    """The kernelspecs that Jupyter offers."""
    other = _other_jupyter()
    if other is None:
        found = {name: Path(folder) for name, folder in KernelSpecManager().find_kernel_specs().items()}
        # Jupyter makes up the kernel "python3" of its own Python where there is no file for it.
        return [read(name, folder) for name, folder in found.items() if (folder / "kernel.json").is_file()]
    words = [str(other), "kernelspec", "list", "--json"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=True)
    listed: dict[str, Any] = json.loads(done.stdout)["kernelspecs"]
    return [Spec(name, Path(it["resource_dir"]), tuple(it["spec"]["argv"])) for name, it in listed.items()]


def everywhere() -> list[Spec]:
    """All kernelspecs "openai" in the places that this environment's Jupyter knows, the first of them first."""
    folders = (Path(folder) / NAME for folder in jupyter_path("kernels"))
    return [read(NAME, folder) for folder in folders if (folder / "kernel.json").is_file()]


def read(name: str, folder: Path) -> Spec:
    """The kernelspec in a folder."""
    try:
        argv = json.loads((folder / "kernel.json").read_text(encoding="utf-8"))["argv"]
        return Spec(name, folder, tuple(map(str, argv)))
    except (OSError, ValueError, KeyError, TypeError):
        return Spec(name, folder, ())


def _other_jupyter() -> Path | None:
    """The `jupyter` of this terminal if it is another environment's."""
    found = None if in_kernel() else serving_jupyter()
    return found if found and not belongs_here(found) else None


def _winner(spec: Spec | None) -> Line:
    """How it is with the kernelspec that Jupyter takes."""
    install = f"{place.program('openai-lesson')} kernel install"
    elsewhere = _other_jupyter() is not None
    if spec is None:
        return wrong('Jupyter knows no kernel "OpenAI".', f"{install} {'--user' if elsewhere else '--sys-prefix'}")
    where = place.shown(spec.folder)
    if not spec.ours:
        what = STOCK if any("ipykernel" in word for word in spec.argv) else "another kernel"
        mend = f"{install} --sys-prefix" if _is_environments(spec.folder) else spec.remove()
        return wrong(f'Jupyter takes the kernel "openai" from {where}. That is {what}, and hides ours.', mend)
    again = f"{install} {_place(spec.folder)}"
    if spec.gone:
        said = f'The kernel "OpenAI" in {where} starts a Python that is gone ({place.shown(Path(spec.argv[0]))}).'
        return wrong(said, again)
    if elsewhere and not Path(spec.argv[0]).is_absolute():
        return wrong(f'The kernel "OpenAI" in {where} starts the wrong Python, that of Jupyter.', again)
    if Path(spec.argv[0]).is_absolute() and not _this_python(Path(spec.argv[0])):
        python = place.shown(Path(spec.argv[0]))
        return warning(
            f'The kernel "OpenAI" in {where} starts the Python of another environment ({python}).', again
        )
    return ok('Jupyter takes the kernel "OpenAI" of this environment.')


def _hidden(spec: Spec) -> Line | None:
    """A kernelspec "openai" that this environment's Jupyter does not take, but another one may."""
    if spec.ours and not spec.gone:
        return None
    what = "one whose Python is gone" if spec.gone else "which is not the lesson's"
    return warning(
        f'There is a second kernel "openai" in {place.shown(spec.folder)}, {what}. Another Jupyter may take it.',
        spec.remove(),
    )


def _others(specs: list[Spec]) -> list[Line]:
    """The kernels of other names that can't start."""
    lines = []
    for spec in specs:
        if spec.argv and not spec.gone:
            continue
        why = f"starts a Python that is gone ({place.shown(Path(spec.argv[0]))})" if spec.gone else "can't be read"
        mend = f"{place.program('jupyter')} kernelspec remove -f {spec.name}"
        lines.append(warning(f"The kernel {spec.name!r} in {place.shown(spec.folder)} {why}.", mend))
    return lines


def _this_python(program: Path) -> bool:
    """Links are not followed: the Pythons of two environments may be links to the same one."""
    return place.same(program.parent, Path(sys.executable).parent)


def _is_environments(folder: Path) -> bool:
    return folder.is_relative_to(sys.prefix)


def _place(folder: Path) -> str:
    """How `openai-lesson kernel` is told a place."""
    if place.same(folder.parent, Path(KernelSpecManager().user_kernel_dir)):
        return "--user"
    return "--sys-prefix" if _is_environments(folder) else f"--prefix {place.quoted(folder.parents[3])}"
