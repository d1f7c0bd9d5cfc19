"""The SQLite file below the store: opened with care, then written by one connection and read by another.

A file that can't be used is never written to. It is said what is wrong with it and what to do. One of an older
version is brought to today's tables, in one transaction. SQLite keeps a number in it for us, ``user_version``.

With SQLite's write-ahead log (WAL), who only looks something up need not wait until the disk has taken what
somebody else writes. WAL takes memory that all who open the file share, so it does not work on a network file
system, where they may be on two machines. There the file is used in SQLite's old way, and one connection does
everything.

Many may write at the same time, and each is told that it is done when the disk has taken it. A slow disk takes a
few dozen transactions in a second. So who writes while others wait for their turn does not go to the disk alone:
they become one transaction, and go together ("group commit").
"""

import contextlib
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from threading import Lock, RLock, get_ident
from typing import Any

import psutil

from openai_local import disk
from openai_local.errors import LocalError
from openai_local.home import Home

BUSY_SECONDS = 30.0
"""How long to wait for a command such as ``openai-local keys new`` that writes at the same time."""
_NETWORK = frozenset(
    """9p afpfs afs beegfs ceph cephfs cifs drvfs fuse.ceph fuse.gcsfuse fuse.glusterfs fuse.juicefs fuse.s3fs
    fuse.sshfs glusterfs gpfs lustre ncpfs nfs nfs3 nfs4 orangefs panfs pvfs2 smb smb2 smb3 smbfs vboxsf webdav
    wekafs""".split()
)
MOST_TOGETHER = 50
"""So many who write go to the disk at once, at most. Else those who came first might wait for ever."""
_RESERVE = "INSERT OR REPLACE INTO activity (name, asked, seen_at) VALUES ('', zeroblob(1000000), 0)"
_LEAST_FREE = 128  # so many free pages (of 4 kB) the database has at least, while the disk has room for them
_AGAIN_SECONDS = 10.0  # how long to wait until room is asked for again, where there was none
VERSION = 3
_SCHEMA = """
CREATE TABLE objects (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    id TEXT NOT NULL UNIQUE,
    owner TEXT NOT NULL,
    body TEXT NOT NULL,
    private TEXT NOT NULL
);
CREATE INDEX objects_by_kind ON objects (kind, seq);
CREATE TABLE events (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    job TEXT NOT NULL,
    id TEXT NOT NULL UNIQUE,
    body TEXT NOT NULL
);
CREATE INDEX events_by_job ON events (job, seq);
"""
_SINCE_2 = """
CREATE INDEX objects_by_owner ON objects (kind, owner, seq);
CREATE TABLE keys (
    id TEXT PRIMARY KEY,
    hash TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    instructor INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    used_at INTEGER
);
CREATE TABLE activity (
    name TEXT PRIMARY KEY,
    asked INTEGER NOT NULL,
    seen_at INTEGER NOT NULL
);
"""
_SINCE_3 = "CREATE INDEX objects_by_status ON objects (kind, json_extract(body, '$.status'), seq);"
_FROM_1 = f"""
ALTER TABLE keys RENAME TO old_keys;
{_SINCE_2}
INSERT INTO keys SELECT 'key-' || lower(hex(randomblob(12))), hash, name, 1, created_at, NULL FROM old_keys;
DROP TABLE old_keys;
"""
"""In version 1 every key saw everything, so its keys become instructors'."""
_STEPS = {0: _SCHEMA + _SINCE_2 + _SINCE_3, 1: _FROM_1 + _SINCE_3, 2: _SINCE_3}


@dataclass(eq=False)
class _Group:
    """Those who write in one transaction. They wait until the disk has `taken` it; `afterwards` is done then."""

    size: int = 0
    afterwards: list[Callable[[], None]] = field(default_factory=list)
    taken: Future[None] = field(default_factory=Future)


class Database:
    """The database of one home. Its methods may be called from several threads at once."""

    def __init__(self, path: Path, *, check: bool = False) -> None:
        """Open or create it, and bring it to today's form. With `check`, read all of it to see if it is sound.

        Raises `LocalError`: it is damaged or gone, or comes from a newer version of this package; `OSError` or
        `sqlite3.Error`: the disk does not allow it (`disk.sentence`).
        """
        self._lock, self._reading, self._writer = RLock(), RLock(), 0
        self._counting, self._waiting, self._group = Lock(), 0, _Group()
        self._reserved, self._reserve_again = False, 0.0
        _check(path, thoroughly=check)
        self._db = self._reader = _connect(path)
        try:
            path.chmod(0o600)
            shared = _choose_journal(self._db, path)
            self._db.execute("PRAGMA synchronous = FULL")
            with self.together():
                _migrate(self._db, path)
            if shared:
                self._reader = _connect(path)
        except BaseException:
            self._db.close()
            raise
        self._reserved = check and shared
        if self._reserved:
            self._reserve()

    def close(self) -> None:
        """Close it. What was written is on disk then."""
        with self._lock, self._reading:
            if self._group.size:
                self._commit(self._group)
            self._reader.close()
            self._db.close()

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """Make one write of all calls in a block: they are on disk when it ends, or none of them is."""
        if self._writer == get_ident():  # a block within a block
            yield
            return
        with self._counting:
            self._waiting += 1
        with self._lock:
            with self._counting:
                self._waiting -= 1
            group = self._group
            try:
                with self._block(group):
                    yield
            finally:
                if not self._waiting or self.waits or group.size >= MOST_TOGETHER:
                    self._commit(group)
        group.taken.result()

    @contextlib.contextmanager
    def _block(self, group: _Group) -> Iterator[None]:
        """What one of a group writes. If it fails, the others' stays."""
        group.size += 1
        if not self._db.in_transaction:
            self._db.execute("BEGIN IMMEDIATE")
        self._db.execute("SAVEPOINT block")
        self._writer, others = get_ident(), len(group.afterwards)
        try:
            yield
            self._db.execute("RELEASE block")
        except BaseException as error:
            del group.afterwards[others:]
            try:
                self._db.execute("ROLLBACK TO block")
                self._db.execute("RELEASE block")
            except sqlite3.Error:  # SQLite has gone back wholly by itself, as the disk is full; or nothing works
                self._fail(group, error)
            raise
        finally:
            self._writer = 0

    def _commit(self, group: _Group) -> None:
        """Let the disk take what a group has written."""
        if group is not self._group:  # it has failed
            return
        try:
            if self._db.in_transaction:
                self._db.execute("COMMIT")
        except BaseException as error:
            self._fail(group, error)
            return
        self._group = _Group()
        try:
            for action in group.afterwards:
                action()
        finally:
            group.taken.set_result(None)
            self._renew()

    def _fail(self, group: _Group, error: BaseException) -> None:
        """Undo what a group has written."""
        self._group = _Group()
        try:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            if disk.refusal(error) == "full":
                self._make_room()
        finally:
            group.taken.set_exception(error)

    def afterwards(self, action: Callable[[], None]) -> None:
        """Inside `together`: do something when all is on disk, before anybody else writes; never if undone."""
        self._group.afterwards.append(action)

    def change(self, query: str, values: Sequence[Any] = ()) -> int:
        """Write, in a transaction of its own or the one that is open. Returns how many rows were changed."""
        with self.together():
            return self._db.execute(query, values).rowcount

    def change_each(self, query: str, rows: Iterable[Sequence[Any]]) -> None:
        """Write once for each row of values."""
        with self.together():
            self._db.executemany(query, rows)

    @property
    def waits(self) -> bool:
        """Whether who reads may wait for who writes."""
        return self._reader is self._db

    def ask(self, query: str, values: Sequence[Any] = ()) -> list[Any]:
        """Read rows. Who is inside `together` sees what they have written."""
        if self.waits or self._writer == get_ident():
            with self._lock:
                return self._db.execute(query, values).fetchall()
        with self._reading:
            return self._reader.execute(query, values).fetchall()

    def _reserve(self) -> None:
        """Make the log and the database longer than they need be. On a full disk, what is deleted, and what
        happens to jobs, can then still be written down."""
        for query in (_RESERVE, "DELETE FROM activity WHERE name = ''"):
            with self._db:
                self._db.execute("BEGIN IMMEDIATE")
                self._db.execute(query)
        self._make_room()

    def _renew(self) -> None:
        """`_reserve` again when that room is used up, as long as the disk has more."""
        if not self._reserved or time.monotonic() < self._reserve_again:
            return
        try:
            if self._db.execute("PRAGMA freelist_count").fetchone()[0] < _LEAST_FREE:
                self._reserve()
        except sqlite3.Error:
            self._reserve_again = time.monotonic() + _AGAIN_SECONDS

    def _make_room(self) -> None:
        """Move what stands in the log into the database, so that the next to write (a deletion) has room."""
        with contextlib.suppress(sqlite3.Error):
            self._db.execute("PRAGMA wal_checkpoint(RESTART)").fetchall()


def _check(path: Path, *, thoroughly: bool) -> None:
    """Raise `LocalError` if a file can't be used. It is opened for reading only, so it stays as it was found."""
    _require_not_lost(path)
    if not path.exists():
        return
    try:
        uri = f"{path.absolute().as_uri()}?mode=ro"
        with contextlib.closing(sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS)) as db:
            _version(db, path)
            if thoroughly and (found := db.execute("PRAGMA quick_check(1)").fetchone()[0]) != "ok":
                raise _damaged(path, found.splitlines()[-1])
    except sqlite3.DatabaseError as error:
        if disk.refusal(error) == "damaged":
            raise _damaged(path, str(error)) from None
        raise


def _damaged(path: Path, why: str) -> LocalError:
    return LocalError(f"The database {path} is damaged ({why}). Nothing was changed. {disk.anew(path.parent)}")


def _require_not_lost(path: Path) -> None:
    """Raise `LocalError` if there is none where there was one: a new one would know nothing of the files."""
    if path.exists() and path.stat().st_size:
        return
    home = Home(path.parent)
    kept = [file for folder in (home.files, home.jobs) if folder.is_dir() for file in folder.glob("[!.]*")]
    if kept:
        what = "is empty" if path.exists() else "is gone"
        raise LocalError(
            f"The database {path} {what}, but {len(kept)} files and jobs that it knew of are there. Nothing was "
            f"changed. {disk.anew(path.parent)}"
        )


_connect = partial(sqlite3.connect, check_same_thread=False, isolation_level=None, timeout=BUSY_SECONDS)


def _choose_journal(db: sqlite3.Connection, path: Path) -> bool:
    """Use the write-ahead log, unless the file system can't have it. Returns whether it is used."""
    wanted = "TRUNCATE" if is_network(path) else "WAL"
    try:
        return bool(db.execute(f"PRAGMA journal_mode = {wanted}").fetchone()[0] == "wal")
    except sqlite3.OperationalError as error:
        if disk.refusal(error) in ("full", "damaged"):
            raise
        return False  # somebody else uses it in another way just now, or there is no such memory here


def is_network(path: Path) -> bool:
    """Whether a file lies on a network file system, as far as the system tells."""
    place = path.resolve()
    best, kind = -1, ""
    for part in psutil.disk_partitions(all=True):
        mount = Path(part.mountpoint)
        if len(mount.parts) > best and place.is_relative_to(mount):
            best, kind = len(mount.parts), part.fstype
    return kind.lower() in _NETWORK


def _version(db: sqlite3.Connection, path: Path) -> int:
    version = int(db.execute("PRAGMA user_version").fetchone()[0])
    if version > VERSION:
        raise LocalError(f"{path} was written by a newer version of openai-lesson. Update this one to use it.")
    return version


def _migrate(db: sqlite3.Connection, path: Path) -> None:
    """Bring a database to today's form, inside the transaction that is open."""
    version = _version(db, path)
    if version == VERSION:
        return
    for statement in filter(str.strip, _STEPS[version].split(";")):
        db.execute(statement)
    db.execute(f"PRAGMA user_version = {VERSION}")
