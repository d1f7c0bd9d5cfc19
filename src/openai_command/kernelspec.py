"""The kernelspec "openai": the folder with a ``kernel.json`` that tells a Jupyter how the lesson's kernel starts.

The one that comes with the package leaves it to Jupyter which Python is started. That is right if Jupyter runs in
the same environment. What is installed here, for another Jupyter (Navigator's base, a hub, Open OnDemand), names
the Python of this environment with its whole path.
"""

import json
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from jupyter_client.kernelspec import KernelSpecManager

from openai_command import shipped
from openai_data.errors import LessonError

NAME = "openai"
MODULE = "openai_kernel"
EARLIER_MODULE = "openai_lesson.kernel"
"""What the kernelspecs start that earlier versions of the lesson wrote."""


@dataclass(frozen=True)
class Kernelspec:
    """A kernelspec: its folder, and the command that it starts (empty: it can't be read)."""

    folder: Path
    argv: tuple[str, ...]

    @classmethod
    def read(cls, folder: Path) -> "Kernelspec":
        """The one in a folder."""
        try:
            argv = json.loads((folder / "kernel.json").read_text(encoding="utf-8"))["argv"]
            return cls(folder, tuple(map(str, argv)))
        except (OSError, ValueError, KeyError, TypeError):
            return cls(folder, ())

    @property
    def ours(self) -> bool:
        """Whether it starts the lesson's kernel, or that of an earlier version."""
        return MODULE in self.argv or EARLIER_MODULE in self.argv

    @property
    def stock(self) -> bool:
        """Whether it starts a stock Python kernel."""
        return "ipykernel" in self.argv or "ipykernel_launcher" in self.argv

    @property
    def python(self) -> Path | None:
        """The program that it starts, if it names one by its whole path."""
        return Path(self.argv[0]) if self.argv and Path(self.argv[0]).is_absolute() else None

    @property
    def gone(self) -> bool:
        """Whether that program does not exist any more."""
        return self.python is not None and not self.python.exists()


def install(*, prefix: Path | None = None) -> Path:
    """Write the kernelspec, and return its folder. One of the lesson's, or a stock Python kernel, is replaced.

    It goes to ``share/jupyter/kernels`` below `prefix` (nothing: to the user's own kernels). If that place can't
    be written to, or holds another kernel of that name, that is a `LessonError`.
    """
    with _changing(prefix) as target:
        # Under another name first: if the disk is full, the old one is still there.
        part = target.with_name(f".{NAME}.part")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(part, ignore_errors=True)
        shutil.copytree(source(), part)
        spec = json.loads((part / "kernel.json").read_text(encoding="utf-8"))
        spec["argv"][0] = sys.executable
        (part / "kernel.json").write_text(json.dumps(spec, indent=2) + "\n", encoding="utf-8")
        if target.is_dir():
            shutil.rmtree(target)
        part.rename(target)
    return target


def remove(*, prefix: Path | None = None) -> Path:
    """Take the kernelspec away. Returns the folder that is gone; a `LessonError` says why it can't be."""
    with _changing(prefix) as target:
        if not target.is_dir():
            raise LessonError(
                f'There is no kernel "{NAME}" in {target.parent}. See where:  jupyter kernelspec list'
            )
        shutil.rmtree(target)
    return target


@contextmanager
def _changing(prefix: Path | None) -> Iterator[Path]:
    """The folder of a kernelspec that is ours to change. Nothing of anyone else's is replaced or removed."""
    target = Path(KernelSpecManager().user_kernel_dir) / NAME
    if prefix is not None:
        target = prefix.expanduser().absolute() / "share" / "jupyter" / "kernels" / NAME
    spec = Kernelspec.read(target)
    if spec.argv and not (spec.ours or spec.stock):
        raise LessonError(
            f'The kernel "{NAME}" in {target} is neither the lesson\'s nor a stock Python kernel '
            f"({spec.argv[0]}). Nothing was changed. Delete that folder yourself if nobody needs it."
        )
    try:
        yield target
    except OSError as error:
        raise LessonError(
            f"{target} can't be written to: {error.strerror}. For yourself alone:  "
            "openai-lesson kernel install --user"
        ) from None


def source() -> Path:
    """The folder with the kernelspec that came with the package. Where there is none, that is a LessonError."""
    return shipped("The files of the kernel", "kernel/kernel.json", f"jupyter/kernels/{NAME}/kernel.json").parent
