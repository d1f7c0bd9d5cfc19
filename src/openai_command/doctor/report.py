"""What a learner can send to the instructor: the doctor's lines and facts about the system, without secrets.

Hidden are keys and tokens (as in the kernel's outputs), who logs in at a proxy, the user's folder, and the names
of the user and of the machine.
"""

from __future__ import annotations

import getpass
import os
import platform
import re
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from jupyter_core.paths import jupyter_path

from openai_command.doctor import kernels, place, versions
from openai_command.doctor.line import Line
from openai_command.redaction import Secrets
from openai_data.atomic_write import write_whole

_LOGIN = re.compile(r"(?<=://)[^/@\s]+@")
_VARIABLES = re.compile(r"(OPENAI|JUPYTER|CONDA|VIRTUAL_ENV|PIP|SLURM_JOB|PYTHON).*|.*_PROXY|PATH|LANG|LC_ALL")


def write(path: Path, lines: Sequence[Line]) -> None:
    """Write the report, whole or not at all.

    Raises:
        LessonError: the folder does not exist or can't be written to.
    """
    text = "\n".join([f"openai-lesson doctor, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC", "", *map(str, lines)])
    write_whole(path, without_names(without_secrets(f"{text}\n\n" + "\n".join(facts()) + "\n")))


def facts() -> Iterator[str]:
    """What is known of the system, one thing a line."""
    yield f"openai-lesson {version('openai-lesson')}, {platform.platform()}"
    yield f"Python {sys.version}".replace("\n", " ")
    yield f"Python's program: {sys.executable} ({place.kind()})"
    yield f"Jupyter looks for kernels in: {', '.join(jupyter_path('kernels'))}"
    yield from (f"kernel {spec.name}: {spec.folder}: {' '.join(spec.argv)}" for spec in kernels.visible())
    names = sorted({requirement.name for requirement in versions.needed()})
    yield "Packages: " + ", ".join(f"{name} {versions.installed(name) or 'missing'}" for name in names)
    yield from (
        f"{name}={value}" for name, value in sorted(os.environ.items()) if _VARIABLES.fullmatch(name.upper())
    )


def without_secrets(text: str) -> str:
    """The text without keys, tokens and who logs in at a proxy."""
    secrets = Secrets()
    secrets.shown = False  # masking may be off in notebooks; a report is sent to someone else
    return _LOGIN.sub("[secret]@", secrets.mask(text))


def without_names(text: str) -> str:
    """The text without the user's folder, the user's name in other paths, and the machine's name."""
    for home in {str(Path.home()), str(Path.home().resolve())} - {"/"}:
        text = re.sub(re.escape(home) + r"(?![\w.-])", "~", text, flags=re.IGNORECASE if place.WINDOWS else 0)
    user, machine = _user(), platform.node()
    if user:
        text = re.sub(rf"(?<=[/\\]){re.escape(user)}(?![\w.-])", "~", text)
    return re.sub(rf"(?<![\w.-]){re.escape(machine)}(?![\w-])", "[this machine]", text) if machine else text


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return ""  # a container without a list of users
