"""The folders that the lesson writes to. Each is tried with a real file, which is gone again at once."""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from jupyter_core.paths import jupyter_runtime_dir

from openai_command.doctor import place
from openai_command.doctor.line import Line, ok, wrong
from openai_data.local_cli import output
from openai_lesson import keys


@dataclass(frozen=True)
class Folder:
    """A folder, what it is for, and the variable with which another can be chosen."""

    purpose: str
    path: Path
    variable: str

    def elsewhere(self) -> str:
        """The command that chooses another folder."""
        another = "%USERPROFILE%\\openai-lesson-files" if place.WINDOWS else "~/openai-lesson-files"
        return place.set_variable(self.variable, another)


def folders() -> list[Line]:
    """A line for each folder that can't be written to, or one for all."""
    try:
        here = Path.cwd()
    except FileNotFoundError:
        return [wrong("The folder that you are in does not exist any more.", "cd ~")]
    bad = [line for line in (_notebooks(here), *map(_check, _others())) if line]
    return bad or [ok("All folders that the lesson writes to can be written to.")]


def service_folders() -> tuple[Path, Path]:
    """The service's home, and its cache."""
    facts = json.loads(output("where", "--json"))
    return Path(facts["home"]), Path(facts["cache"])


def _others() -> list[Folder]:
    home, cache = service_folders()
    return [
        Folder("trained models", home, "OPENAI_LOCAL_HOME"),
        Folder("the base model", cache, "OPENAI_LOCAL_CACHE"),
        Folder("your keys", keys.path().parent, "OPENAI_LESSON_CONFIG"),
        Folder("Jupyter's notes on running kernels", Path(jupyter_runtime_dir()), "JUPYTER_RUNTIME_DIR"),
    ]


def _notebooks(here: Path) -> Line | None:
    """Data is written next to the notebooks."""
    if not (why := _refusal(here)):
        return None
    mend = place.make_writable(here) if _own(here) else "cd ~"
    return wrong(f"The folder that you are in ({place.shown(here)}) can't be written to: {why}.", mend)


def _check(folder: Folder) -> Line | None:
    there = next(path for path in (folder.path, *folder.path.parents) if path.exists())
    if not (why := _refusal(there)):
        return None
    mend = place.make_writable(there) if _own(there) and there.is_dir() else folder.elsewhere()
    return wrong(f"The folder for {folder.purpose} ({place.shown(folder.path)}) can't be written to: {why}.", mend)


def _refusal(folder: Path) -> str:
    """Why nothing can be written there; empty if it can."""
    try:
        with tempfile.TemporaryFile(dir=folder):
            return ""
    except OSError as error:
        return (error.strerror or str(error)).lower()


def _own(folder: Path) -> bool:
    """Whether the folder belongs to the user, who can then change who may write."""
    return place.WINDOWS or folder.stat().st_uid == os.geteuid()
