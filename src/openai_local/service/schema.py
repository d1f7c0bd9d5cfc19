"""The tables of the database, and how one of an older version becomes one of today.

SQLite keeps a number in the file for us, ``user_version``; 0 is a new file. A change of version is one
transaction: it is done whole or not at all.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from openai_local.errors import LocalError

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


def check_version(db: sqlite3.Connection, path: Path) -> int:
    """The version of a database.

    Raises:
        LocalError: it comes from a newer version of this package.
    """
    version = int(db.execute("PRAGMA user_version").fetchone()[0])
    if version > VERSION:
        raise LocalError(f"{path} was written by a newer version of openai-lesson. Update this one to use it.")
    return version


def migrate(db: sqlite3.Connection, path: Path) -> None:
    """Bring a database to today's form, inside the transaction that is open. Raises what `check_version` does."""
    version = check_version(db, path)
    if version == VERSION:
        return
    for statement in filter(str.strip, _STEPS[version].split(";")):
        db.execute(statement)
    db.execute(f"PRAGMA user_version = {VERSION}")
