import sqlite3
import threading

import psutil
import pytest

from openai_local import disk
from openai_local.errors import LocalError
from openai_local.home import Home
from openai_local.service import database
from openai_local.service.database import Database, is_network

PUT = "INSERT INTO activity (name, asked, seen_at) VALUES (?, 0, 0)"
NAMES = "SELECT name FROM activity"


@pytest.fixture
def open_(tmp_path):
    """Opens the database of a home."""
    opened = []

    def make(**more):
        opened.append(Database(tmp_path / "openai-local.db", **more))
        return opened[-1]

    yield make
    for one in opened:
        one.close()


def journal_mode(path):
    with sqlite3.connect(path) as db:
        return db.execute("PRAGMA journal_mode").fetchone()[0]


def test_who_reads_does_not_wait_for_who_writes(open_):
    db = open_()
    with db.together():
        db.change(PUT, ["ada"])
        found = []
        reader = threading.Thread(target=lambda: found.append(db.ask(NAMES)))
        reader.start()
        reader.join(timeout=10)
        assert found == [[]], "another thread sees what is on disk, at once"
        assert db.ask(NAMES) == [("ada",)], "who writes sees what they wrote"
    assert db.ask(NAMES) == [("ada",)]


def test_what_fails_in_the_middle_was_never_there(open_):
    db = open_()
    with pytest.raises(sqlite3.IntegrityError), db.together():
        db.change(PUT, ["ada"])
        db.change_each(PUT, [["bob"], ["ada"]])
    assert db.ask(NAMES) == []
    db.change(PUT, ["bob"])
    assert db.ask(NAMES) == [("bob",)], "and the next one is taken"


def test_a_database_without_room_takes_the_next_that_fits(open_, tmp_path):
    db = open_()
    most = db.ask("PRAGMA page_count")[0][0] + 2
    db._db.execute(f"PRAGMA max_page_count = {most}")
    with pytest.raises(sqlite3.OperationalError) as caught, db.together():
        db.change(PUT, ["x" * 100_000])
    assert disk.refusal(caught.value) == "full"
    db.change(PUT, ["bob"])
    assert db.ask(NAMES) == [("bob",)]


def test_on_a_network_file_system_others_may_open_it_too(open_, tmp_path, monkeypatch):
    """There the write-ahead log could harm the file, as it needs memory that two machines do not share."""
    open_().change(PUT, ["ada"])
    assert journal_mode(tmp_path / "openai-local.db") == "wal"
    part = type(psutil.disk_partitions()[0]) if psutil.disk_partitions() else None
    assert part or psutil.disk_partitions(all=True)
    kind = type(psutil.disk_partitions(all=True)[0])
    mounts = [kind("/dev/sda1", "/", "ext4", "rw"), kind("server:/home", str(tmp_path), "nfs4", "rw")]
    monkeypatch.setattr(psutil, "disk_partitions", lambda all: mounts)
    assert is_network(tmp_path / "openai-local.db") and not is_network(tmp_path.parent)
    one = open_()
    other = open_()
    other.change(PUT, ["bob"])
    assert one.ask(NAMES) == [("ada",), ("bob",)]


def test_where_the_log_can_not_be_had_it_does_without(tmp_path, monkeypatch):
    """SQLite's lock by dot files has no shared memory, as some file systems have none."""
    path = tmp_path / "openai-local.db"
    uri = f"{path.as_uri()}?vfs=unix-dotfile"
    monkeypatch.setattr(
        database,
        "_connect",
        lambda _: sqlite3.connect(uri, uri=True, check_same_thread=False, isolation_level=None),
    )
    db = Database(path)
    db.change(PUT, ["ada"])
    assert db.ask(NAMES) == [("ada",)] and db.ask("PRAGMA journal_mode") == [("delete",)]
    db.close()


@pytest.mark.parametrize("bytes_", [b"", None])
def test_a_new_database_is_not_made_where_one_was_lost(tmp_path, bytes_):
    home = Home.open(tmp_path)
    Database(home.database).close()
    home.database.unlink()
    Database(home.database).close()  # nothing was in it
    (home.files / "file-1").write_text("x")
    home.database.unlink()
    if bytes_ is not None:
        home.database.write_bytes(bytes_)
    with pytest.raises(LocalError, match=r"1 files and jobs that it knew of are there.*backup"):
        Database(home.database)
    assert home.database.exists() == (bytes_ is not None)


def test_damage_that_does_not_show_at_once_is_found_when_it_is_looked_for(open_, tmp_path):
    db = open_()
    db.change_each(PUT, [[f"{number:0200}"] for number in range(500)])
    db.close()
    path = tmp_path / "openai-local.db"
    with path.open("rb+") as file:
        file.seek(-8192, 2)
        file.write(bytes(4096))
    damaged = path.read_bytes()
    open_().close()
    with pytest.raises(LocalError, match=r"is damaged.*Nothing was changed"):
        open_(check=True)
    assert path.read_bytes() == damaged
