"""A clock that jumps, two services on one home, a slow disk: nothing is lost, and nobody waits for long."""

import json
import socket
import threading
import time

import httpx2
import psutil
import pytest
from disks import slowed
from learner import SHORT, answer, begun, create, lost, refused_to_start, serving, upload

from conftest import Service, finished
from openai_local.service import database

# The clock

_CLOCK = """
import os, time
_real = time.time
def _shifted():
    try:
        with open(os.environ["SHIFTED_CLOCK"]) as file:
            return _real() + float(file.read() or 0)
    except OSError:
        return _real()
time.time = _shifted
"""
DAY = 86_400


class Shifted(Service):
    """A service, and its trainings, whose clock can be set."""

    @property
    def environment(self):
        more = {"PYTHONPATH": str(self.home.parent), "SHIFTED_CLOCK": str(self.home.parent / "shift")}
        return super().environment | more


def test_a_clock_that_jumps_changes_no_order_and_no_wait(tmp_path, tiny_cache, size, tried):
    """Forward and back by hours, days and years, while it trains and while others ask for more than they may."""
    (tmp_path / "sitecustomize.py").write_text(_CLOCK)
    shift = tmp_path / "shift"
    shift.write_text("0")
    jumps = [-3600, 3650 * DAY, -3650 * DAY, 30, 0, DAY, -DAY, 0.5][: size(4, 8)]
    service = Shifted(tmp_path / "home", tiny_cache, ("--most-requests", "500", "--most-jobs", "3"))
    service.start()
    try:
        client = service.client()
        file = upload(client)
        known = [file]
        job = begun(client, file)
        for number, jump in enumerate(jumps):
            shift.write_text(str(jump))
            known.append(upload(client))
            assert abs(known[-1].created_at - time.time() - jump) < 30, "the clock of the service has jumped"
            assert next(iter(client.files.list())).id == known[-1].id, "what came last stands first"
            service.command("keys", "new", f"who-{number}")
            assert answer(client)
            left = client.fine_tuning.jobs.retrieve(job).estimated_finish
            assert left is None or client.fine_tuning.jobs.retrieve(job).status != "queued"
            time.sleep(0.5)
        names = [key["name"] for key in json.loads(service.command("keys", "list", "--json"))]
        assert names == ["tester", *(f"who-{number}" for number in range(len(jumps)))]
        assert finished(client, job).status == "succeeded"
        asked = [client.with_raw_response.models.list().http_response.status_code for _ in range(20)]
        assert set(asked) == {200}, "no limit was used up by the clock"
        second = create(client, file, SHORT)
        assert finished(client, second).status == "succeeded"
        gone = lost(client, *known, job=job)
    finally:
        service.stop()
    tried("faults: jumps of the clock while it trains", f"{len(jumps)}", gone)
    assert gone == 0


# Two services


def test_of_two_services_on_one_home_the_second_is_turned_away(tmp_path, tiny_cache, tried):
    with serving(tmp_path / "home", tiny_cache) as service:
        client = service.client()
        file = upload(client)
        job = begun(client, file)
        said = refused_to_start(service)
        assert "is running on" in said and service.url in said and "openai-local stop" in said
        note = service.home / "service.json"
        facts = note.read_text()
        note.write_text(json.dumps({**json.loads(facts), "host": "login-2"}))
        said = refused_to_start(service)
        assert f"on the machine login-2 and not on this one ({socket.gethostname()})" in said
        note.write_text(facts)

        service.kill()  # the lock goes with the process, and the training goes on
        service.start()
        client = service.client()
        assert finished(client, job).status == "succeeded"
        gone = lost(client, file, job=job)
    tried("faults: a second service on one home, and one after a kill", "3", gone)
    assert gone == 0


# A slow disk


@pytest.mark.parametrize("network", [False, True], ids=["local", "network"])
def test_a_slow_disk_holds_up_nobody_who_only_looks(tmp_path, tiny_cache, network, size, tried):
    """Each write takes a tenth of a second, as on a file server that is busy."""
    environment = slowed(tmp_path, 100, network=tmp_path / "home" if network else None)
    service = Service(tmp_path / "home", tiny_cache)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        if network:  # for the key too, which is made in this process
            patch.setattr(database, "is_network", lambda path: True)
        service.start()
        client = service.client()
    try:
        file = upload(client)
        opened = [one.path for one in psutil.Process(service.process.pid).open_files()]
        assert any(path.endswith("-wal") for path in opened) == (not network), opened
        health, looks, ended = [], [], threading.Event()
        watchers = [
            threading.Thread(target=_watch, args=(service.url.replace("/v1", "/health"), {}, health, ended)),
            threading.Thread(
                target=_watch,
                args=(f"{service.url}/models", {"authorization": f"Bearer {client.api_key}"}, looks, ended),
            ),
        ]
        for watcher in watchers:
            watcher.start()
        known = [file, *(upload(client) for _ in range(size(3, 30)))]
        job = create(client, file, {"n_epochs": 8, "batch_size": 1})
        assert answer(client)
        assert finished(client, job).status == "succeeded"
        ended.set()
        for watcher in watchers:
            watcher.join()
        gone = lost(client, *known, job=job, expected=96)
    finally:
        service.stop()
    slowest = f"slowest health check {max(health):.2f} s, slowest list {max(looks):.2f} s"
    tried(
        f"faults: a {'network' if network else 'local'} disk on which each write takes 0.1 s ({slowest})",
        "1",
        gone,
    )
    assert gone == 0
    assert max(health) < 1 and max(looks) < 3, slowest


def _watch(url, headers, seconds, ended):
    with httpx2.Client(headers=headers) as client:
        while not ended.is_set():
            begun_at = time.monotonic()
            assert client.get(url).status_code == 200
            seconds.append(time.monotonic() - begun_at)
            time.sleep(0.02)
