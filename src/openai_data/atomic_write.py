"""Writing files so that nobody ever sees half of one."""

import os
from collections.abc import Iterable
from pathlib import Path

from openai_data.errors import LessonError


def write_whole(
    path: Path, text: str | Iterable[str], *, private: bool = False, instead: str = "Choose another folder."
) -> None:
    """Write a text, whole or in blocks, as UTF-8: under a temporary name first, then renamed.

    With `private`, only the user may read it. `instead` says what to do if it can't be written.

    Raises:
        LessonError: the folder does not exist or can't be written to, or the disk is full. An older file stays.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600 if private else 0o644)
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
            file.writelines([text] if isinstance(text, str) else text)
        temporary.replace(path)
    except OSError as error:
        raise LessonError(f"{path} can't be written: {error.strerror}. {instead}") from None
    finally:
        temporary.unlink(missing_ok=True)
