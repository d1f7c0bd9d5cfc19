import sqlite3

import pytest
from openai.types import FileObject
from openai.types.fine_tuning import FineTuningJobEvent

from openai_local.errors import LocalError
from openai_local.service.auth import make_key
from openai_local.service.database import VERSION
from openai_local.service.store import Store, UnknownCursorError


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path / "test.db")
    yield store
    store.close()


def file(number, **changes):
    fields = {
        "bytes": number,
        "created_at": 1,
        "filename": "a.jsonl",
        "purpose": "fine-tune",
        "status": "processed",
    }
    return FileObject(id=f"file-{number}", object="file", **(fields | changes))


def event(number):
    return FineTuningJobEvent(
        id=f"ftevent-{number}", object="fine_tuning.job.event", created_at=1, level="info", message=str(number)
    )


def test_what_was_added_is_there_after_a_restart(store, tmp_path):
    store.add(file(1), "ada", secret=5)
    again = Store(tmp_path / "test.db")
    assert again.get(FileObject, "file-1") == file(1)
    assert again.private(FileObject, "file-1") == {"secret": 5}
    assert again.owner(FileObject, "file-1") == "ada"
    again.close()


def test_pages_follow_one_another(store):
    for number in range(5):
        store.add(file(number), "ada")
    first = store.page(FileObject, limit=2)
    second = store.page(FileObject, limit=2, after=first[-1].id)
    third = store.page(FileObject, limit=2, after=second[-1].id)
    assert [f.id for page in (first, second, third) for f in page] == [f"file-{n}" for n in (4, 3, 2, 1, 0)]
    assert (first.has_more, second.has_more, third.has_more) == (True, True, False)
    assert [f.id for f in store.page(FileObject, order="asc", limit=1)] == ["file-0"]
    assert [f.id for f in store.page(FileObject, purpose="fine-tune-results")] == []


def test_pages_go_on_behind_what_was_deleted(store):
    for number in range(4):
        store.add(file(number), "ada")
    first = store.page(FileObject, limit=2)
    for item in first:
        store.delete(FileObject, item.id)
    assert [f.id for f in store.page(FileObject, limit=2, after="file-2")] == ["file-1", "file-0"]
    with pytest.raises(UnknownCursorError):
        store.page(FileObject, after="file-9")
    store.add(file(3), "ada")
    assert [f.id for f in store.page(FileObject)] == ["file-3", "file-1", "file-0"], "what is made again is new"


def test_update_changes_what_is_kept(store):
    store.add(file(1), "ada")
    changed = store.update(FileObject, "file-1", lambda f: setattr(f, "filename", "b.jsonl"))
    assert changed.filename == store.get(FileObject, "file-1").filename == "b.jsonl"
    assert store.update(FileObject, "file-9", lambda f: None) is None


def test_an_update_that_fails_changes_nothing(store):
    store.add(file(1), "ada")
    with pytest.raises(ZeroDivisionError):
        store.update(FileObject, "file-1", lambda f: 1 / 0)
    assert store.get(FileObject, "file-1") == file(1)
    assert store.delete(FileObject, "file-1") and not store.delete(FileObject, "file-1")


def test_events_come_once_and_newest_first(store):
    store.add_events("ftjob-1", [event(1), event(2)])
    store.add_events("ftjob-1", [event(2), event(3)])
    assert [e["message"] for e in store.events("ftjob-1")] == ["3", "2", "1"]
    assert [e["message"] for e in store.events("ftjob-1", after="ftevent-2")] == ["1"]
    assert store.events("ftjob-2") == []


def test_keys_are_kept_as_hashes(store, tmp_path):
    key = make_key(store, "ada")
    [known] = store.keys()
    assert (known.name, known.instructor, known.used_at) == ("ada", False, None)
    store.close()
    for path in tmp_path.iterdir():
        assert key.encode() not in path.read_bytes()


def test_a_change_is_told_when_it_can_be_read(store):
    """Else who follows a job may look too early, and wait for ever for the news that is there."""
    store.add(file(1), "ada")
    with store.together():
        store.update(FileObject, "file-1", lambda item: setattr(item, "filename", "b.jsonl"))
        store.add_events("file-1", [event(1)])
        assert store.changes("file-1") == 0
    assert store.changes("file-1") == 2
    with pytest.raises(ZeroDivisionError), store.together():
        store.add_events("file-1", [event(2)])
        raise ZeroDivisionError
    store.add(file(2), "ada")
    assert store.changes("file-1") == 2, "what was undone is no change, not even later"


def test_things_belong_to_their_owners(store):
    store.add(file(1), "ada")
    store.add(file(2), "bob")
    assert store.get(FileObject, "file-1", "ada") and not store.get(FileObject, "file-1", "bob")
    assert [f.id for f in store.page(FileObject, owner="bob")] == ["file-2"]
    with pytest.raises(UnknownCursorError):
        store.page(FileObject, owner="bob", after="file-1")
    assert store.stored("ada") == 1 and store.stored("nobody") == 0


BY_STATUS = "SELECT id FROM objects WHERE kind = ? AND json_extract(body, '$.status') IS ? ORDER BY seq"
VERSION_1 = """
CREATE TABLE objects (seq INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, id TEXT NOT NULL UNIQUE,
    owner TEXT NOT NULL, body TEXT NOT NULL, private TEXT NOT NULL);
CREATE INDEX objects_by_kind ON objects (kind, seq);
CREATE TABLE events (seq INTEGER PRIMARY KEY AUTOINCREMENT, job TEXT NOT NULL, id TEXT NOT NULL UNIQUE,
    body TEXT NOT NULL);
CREATE INDEX events_by_job ON events (job, seq);
CREATE TABLE keys (hash TEXT PRIMARY KEY, name TEXT NOT NULL, created_at INTEGER NOT NULL);
PRAGMA user_version = 1;
"""


def test_a_database_of_version_1_goes_on(tmp_path):
    """Its keys saw everything, and still do."""
    path = tmp_path / "test.db"
    with sqlite3.connect(path) as db:
        db.executescript(VERSION_1)
        db.execute("INSERT INTO keys VALUES ('abc', 'ada', 5)")
        row = ("FileObject", "file-1", "bob", file(1).to_json(indent=None), "{}")
        db.execute("INSERT INTO objects (kind, id, owner, body, private) VALUES (?, ?, ?, ?, ?)", row)
    for _ in range(2):
        store = Store(path)
        known = store.find_key("abc")
        assert (known.name, known.instructor, known.created_at) == ("ada", True, 5)
        assert store.get(FileObject, "file-1") == file(1)
        store.close()


def test_a_database_of_version_2_goes_on(tmp_path):
    """It had no index by status."""
    path = tmp_path / "test.db"
    store = Store(path)
    store.add(file(1), "ada")
    store.close()
    with sqlite3.connect(path) as db:
        db.executescript("DROP INDEX objects_by_status; PRAGMA user_version = 2")
    store = Store(path)
    assert [f.id for f in store.page(FileObject, status="processed")] == ["file-1"]
    assert store.table(FileObject, "body.bytes", status=["processed", "error"]) == [
        ("file-1", "ada", file(1).bytes)
    ]
    store.close()
    with sqlite3.connect(path) as db:
        plan = str(db.execute("EXPLAIN QUERY PLAN " + BY_STATUS, ("FileObject", "processed")).fetchall())
        assert "objects_by_status" in plan
        assert db.execute("PRAGMA user_version").fetchone() == (VERSION,)


def test_a_database_from_the_future_is_refused(tmp_path):
    path = tmp_path / "test.db"
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 99")
    with pytest.raises(LocalError, match="newer version"):
        Store(path)
