"""Where llama.cpp's servers listen: at a socket file in a folder that only this user can enter.

A port on the loopback address is open to every user of the machine, and to pages in a browser. llama.cpp asks for
its key there. But it tells everybody that it lives, and whoever connects and says nothing keeps its one thread
busy. On Windows, and where no folder has a path that is short enough for a socket, it is a port all the same.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from threading import Lock

from filelock import FileLock, Timeout

_PREFIX = "openai-local-"
_LONGEST = 100
"""Bytes that a socket's path may have: four less than where it may have the fewest, on macOS."""


class Sockets:
    """The socket files of one process. Its methods may be called from several threads at once."""

    def __init__(self) -> None:
        """The folder is made when somebody asks for a path."""
        self._lock, self._numbers = Lock(), itertools.count(1)
        self._folder: Path | None = None
        self._held: FileLock | None = None

    def new(self) -> Path | None:
        """A path for a socket that is not there yet, or None if there can be none."""
        if sys.platform == "win32":
            return None
        with self._lock:
            if self._folder is None or not self._folder.is_dir():  # what cleans up /tmp may have taken it
                self._leave()
                self._make()
            return self._folder and self._folder / f"{next(self._numbers)}.sock"

    def close(self) -> None:
        """Remove the folder; the next path lies in a new one."""
        with self._lock:
            self._leave()

    def _leave(self) -> None:
        if self._folder and self._held:
            self._held.release()
            shutil.rmtree(self._folder, ignore_errors=True)
        self._folder = self._held = None

    def _make(self) -> None:
        for parent in [*_parents()] * 2:  # twice, as another process may take a new folder for one that was left
            with contextlib.suppress(OSError):
                _clear(parent)
                folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
                held = FileLock(folder / "lock", timeout=0, thread_local=False)
                held.acquire()
                self._folder, self._held = folder, held
                return


def _parents() -> Iterator[Path]:
    """Folders whose paths are short enough. The session's own is the last: it goes when the user logs out."""
    for parent in (os.environ.get("TMPDIR"), f"{os.sep}tmp", os.environ.get("XDG_RUNTIME_DIR")):
        if parent and len(os.fsencode(parent)) + len(f"/{_PREFIX}12345678/123456.sock") <= _LONGEST:
            yield Path(parent)


def _clear(parent: Path) -> None:
    """Remove what processes of this user left that were killed. A living one holds its lock."""
    for folder in parent.glob(f"{_PREFIX}????????"):
        with contextlib.suppress(OSError, Timeout):
            if folder.lstat().st_uid == os.getuid() and (folder / "lock").exists():
                with FileLock(folder / "lock", timeout=0):
                    shutil.rmtree(folder, ignore_errors=True)


SOCKETS = Sockets()
"""Those of this process."""
