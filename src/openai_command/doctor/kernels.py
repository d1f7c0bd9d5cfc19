"""The kernelspec "openai" that Jupyter will really use, what hides it, and kernelspecs that can't start.

Jupyter looks for kernelspecs in several places and takes the first of a name: that of ``JUPYTER_PATH``, then the
environment's or the user's own (which of the two comes first depends on how Jupyter was installed), then the
system's. So Jupyter itself is asked. Where a learner works with the Jupyter of another environment, that one is.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from jupyter_client.kernelspec import KernelSpecManager
from jupyter_core.paths import jupyter_path

from openai_command.doctor import remedies
from openai_command.doctor.environment import belongs_here, serving_jupyter
from openai_command.doctor.remedies import Finding, ok, shown, warning, wrong
from openai_command.kernelspec import EARLIER_MODULE, NAME, Kernelspec

_STOCK = "a stock Python kernel, as `ipykernel install --name openai` of 2022 makes it"
_EARLIER = "is from an older version of the lesson, and does not start any more"


def kernels() -> list[Finding]:
    """The kernelspec "openai", then those that are hidden or dead."""
    found = visible()
    winner = found.pop(NAME, None)
    hidden = [spec for spec in everywhere() if winner is None or not remedies.same(spec.folder, winner.folder)]
    return [_winner(winner), *filter(None, map(_hidden, hidden)), *_dead(found)]


def visible() -> dict[str, Kernelspec]:
    """The kernelspecs that Jupyter offers, by name."""
    if other := _other_jupyter():
        words = [str(other), "kernelspec", "list", "--json"]
        done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=True)
        listed = json.loads(done.stdout)["kernelspecs"].items()
        return {name: Kernelspec(Path(it["resource_dir"]), tuple(it["spec"]["argv"])) for name, it in listed}
    found = {name: Path(folder) for name, folder in KernelSpecManager().find_kernel_specs().items()}
    # Jupyter makes up the kernel "python3" of its own Python where there is no file for it.
    return {name: Kernelspec.read(folder) for name, folder in found.items() if (folder / "kernel.json").is_file()}


def everywhere() -> list[Kernelspec]:
    """All kernelspecs "openai" in the places that this environment's Jupyter knows, the first of them first."""
    folders = (Path(folder) / NAME for folder in jupyter_path("kernels"))
    return [Kernelspec.read(folder) for folder in folders if (folder / "kernel.json").is_file()]


def _other_jupyter() -> str | None:
    """The command `jupyter` of another environment, if a learner works with that."""
    found = serving_jupyter()
    if found is None or belongs_here(found):
        return None
    beside = (found.parent, found.parent / "Scripts")  # in a notebook it was found by its Python
    return shutil.which("jupyter", path=os.pathsep.join(map(str, beside)))


def _winner(spec: Kernelspec | None) -> Finding:
    """How it is with the kernelspec that Jupyter takes."""
    elsewhere = _other_jupyter() is not None
    if spec is None:
        install = f"{remedies.program('openai-lesson')} kernel install {'--user' if elsewhere else '--sys-prefix'}"
        return wrong('Jupyter knows no kernel "OpenAI".', install)
    where = shown(spec.folder)
    if not spec.ours:
        what = _STOCK if spec.stock else "another kernel"
        mend = _mend("install" if spec.folder.is_relative_to(sys.prefix) else "remove", spec)
        return wrong(f'Jupyter takes the kernel "openai" from {where}. That is {what}, and hides ours.', mend)
    kernel, python, again = f'The kernel "OpenAI" in {where}', shown(Path(spec.argv[0])), _mend("install", spec)
    if spec.gone:
        return wrong(f"{kernel} starts a Python that is gone ({python}).", again)
    if elsewhere and not spec.python:
        return wrong(f"{kernel} starts the wrong Python, that of Jupyter.", again)
    if not _starts_here(spec):
        return warning(f"{kernel} starts the Python of another environment ({python}).", again)
    if EARLIER_MODULE in spec.argv:
        return wrong(f"{kernel} {_EARLIER}.", again)
    return ok('Jupyter takes the kernel "OpenAI" of this environment.')


def _hidden(spec: Kernelspec) -> Finding | None:
    """A kernelspec "openai" that this environment's Jupyter does not take, but another one may."""
    if EARLIER_MODULE in spec.argv and _starts_here(spec):
        what, action = f"which {_EARLIER}", "install"
    elif spec.gone or not spec.ours:
        what, action = "one whose Python is gone" if spec.gone else "which is not the lesson's", "remove"
    else:
        return None
    said = f'There is a second kernel "openai" in {shown(spec.folder)}, {what}. Another Jupyter may take it.'
    return warning(said, _mend(action, spec))


def _dead(specs: dict[str, Kernelspec]) -> Iterator[Finding]:
    """The kernels of other names that can't start."""
    for name, spec in specs.items():
        if spec.argv and not spec.gone:
            continue
        why = f"starts a Python that is gone ({shown(Path(spec.argv[0]))})" if spec.gone else "can't be read"
        mend = f"{remedies.program('jupyter')} kernelspec remove -f {name}"
        yield warning(f"The kernel {name!r} in {shown(spec.folder)} {why}.", mend)


def _starts_here(spec: Kernelspec) -> bool:
    """Whether it starts this Python. Links are not followed: two environments may have links to the same one."""
    return spec.python is None or remedies.same(spec.python.parent, Path(sys.executable).parent)


def _mend(action: str, spec: Kernelspec) -> str:
    """The command that installs a kernelspec anew where it is, or takes it away."""
    if remedies.same(spec.folder.parent, Path(KernelSpecManager().user_kernel_dir)):
        where = "--user"
    elif spec.folder.is_relative_to(sys.prefix):
        where = "--sys-prefix"
    else:
        where = f"--prefix {remedies.quoted(spec.folder.parents[3])}"
    return f"{remedies.program('openai-lesson')} kernel {action} {where}"
