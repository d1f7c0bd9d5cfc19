"""Disks that are full or read-only: a clear sentence, nothing lost, and on it goes without a restart."""

import sys
import time

import disks
import httpx2
import psutil
import pytest
from learner import (
    LONG,
    PAIRS,
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

from conftest import finished


def test_a_full_disk_holds_things_up_and_nothing_is_lost(tmp_path, tiny_cache, size, tried):
    times, gone = size(1, 10), 0
    with disks.small(tmp_path / "home", megabytes=size(16, 32)) as disk, serving(disk.path, tiny_cache) as service:
        client = service.client()
        file, other = upload(client), upload(client)
        for _ in range(times):
            job = begun(client, file)
            with disk.full():
                refused(lambda: upload(client, PAIRS * 3000), 507, "no room left")
                assert answer(client) and client.fine_tuning.jobs.retrieve(job).status == "running"
                wait((disk.path / "jobs" / job / "waits").exists, "the training waits")
                assert httpx2.get(service.url.replace("/v1", "/health")).json() == {"status": "ok"}
                time.sleep(1)
                client.with_options(max_retries=3).files.delete(other.id)
            other = upload(client)
            assert finished(client, job).status == "succeeded"
            gone += lost(client, file, other, job=job)
            assert any("There is no room left" in message for message in messages(client, job))
            client.models.delete(client.fine_tuning.jobs.retrieve(job).fine_tuned_model)
    tried("faults: a disk that is full while it trains, is asked, uploaded to and deleted from", f"{times}", gone)
    assert gone == 0


def test_a_service_does_not_start_on_a_full_disk(tmp_path, tiny_cache, tried):
    with disks.small(tmp_path / "home") as disk:
        with serving(disk.path, tiny_cache) as service:
            file = upload(service.client())
        disk.fill()
        assert "no room left" in refused_to_start(service) and "Make room" in refused_to_start(service)
        disk.empty()
        with serving(disk.path, tiny_cache) as again:
            again.keys = service.keys
            gone = lost(again.client(), file)
    tried("faults: a start on a full disk", "1", gone)
    assert gone == 0


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Linux can limit a process that runs.")
def test_files_may_not_grow_any_more(tmp_path, tiny_cache, tried):
    """What a plain user can have instead of a full disk: each write that makes a file longer fails."""
    import resource

    def limit(bytes_: int | None) -> None:
        for process in (here, *here.children()):
            _, most = resource.prlimit(process.pid, resource.RLIMIT_FSIZE)
            resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (most if bytes_ is None else bytes_, most))

    with serving(tmp_path / "home", tiny_cache) as service:
        client, here = service.client(), psutil.Process(service.process.pid)
        file = upload(client)
        job = begun(client, file)
        assert len(here.children()) == 1, "the training"
        limit(0)
        refused(lambda: upload(client), 507, "no room left")
        assert answer(client)
        wait((service.home / "jobs" / job / "waits").exists, "the training waits")
        limit(None)
        second = upload(client)
        assert finished(client, job).status == "succeeded"
        gone = lost(client, file, second, job=job)
    tried("faults: files that may not grow any more", "1", gone)
    assert gone == 0


def test_read_only_folders_are_told_of_and_work_again(tmp_path, tiny_cache, tried):
    with serving(tmp_path / "home", tiny_cache) as service:
        client, home = service.client(), service.home
        file = upload(client)
        job = begun(client, file, LONG)
        with disks.read_only(home / "files", home / "jobs"):
            refused(lambda: upload(client), 503, "can't write to its folder")
            refused(lambda: client.files.delete(file.id), 409, "is needed")
            assert answer(client) and client.files.content(file.id).content == PAIRS.encode()
            waiting = create(client, file, SHORT)
            time.sleep(2)
            assert client.fine_tuning.jobs.retrieve(job).status == "running"
        second = upload(client)
        assert finished(client, job).status == finished(client, waiting).status == "succeeded"
        gone = lost(client, file, second, job=job)
    tried("faults: folders that are read-only while it trains", "1", gone)
    assert gone == 0


def test_a_service_does_not_start_on_a_read_only_home(tmp_path, tiny_cache, tried):
    home = tmp_path / "home"
    with serving(home, tiny_cache) as service:
        file = upload(service.client())
    before = {path: path.read_bytes() for path in home.rglob("*") if path.is_file()}
    with disks.read_only(home):
        said = refused_to_start(service)
        assert "can't be written to" in said and str(home) in said and "--home DIR" in said
        assert "can't be written to" in refused_to_start(service, "keys", "new", "bob")
    assert before == {path: path.read_bytes() for path in home.rglob("*") if path.is_file()}
    with serving(home, tiny_cache) as again:
        again.keys = service.keys
        gone = lost(again.client(), file)
    tried("faults: a start on a read-only home", "1", gone)
    assert gone == 0
