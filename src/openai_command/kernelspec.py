"""Installing the kernel "OpenAI" where another Jupyter finds it: Navigator's base, a hub, Open OnDemand.

The kernelspec that comes with the package leaves it to Jupyter which Python is started. That is right if Jupyter
runs in the same environment. What is written here names the Python of this environment with its whole path.
"""

from __future__ import annotations

import json
import shutil
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

from jupyter_client.kernelspec import KernelSpecManager

from openai_data.errors import LessonError

NAME = "openai"
MODULE = "openai_kernel"


def install(*, prefix: Path | None = None) -> Path:
    """Write the kernelspec. One of the lesson's, or a stock Python kernel of that name, is replaced.

    Args:
        prefix: it goes to ``share/jupyter/kernels`` below (nothing: to the user's own kernels).

    Returns:
        Its folder.

    Raises:
        LessonError: the place can't be written to, or holds another kernel of that name.
    """
    target = folder(prefix)
    _require_python(target)
    with tempfile.TemporaryDirectory() as temporary:
        made = Path(temporary) / NAME
        _make(made)
        try:
            return _put(made, target)
        except OSError as error:
            raise _refused(target, error) from None


def remove(*, prefix: Path | None = None) -> Path:
    """Take the kernelspec away.

    Returns:
        The folder that is gone.

    Raises:
        LessonError: there is none, it is another kernel, or it can't be removed.
    """
    target = folder(prefix)
    if not target.is_dir():
        raise LessonError(f'There is no kernel "{NAME}" in {target.parent}. See where:  jupyter kernelspec list')
    _require_python(target)
    try:
        shutil.rmtree(target)
    except OSError as error:
        raise _refused(target, error) from None
    return target


def folder(prefix: Path | None) -> Path:
    """Where the kernelspec goes."""
    if prefix is None:
        return Path(KernelSpecManager().user_kernel_dir) / NAME
    return prefix.expanduser().absolute() / "share" / "jupyter" / "kernels" / NAME


def source() -> Path:
    """The kernelspec that came with the package: in a checkout, or where it was installed.

    Raises:
        LessonError: it is in neither place.
    """
    checkout = Path(__file__).parents[2] / "kernel"
    installed = Path(sysconfig.get_path("data")) / "share" / "jupyter" / "kernels" / NAME
    for place in (checkout, installed):
        if MODULE in _argv(place):
            return place
    raise LessonError(
        f"The files of the kernel are neither in {checkout} nor in {installed}. Install the package again."
    )


def _make(made: Path) -> None:
    """A copy of the kernelspec that names this Python."""
    shutil.copytree(source(), made)
    path = made / "kernel.json"
    spec: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    spec["argv"][0] = sys.executable
    path.write_text(json.dumps(spec, indent=2) + "\n", encoding="utf-8")


def _put(made: Path, target: Path) -> Path:
    """Under another name first: if the disk is full, the old one is still there."""
    part = target.with_name(f".{NAME}.part")
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(part, ignore_errors=True)
    shutil.copytree(made, part)
    if target.is_dir():
        shutil.rmtree(target)
    part.rename(target)
    return target


def _require_python(target: Path) -> None:
    """Nothing of anyone else's is replaced or removed."""
    argv = _argv(target)
    if argv and not any(word in (MODULE, "ipykernel", "ipykernel_launcher") for word in argv):
        raise LessonError(
            f'The kernel "{NAME}" in {target} is neither the lesson\'s nor a stock Python kernel ({argv[0]}). '
            "Nothing was changed. Delete that folder yourself if nobody needs it."
        )


def _argv(place: Path) -> list[str]:
    try:
        return [str(word) for word in json.loads((place / "kernel.json").read_text(encoding="utf-8"))["argv"]]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def _refused(target: Path, error: OSError) -> LessonError:
    return LessonError(
        f"{target} can't be written to: {error.strerror}. For yourself alone:  openai-lesson kernel install --user"
    )
