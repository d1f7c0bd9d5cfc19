"""API keys: a hidden prompt, and a file that only the user can read.

A key is never printed, put into a notebook or passed on a command line.
"""

import getpass
import json
import os
from pathlib import Path

import platformdirs

from openai_data.atomic_write import write_whole
from openai_data.errors import LessonError


def path() -> Path:
    """The file with the keys, below ``OPENAI_LESSON_CONFIG`` or the platform's folder for settings."""
    folder = os.environ.get("OPENAI_LESSON_CONFIG") or platformdirs.user_config_dir(
        "openai-lesson", appauthor=False
    )
    return Path(folder) / "keys.json"


def load(name: str) -> str | None:
    """The key kept under a name, or None."""
    return _read().get(name)


def kept() -> list[str]:
    """All keys that are kept; none where the file can't be read."""
    try:
        return [key for key in _read().values() if isinstance(key, str)]
    except (LessonError, OSError, AttributeError):
        return []


def save(name: str, key: str) -> None:
    """Keep a key under a name."""
    path().parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_whole(path(), json.dumps({**_read(), name: key}, indent=2), private=True)


def ask(name: str = "openai") -> None:
    """Ask for a key with a hidden prompt and keep it under a name. Raises `LessonError` if nothing was typed."""
    key = getpass.getpass(f"Key for {name} (it will not be shown): ").strip()
    if not key:
        raise LessonError("No key was typed, so nothing was kept.")
    save(name, key)
    print(f"The key for {name} is kept in {path()}, which only you can read.")


def _read() -> dict[str, str]:
    try:
        return json.loads(path().read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError:
        raise LessonError(f"{path()} is damaged. Delete it; then enter your keys again.") from None
