"""Uploading a file of any kind: read piece by piece as it goes out, with a bar where there is a terminal."""

import io
from pathlib import Path
from typing import Any

import openai
from openai.types import FileObject
from tqdm import tqdm

from openai_data.errors import LessonError


def send(client: openai.OpenAI, path: Path, *, name: str | None = None, purpose: str = "fine-tune") -> FileObject:
    """Upload a file of any kind.

    Args:
        client: where to.
        path: the file.
        name: what it is called there (nothing: as here).
        purpose: what it is for.

    Raises:
        LessonError: it can't be read.
    """
    try:
        reader = _Reader(path)
    except OSError as error:
        raise LessonError(f"{path} can't be read: {error.strerror}.") from None
    what: Any = purpose
    with reader:
        return client.files.create(file=(name or path.name, reader), purpose=what)


class _Reader(io.BufferedReader):
    """A file that moves a bar as it is read. A second try begins with a new bar at its first byte."""

    def __init__(self, path: Path) -> None:
        super().__init__(io.FileIO(path))
        size = path.stat().st_size
        self._bar = tqdm(total=size, desc="Upload progress", unit="B", unit_scale=True, disable=None, leave=False)

    def read(self, size: int | None = -1, /) -> bytes:
        """The next bytes."""
        piece = super().read(size)
        self._bar.update(len(piece))
        return piece

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Go to another place."""
        position = super().seek(offset, whence)
        self._bar.reset()
        self._bar.update(position)
        return position

    def close(self) -> None:
        """Take the bar away."""
        self._bar.close()
        super().close()
