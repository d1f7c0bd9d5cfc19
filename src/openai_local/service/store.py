"""The database: files, jobs, events, models and keys, in SQLite.

Files, jobs and models are kept as the JSON of the official client's own types, in one table, in the order in
which they were made; beside the JSON stands who owns it and what the service alone needs to know. Every method
is one transaction, on disk when it returns. One connection serves all threads, behind a lock.
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

Object = FileObject | FineTuningJob | Model
T = TypeVar("T", FileObject, FineTuningJob, Model)
Item = TypeVar("Item", bound=BaseModel)


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
        with self._lock:
            self._db.execute(
                "INSERT INTO objects (kind, id, owner, body, private) VALUES (?, ?, ?, ?, ?)",
                (type(item).__name__, item.id, owner, item.to_json(indent=None), json.dumps(private)),
            )

    def get(self, kind: type[T], id_: str) -> T | None:
        """The object with this id, or None."""
        row = self._row("body", kind, id_)
        return kind.model_validate_json(row) if row else None

    def private(self, kind: type[T], id_: str) -> dict[str, Any]:
        """What was kept beside an object; empty if there is none."""
        row = self._row("private", kind, id_)
        return json.loads(row) if row else {}

    def owner(self, kind: type[T], id_: str) -> str | None:
        """Who owns an object."""
        return self._row("owner", kind, id_)

    def update(self, kind: type[T], id_: str, change: Callable[[T], None]) -> T | None:
        """Let `change` alter an object and keep the result, in one step. Returns it, or None if there is none."""
        with self._lock, self._transaction():
            item = self.get(kind, id_)
            if item is not None:
                change(item)
                body = item.to_json(indent=None)
                self._db.execute(
                    "UPDATE objects SET body = ? WHERE kind = ? AND id = ?", (body, kind.__name__, id_)
                )
            return item

    def delete(self, kind: type[T], id_: str) -> bool:
        """Remove an object. Returns whether it was there."""
        with self._lock:
            rows = self._db.execute("DELETE FROM objects WHERE kind = ? AND id = ?", (kind.__name__, id_))
            return rows.rowcount > 0

    def page(
        self,
        kind: type[T],
        *,
        after: str | None = None,
        limit: int = -1,
        order: Literal["asc", "desc"] = "desc",
        **fields: str,
    ) -> Page[T]:
        """Objects in the order they were made (``desc``: newest first).

        Args:
            kind: the client's type.
            after: start behind the object with this id.
            limit: at most so many; -1 for all.
            order: ``asc`` or ``desc``.
            fields: only objects whose top-level field has this value, such as ``status="queued"``.
        """
        where, values = ["kind = ?"], [kind.__name__]
        for name, value in fields.items():
            where.append(f"json_extract(body, '$.{name}') = ?")
            values.append(value)
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
        if after is not None:
            where.append(f"seq {'<' if order == 'desc' else '>'} (SELECT seq FROM {table} WHERE id = ?)")
            values.append(after)
        query = f"SELECT body FROM {table} WHERE {' AND '.join(where)} ORDER BY seq {order} LIMIT ?"
        with self._lock:
            rows = self._db.execute(query, [*values, limit + 1 if limit >= 0 else -1]).fetchall()
        page = Page(kind.model_validate_json(body) for (body,) in rows[: limit if limit >= 0 else None])
        page.has_more = 0 <= limit < len(rows)
        return page

    # Events

    def add_events(self, job: str, events: Iterable[FineTuningJobEvent]) -> None:
        """Add events to a job; one whose id is known already is left out."""
        rows = [(job, event.id, event.to_json(indent=None)) for event in events]
        with self._lock, self._transaction():
            self._db.executemany("INSERT OR IGNORE INTO events (job, id, body) VALUES (?, ?, ?)", rows)

    def events(self, job: str, *, after: str | None = None, limit: int = 20) -> Page[FineTuningJobEvent]:
        """A job's events, newest first."""
        return self._page(FineTuningJobEvent, "events", ["job = ?"], [job], after, limit, "desc")

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


class _Transaction:
    """``BEGIN IMMEDIATE`` … ``COMMIT``, or ``ROLLBACK`` if an error leaves the block."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self.db = db

    def __enter__(self) -> None:
        self.db.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: object, *_: object) -> None:
        self.db.execute("ROLLBACK" if kind else "COMMIT")
