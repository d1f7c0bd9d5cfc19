"""The database: files, jobs, checkpoints, events, models and keys, in SQLite.

Files, jobs, checkpoints and models are kept as the JSON of the official client's own types, in one table, in the
order in which they were made; beside the JSON stands who owns it and what the service alone needs to know. Of what
was deleted the place in that order stays, so that a list can be paged through while things vanish from it. Every
method is one transaction, on disk when it returns. One connection serves all threads, behind a lock.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from threading import RLock
from typing import Any, Generic, Literal, TypeVar

from openai import BaseModel
from openai.types import FileObject, Model
from openai.types.fine_tuning import FineTuningJob, FineTuningJobEvent
from openai.types.fine_tuning.jobs import FineTuningJobCheckpoint

from openai_local.errors import LocalError

VERSION = 1
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
CREATE TABLE keys (
    hash TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    created_at INTEGER NOT NULL
);
"""

Object = FileObject | FineTuningJob | FineTuningJobCheckpoint | Model
T = TypeVar("T", FileObject, FineTuningJob, FineTuningJobCheckpoint, Model)
Item = TypeVar("Item", bound=BaseModel)
Order = Literal["asc", "desc"]


class UnknownCursorError(Exception):
    """A list shall go on behind an object that is not in it."""


class Page(list[Item], Generic[Item]):
    """Some objects in order, and whether there are more behind them."""

    has_more: bool = False


class Store:
    """The database of one home."""

    def __init__(self, path: Path) -> None:
        """Open or create it.

        Raises:
            LocalError: it comes from a newer version of this package.
        """
        self._lock = RLock()
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=30)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        path.chmod(0o600)
        with self._lock, self._transaction():
            version = self._db.execute("PRAGMA user_version").fetchone()[0]
            if version == 0:
                for statement in filter(str.strip, _SCHEMA.split(";")):
                    self._db.execute(statement)
                self._db.execute(f"PRAGMA user_version = {VERSION}")
            elif version > VERSION:
                raise LocalError(
                    f"{path} was written by a newer version of openai-lesson. Update this one to use it."
                )

    def close(self) -> None:
        """Close the database."""
        with self._lock:
            self._db.close()

    # Objects

    def add(self, item: Object, owner: str, **private: Any) -> None:
        """Add a file, job or model. `private` is kept beside it and never leaves the service."""
        with self._lock, self._transaction():
            self._db.execute("DELETE FROM objects WHERE id = ? AND kind = ''", (item.id,))
            self._db.execute(
                "INSERT INTO objects (kind, id, owner, body, private) VALUES (?, ?, ?, ?, ?)",
                (type(item).__name__, item.id, owner, _dump(item), json.dumps(private)),
            )

    def get(self, kind: type[T], id_: str) -> T | None:
        """The object with this id, or None."""
        row = self._row("body", kind, id_)
        return _load(kind, row) if row else None

    def private(self, kind: type[T], id_: str) -> dict[str, Any]:
        """What was kept beside an object; empty if there is none."""
        row = self._row("private", kind, id_)
        return json.loads(row) if row else {}

    def has_private(self, kind: type[T], **fields: str) -> bool:
        """Whether such things are kept beside any object of a kind."""
        where = " AND ".join(f"json_extract(private, '$.{name}') = ?" for name in fields)
        query = f"SELECT 1 FROM objects WHERE kind = ? AND {where} LIMIT 1"
        with self._lock:
            return self._db.execute(query, (kind.__name__, *fields.values())).fetchone() is not None

    def owner(self, kind: type[T], id_: str) -> str | None:
        """Who owns an object."""
        return self._row("owner", kind, id_)

    def update(self, kind: type[T], id_: str, change: Callable[[T], None]) -> T | None:
        """Let `change` alter an object and keep the result, in one step. Returns it, or None if there is none."""
        with self._lock, self._transaction():
            item = self.get(kind, id_)
            if item is not None:
                change(item)
                self._db.execute(
                    "UPDATE objects SET body = ? WHERE kind = ? AND id = ?", (_dump(item), kind.__name__, id_)
                )
            return item

    def delete(self, kind: type[T], id_: str) -> bool:
        """Remove an object. Returns whether it was there."""
        with self._lock:
            query = "UPDATE objects SET kind = '', body = '{}', private = '{}' WHERE kind = ? AND id = ?"
            return self._db.execute(query, (kind.__name__, id_)).rowcount > 0

    def page(
        self,
        kind: type[T],
        *,
        after: str | None = None,
        limit: int = -1,
        order: Order = "desc",
        having: dict[str, str] | None = None,
        **fields: str | None,
    ) -> Page[T]:
        """Objects in the order they were made (``desc``: newest first).

        Args:
            kind: the client's type.
            after: start behind the object with this id.
            limit: at most so many; -1 for all.
            order: ``asc`` or ``desc``.
            having: only objects whose metadata have all of these.
            fields: only objects whose top-level field has this value, such as ``status="queued"``.

        Raises:
            UnknownCursorError: `after` is no id.
        """
        where, values = ["kind = ?"], list[str | None]([kind.__name__])
        for name, value in fields.items():
            where.append(f"json_extract(body, '$.{name}') IS ?")
            values.append(value)
        for name, text in (having or {}).items():
            where.append("EXISTS (SELECT 1 FROM json_each(body, '$.metadata') WHERE key = ? AND value = ?)")
            values += [name, text]
        return self._page(kind, "objects", where, values, after, limit, order)

    def _row(self, column: str, kind: type[T], id_: str) -> str | None:
        with self._lock:
            query = f"SELECT {column} FROM objects WHERE kind = ? AND id = ?"
            row = self._db.execute(query, (kind.__name__, id_)).fetchone()
        return row[0] if row else None

    def _page(
        self,
        kind: type[Item],
        table: str,
        where: list[str],
        values: list[Any],
        after: str | None,
        limit: int,
        order: str,
    ) -> Page[Item]:
        with self._lock:
            if after is not None:
                found = self._db.execute(f"SELECT seq FROM {table} WHERE id = ?", (after,)).fetchone()
                if found is None:
                    raise UnknownCursorError(after)
                where.append(f"seq {'<' if order == 'desc' else '>'} ?")
                values.append(found[0])
            query = f"SELECT body FROM {table} WHERE {' AND '.join(where)} ORDER BY seq {order} LIMIT ?"
            rows = self._db.execute(query, [*values, limit + 1 if limit >= 0 else -1]).fetchall()
        page = Page(_load(kind, body) for (body,) in rows[: limit if limit >= 0 else None])
        page.has_more = 0 <= limit < len(rows)
        return page

    # Events

    def add_events(self, job: str, events: Iterable[FineTuningJobEvent]) -> None:
        """Add events to a job; one whose id is known already is left out."""
        rows = [(job, event.id, _dump(event)) for event in events]
        with self._lock, self._transaction():
            self._db.executemany("INSERT OR IGNORE INTO events (job, id, body) VALUES (?, ?, ?)", rows)

    def events(
        self, job: str, *, after: str | None = None, limit: int = 20, order: Order = "desc"
    ) -> Page[FineTuningJobEvent]:
        """A job's events; the arguments are those of `page`."""
        return self._page(FineTuningJobEvent, "events", ["job = ?"], [job], after, limit, order)

    # Keys

    def add_key(self, name: str, hash_: str) -> None:
        """Keep the hash of a key that belongs to `name`."""
        with self._lock:
            self._db.execute("INSERT INTO keys VALUES (?, ?, ?)", (hash_, name, int(time.time())))

    def key_hashes(self) -> list[tuple[str, str]]:
        """The name and hash of every key."""
        with self._lock:
            return self._db.execute("SELECT name, hash FROM keys").fetchall()

    def _transaction(self) -> _Transaction:
        return _Transaction(self._db)


def _dump(item: BaseModel) -> str:
    return item.to_json(indent=None, warnings=False)


def _load(kind: type[Item], body: str) -> Item:
    """As the client reads an answer, without checks: a job may be ``paused``, which its type does not know."""
    return kind.construct(**json.loads(body))


class _Transaction:
    """``BEGIN IMMEDIATE`` … ``COMMIT``, or ``ROLLBACK`` if an error leaves the block."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self.db = db

    def __enter__(self) -> None:
        self.db.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: object, *_: object) -> None:
        self.db.execute("ROLLBACK" if kind else "COMMIT")
