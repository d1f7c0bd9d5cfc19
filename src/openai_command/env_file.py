"""A learner's own settings in a file ``.env``, in the notebook's folder or the nearest folder above it.

Only names that begin with ``OPENAI_`` are taken, and only where the environment does not say otherwise. A line
is ``NAME=value``, with or without ``export`` and quotes; ``#`` begins a comment. (The package python-dotenv
reads more: values over several lines, references to others. That is not needed for an address and a key.)
"""

import os
import re
import shlex
from pathlib import Path

_LINE = re.compile(r"\s*(?:export\s+)?(?P<name>[A-Za-z_]\w*)\s*=\s*(?P<value>.*)")


class Settings:
    """Takes over what the nearest ``.env`` says, whenever that file is a new one or was changed."""

    def __init__(self) -> None:
        self._taken: dict[str, str] = {}
        self._state: tuple[Path, int] | None = None

    def take(self) -> None:
        """Set the environment as the file says."""
        found = nearest()
        state = (found, found.stat().st_mtime_ns) if found else None
        if state == self._state:
            return
        self._state = state
        new = read(found) if found else {}
        for name in {*self._taken, *new}:
            now = os.environ.get(name)
            if now and now != self._taken.get(name):
                continue  # the environment has a value of its own for it
            self._taken.pop(name, None)
            os.environ.pop(name, None)
            if value := new.get(name):
                os.environ[name] = self._taken[name] = value


def nearest() -> Path | None:
    """The ``.env`` of the current folder, or of the nearest one above it that has one."""
    try:
        here = Path.cwd()
        return next((path for folder in (here, *here.parents) if (path := folder / ".env").is_file()), None)
    except OSError:
        return None


def read(path: Path) -> dict[str, str]:
    """The settings in a file whose names begin with ``OPENAI_``; none if it can't be read."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError):
        return {}
    found = (_LINE.fullmatch(line) for line in lines)
    return {line["name"]: _value(line["value"]) for line in found if line and line["name"].startswith("OPENAI_")}


def _value(text: str) -> str:
    try:
        return "".join(shlex.split(text, comments=True)[:1])
    except ValueError:  # a quote that is not closed
        return text.strip()
