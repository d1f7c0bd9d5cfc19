import sqlite3
import threading
import time

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


@pytest.fixture
def crowded(open_):
    """Lets several write at once: all wait for the first. Returns what they raised, and what SQLite was told."""

    def write(*names, broken=None):
        db, raised, told, first = open_(), {}, [], threading.Event()
        db._db.set_trace_callback(told.append)
        if broken:
            db._db = broken(db._db)

        def one(name):
            try:
                with db.together():
                    db.change(PUT, [name])
                    db.afterwards(lambda: told.append(f"after {name}"))
                    first.set()
                    deadline = time.monotonic() + 10
                    while name == names[0] and db._waiting < len(names) - 1 and time.monotonic() < deadline:
                        time.sleep(0.001)
                    if name == "mallory":
                        raise ZeroDivisionError
                raised[name] = None
            except Exception as error:
                raised[name] = error

        threads = [threading.Thread(target=one, args=[name]) for name in names]
        threads[0].start()
        first.wait(10)
        for thread in threads[1:]:
            thread.start()
        for thread in threads:
            thread.join(timeout=20)
        assert raised.keys() == {*names}, "everybody is told how it ended"
        return db, raised, told

    return write


def test_who_writes_at_the_same_time_goes_to_the_disk_together(crowded):
    db, raised, told = crowded("ada", "bob", "eve")
    assert {*raised.values()} == {None} and {*db.ask(NAMES)} == {("ada",), ("bob",), ("eve",)}
    assert told.count("COMMIT") == 1 and {*told[told.index("COMMIT") + 1 :]} == {
        "after ada",
        "after bob",
        "after eve",
    }


def test_who_fails_takes_nobody_along(crowded):
    db, raised, told = crowded("ada", "mallory", "eve")
    assert isinstance(raised["mallory"], ZeroDivisionError) and raised["ada"] is raised["eve"] is None
    assert {*db.ask(NAMES)} == {("ada",), ("eve",)} and "after mallory" not in told


def test_what_the_disk_does_not_take_nobody_believes(crowded):
    class Broken:
        def __init__(self, db):
            self._db = db

        def __getattr__(self, name):
            return getattr(self._db, name)

        def execute(self, query, *values):
            if (
                query == "COMMIT"
                and not self._db.execute("SELECT name FROM activity WHERE name = 'later'").fetchall()
            ):
                raise sqlite3.OperationalError("disk I/O error")
            return self._db.execute(query, *values)

    db, raised, told = crowded("ada", "bob", broken=Broken)
    assert all(isinstance(error, sqlite3.OperationalError) for error in raised.values())
    assert db.ask(NAMES) == [] and not [line for line in told if line.startswith("after")]
    db.change(PUT, ["later"])
    assert db.ask(NAMES) == [("later",)]


def test_those_who_fail_keep_nobody_waiting_for_ever(open_, monkeypatch):
    """Others wait all the time, and each of them fails."""
    monkeypatch.setattr(database, "MOST_TOGETHER", 5)
    db, tries = open_(), []
    with db._lock:
        db._waiting += 1  # there is always one more who waits
        writer = threading.Thread(target=lambda: db.change(PUT, ["ada"]))
        writer.start()
    while writer.is_alive() and len(tries) < 50:
        tries.append(1)
        with pytest.raises(ZeroDivisionError), db.together():
            raise ZeroDivisionError
        writer.join(timeout=0.2)
    db._waiting -= 1
    assert not writer.is_alive() and len(tries) < 10, f"after {len(tries)} others it was not on disk"
    assert db.ask(NAMES) == [("ada",)]


@pytest.mark.parametrize("refused", [("ROLLBACK TO block",), ("COMMIT", "ROLLBACK")])
def test_a_disk_on_which_nothing_can_be_undone(open_, refused):
    """Nothing half-written is kept, and nobody waits for ever."""
    db, real = open_(), None

    class Refusing:
        def __getattr__(self, name):
            return getattr(real, name)

        def execute(self, query, *values):
            if query in refused:
                raise sqlite3.OperationalError("disk I/O error")
            return real.execute(query, *values)

    real, db._db = db._db, Refusing()
    with pytest.raises((sqlite3.OperationalError, ZeroDivisionError)), db.together():
        db.change(PUT, ["half"])
        if "COMMIT" not in refused:
            raise ZeroDivisionError
    db._db = real
    if real.in_transaction:
        real.execute("ROLLBACK")
    db.change(PUT, ["ada"])
    assert db.ask(NAMES) == [("ada",)]


def test_who_closes_it_leaves_nobody_waiting(open_):
    """One has written and waits for the next, and it is closed before that one's turn."""
    db, ended = open_(), []

    def write(name):
        try:
            db.change(PUT, [name])
        except sqlite3.ProgrammingError:
            ended.append("it is closed")
        else:
            ended.append(name)

    with db._lock:
        db._waiting += 1  # somebody whose turn comes too late
        writer = threading.Thread(target=write, args=["ada"])
        writer.start()
    deadline = time.monotonic() + 10
    while not db._group.size and time.monotonic() < deadline:
        time.sleep(0.001)
    db.close()
    writer.join(timeout=10)
    assert ended == ["ada"] and open_().ask(NAMES) == [("ada",)]
    db._waiting = 0
    write("bob")
    assert ended == ["ada", "it is closed"]


def test_a_database_without_room_takes_the_next_that_fits(open_, tmp_path):
    db = open_()
    most = db.ask("PRAGMA page_count")[0][0] + 2
    db._db.execute(f"PRAGMA max_page_count = {most}")
    with pytest.raises(sqlite3.OperationalError) as caught, db.together():
        db.change(PUT, ["x" * 100_000])
    assert disk.refusal(caught.value) == "full"
    db.change(PUT, ["bob"])
    assert db.ask(NAMES) == [("bob",)]


def test_its_reserve_is_renewed_before_it_is_used_up(open_, tmp_path):
    """On a full disk nothing could be deleted else."""
    db = open_(check=True)
    for number in range(100):
        db.change(PUT, [f"{number}" + "x" * 40_000])
        (free,) = db.ask("PRAGMA freelist_count")[0]
        assert free >= 100 and (tmp_path / "openai-local.db").stat().st_size > 4096 * free


def test_where_there_is_no_room_for_a_reserve_it_does_without(open_, monkeypatch):
    db = open_(check=True)
    monkeypatch.setattr(database, "_RESERVE", "INSERT INTO nowhere VALUES (0)")
    for number in range(60):
        db.change(PUT, [f"{number}" + "x" * 40_000])
    assert len(db.ask(NAMES)) == 60


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
