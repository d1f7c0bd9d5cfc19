"""Writing files so that nobody ever sees half of one."""

from __future__ import annotations

import os
from pathlib import Path

from openai_data.errors import LessonError


def write_whole(path: Path, text: str, *, private: bool = False) -> None:
    """Write a text file as UTF-8: under a temporary name first, then renamed.

    Args:
        path: the file.
        text: its content.
        private: only the user may read it.

    Raises:
        LessonError: the folder does not exist or can't be written to.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600 if private else 0o644)
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
            file.write(text)
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise LessonError(f"{path} can't be written: {error.strerror}. Choose another folder.") from None
