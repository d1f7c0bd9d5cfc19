"""The one folder in which the service keeps its state, and the cache beside it.

The home holds what must not be lost: the database, uploaded files, jobs and trained models. The cache holds
what can be fetched again: base models. Both are private to the user.
"""

import contextlib
import json
import os
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import platformdirs
from filelock import FileLock, Timeout

from openai_local.errors import LocalError

APP = "openai-local"


def default_home() -> Path:
    """``OPENAI_LOCAL_HOME``, or the platform's folder for user data."""
    return Path(os.environ.get("OPENAI_LOCAL_HOME") or platformdirs.user_data_dir(APP, appauthor=False))


def default_cache() -> Path:
    """``OPENAI_LOCAL_CACHE``, or the platform's folder for caches."""
    return Path(os.environ.get("OPENAI_LOCAL_CACHE") or platformdirs.user_cache_dir(APP, appauthor=False))


def write_whole(path: Path, text: str) -> None:
    """Write a text file, for its owner only, and on disk when this returns. A reader never sees a part of it."""
    with arriving(path, f".{path.name}.{os.getpid()}.part") as part:
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)


@contextlib.contextmanager
def arriving(path: Path, part: str | None = None) -> Iterator[Path]:
    """Where to write a file, so that a reader sees the old content or the new one, never a part.

    It gets its name, and is on disk, when the block ends. If the block fails, nothing is left of it: a disk that
    was too full for it is as full as before. `part` is its name until then, if several processes may write it.
    """
    temporary = path.with_name(part or f".{path.name}.part")
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def link(source: Path, target: Path) -> None:
    """The same file under a second name, or a copy where the file system has no such thing."""
    try:
        os.link(source, target)
    except OSError:
        with arriving(target) as part:
            shutil.copyfile(source, part)


def is_held(lock: Path) -> bool:
    """Whether a process holds a lock."""
    try:
        with FileLock(lock, timeout=0):
            return False
    except Timeout:
        return True


class Home:
    """Paths below one home folder."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.database = path / "openai-local.db"  # SQLite: everything that must be queried
        self.files = path / "files"  # uploaded and result files, named by their id
        self.jobs = path / "jobs"  # one folder per fine-tuning job, named by its id
        self.bases = path / "bases"  # one per base model that the user registered, named like it; may not be there
        self.lock = path / "service.lock"  # held by the running service
        self.log = path / "service.log"  # what a service that was started in the background prints
        self.running = path / "service.json"  # address and process number of the running service

    @classmethod
    def at(cls, path: Path | None = None) -> "Home":
        """The home at `path` (default: `default_home`), whether its folders are there or not."""
        return cls((path or default_home()).expanduser().absolute())

    @classmethod
    def open(cls, path: Path | None = None) -> "Home":
        """The home at `path` (default: `default_home`), its folders made. Raises `LocalError` if they can't be."""
        home = cls.at(path)
        try:
            for folder in (home.path, home.files, home.jobs):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            message = (
                f"The folder {error.filename} can't be made: {error.strerror}. Choose another with --home DIR."
            )
            raise LocalError(message) from None
        return home

    def require_room(self) -> None:
        """Raise `OSError` (`disk.sentence`) if no megabyte can be written: such a service is of little use."""
        probe = self.path / f".probe.{os.getpid()}"
        try:
            probe.write_bytes(bytes(1 << 20))
        finally:
            probe.unlink(missing_ok=True)

    def note_running(self, **facts: Any) -> None:
        """Write down where the service listens."""
        write_whole(self.running, json.dumps(facts))

    def read_running(self) -> dict[str, Any] | None:
        """What `note_running` wrote, or None. A service that was killed leaves its note behind."""
        try:
            return json.loads(self.running.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None

    def taken(self) -> str:
        """What to tell somebody who starts a second service on this home."""
        running = self.read_running() or {}
        host, here = running.get("host"), socket.gethostname()
        where = "" if host in (None, here) else f", on the machine {host} and not on this one ({here})"
        return f"A service is running on {self.path} already: {running.get('url', 'it is just starting')}{where}."
