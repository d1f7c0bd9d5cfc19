"""Files that were damaged behind the service's back: it says so, keeps what is sound, and goes on."""

import shutil
import sqlite3

import pytest
from learner import (
    LONG,
    SHORT,
    answer,
    begun,
    create,
    lost,
    messages,
    refused,
    refused_to_start,
    serving,
    upload,
    wait,
)

from conftest import Service, finished


def garbage(path):
    path.write_bytes(b"\xa5garbage\n" * (path.stat().st_size // 9 + 1))


def halve(path):
    with path.open("rb+") as file:
        file.truncate(path.stat().st_size // 2)


def clear(path):
    with path.open("rb+") as file:
        file.truncate(0)


def zero(path):
    """Fill a piece with zeros, as a power cut may: of those that hold something, the one in the middle."""
    content = path.read_bytes()
    held = [at for at in range(0, len(content), 4096) if content[at : at + 4096].count(0) < 3000]
    with path.open("rb+") as file:
        file.seek(held[len(held) // 2])
        file.write(bytes(4096))


def remove(path):
    path.unlink()


HARMS = (halve, zero, garbage, clear)
"""In the short form, only the first ones."""


# The database


@pytest.fixture(scope="module")
def sound(tmp_path_factory, tiny_cache):
    """A home with two files, a finished job, and a database of many pages."""
    home = tmp_path_factory.mktemp("sound") / "home"
    with serving(home, tiny_cache) as service:
        client = service.client()
        files = [upload(client), upload(client)]
        assert finished(client, create(client, files[0], LONG)).status == "succeeded"
    return service, files


def test_a_damaged_database_is_never_written_to(sound, tmp_path, tiny_cache, size, tried):
    old, files = sound
    harms = (remove, *HARMS)[: size(2, 5)]
    gone = sum(_restored(harm, old, files, tmp_path / harm.__name__, tiny_cache) for harm in harms)
    tried("faults: a database that is damaged at the start", f"{len(harms)}", gone)
    assert gone == 0


def _restored(harm, old, files, folder, tiny_cache):
    """Damage a copy, see that it stays as it is, and put the backup in its place. Returns how much is lost."""
    service = Service(shutil.copytree(old.home, folder / "home"), tiny_cache)
    database = service.home / "openai-local.db"
    whole = database.read_bytes()
    harm(database)
    before = {path: path.read_bytes() for path in service.home.rglob("*") if path.is_file()}
    said = refused_to_start(service)
    assert str(database) in said and "Nothing was changed" in said and "backup" in said, said
    left = {path: path.read_bytes() for path in service.home.rglob("*") if path.is_file()}
    assert {path for path in before if left.get(path) != before[path]} == set(), "it is as it was found"
    for aside in service.home.glob("openai-local.db-*"):
        aside.unlink()
    database.write_bytes(whole)  # the backup
    with serving(service.home, tiny_cache) as again:
        again.keys = old.keys
        gone = lost(again.client(), *files)
    service.home.rename(folder / "old")  # as if there were none
    with serving(service.home, tiny_cache) as anew:
        assert answer(anew.client())
    return gone


def test_a_database_that_is_damaged_while_it_is_used(sound, tmp_path, tiny_cache, tried):
    old, _ = sound
    home = shutil.copytree(old.home, tmp_path / "home")
    with serving(home, tiny_cache) as service:
        service.keys = old.keys
        client = service.client()
        with (home / "openai-local.db").open("rb+") as file:
            size = file.seek(0, 2)
            file.seek(4096)
            file.write(b"\xa5" * (size - 4096))
        refused(lambda: upload(client), 503, "database is damaged")
        refused(client.files.list, 503, "database is damaged")
        assert service.process.poll() is None
    tried("faults: a database that is damaged while it is used", "1", 0)


def test_a_log_of_the_database_that_is_gone_costs_what_stood_in_it_alone(tmp_path, tiny_cache, tried):
    """A power cut may take the write-ahead log; the database below it is whole."""
    with serving(tmp_path / "home", tiny_cache) as service:
        file = upload(service.client())
        service.stop()
        service.start()
        service.kill()
    for log in service.home.glob("openai-local.db-*"):
        log.unlink()
    with serving(service.home, tiny_cache) as again:
        again.keys = service.keys
        assert lost(again.client(), file) == 0
    with sqlite3.connect(service.home / "openai-local.db") as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    tried("faults: a database's log that is gone", "1", 0)


# Where a job is


def test_a_damaged_snapshot_costs_the_steps_alone(tmp_path, tiny_cache, size, tried):
    harms, gone = HARMS[: size(1, 4)], 0
    with serving(tmp_path / "home", tiny_cache) as service:
        client = service.client()
        file = upload(client)
        for harm in harms:
            job = begun(client, file)
            client.fine_tuning.jobs.pause(job)
            snapshot = service.home / "jobs" / job / "snapshot.safetensors"
            wait(snapshot.exists, "a snapshot")
            wait(lambda: not service_trains(service), "the training has ended")
            harm(snapshot)
            client.fine_tuning.jobs.resume(job)
            assert finished(client, job).status == "succeeded"
            events = client.fine_tuning.jobs.list_events(job, limit=1000)
            told = [event.message for event in events if event.level == "warn"]
            assert [said for said in told if "damaged" in said and "begins again" in said], harm.__name__
            gone += lost(client, file, job=job)
    tried("faults: a snapshot that is damaged", f"{len(harms)}", gone)
    assert gone == 0


def service_trains(service):
    import psutil

    return psutil.Process(service.process.pid).children()


def test_a_damaged_journal_is_read_as_far_as_it_can_be(tmp_path, tiny_cache, tried):
    """As a power cut leaves it: a line in the middle, and half a line and zeros at the end."""
    with serving(tmp_path / "home", tiny_cache) as service:
        client = service.client()
        file = upload(client)
        job = begun(client, file)
        client.fine_tuning.jobs.pause(job)
        wait(lambda: not service_trains(service), "the training has ended")
        wait(lambda: "The job was paused." in messages(client, job), "it is told")
        with (service.home / "jobs" / job / "events.jsonl").open("ab") as journal:
            journal.write(b'{"kind": "ev\x00\x00\xff\n[1]\n{"kind": "event", "created_at": 1' + bytes(4000))
        service.stop()
        service.start()
        client = service.client()
        client.fine_tuning.jobs.resume(job)
        assert finished(client, job).status == "succeeded"
        gone = lost(client, file, job=job)
    tried("faults: a journal with lines that can't be read", "1", gone)
    assert gone == 0


# Models


def test_a_damaged_model_is_told_of_and_the_others_answer(sound, tmp_path, tiny_cache, size, tried):
    old, files = sound
    harms = (remove, *HARMS)[: size(2, 5)]
    with serving(shutil.copytree(old.home, tmp_path / "home"), tiny_cache) as service:
        service.keys = old.keys
        client = service.client()
        good = next(job for job in client.fine_tuning.jobs.list() if job.status == "succeeded")
        said = answer(client, good.fine_tuned_model)
        other = finished(client, create(client, files[0], SHORT))
        path = service.home / "jobs" / other.id / "adapter.gguf"
        whole = path.read_bytes()
        for harm in harms:
            harm(path)
            refused(lambda: answer(client, other.fine_tuned_model), 503, "rain the model again")
            assert answer(client, good.fine_tuned_model) == said and answer(client)
            path.write_bytes(whole)  # not asked now: what llama.cpp has loaded goes on answering
        assert answer(client, other.fine_tuned_model)
    tried("faults: a model that is damaged or gone", f"{len(harms)}", 0)


def test_a_base_model_that_is_damaged_or_gone(tmp_path, tiny_cache, size, tried):
    """It is told of, and all goes on as soon as it is back, without a restart."""
    cache = shutil.copytree(tiny_cache, tmp_path / "cache")
    answers, trains = (next(cache.rglob(name)) for name in ("model.gguf", "weights/model.safetensors"))
    harms = (remove, halve, garbage)[: size(1, 3)]
    with serving(tmp_path / "home", cache) as service:
        client = service.client()
        data = upload(client)
        before = answer(client)
        for file in (answers, trains):
            whole = file.read_bytes()
            for harm in harms:
                harm(file)
                if file == answers:
                    refused(lambda: answer(client), 503, "openai-local bases fetch")
                elif harm is not remove:
                    failed = finished(client, create(client, data, SHORT))
                    assert failed.status == "failed" and "openai-local bases fetch" in failed.error.message
                assert client.fine_tuning.jobs.list() and service.process.poll() is None
                file.write_bytes(whole)
                assert answer(client) == before
                assert finished(client, create(client, data, SHORT)).status == "succeeded"
        gone = lost(client, data)
    tried("faults: a base model that is damaged or gone while it is used", f"{2 * len(harms)}", gone)
    assert gone == 0
