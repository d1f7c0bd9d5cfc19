"""The queue with real trainings of the tiny model: turns, places, several at once."""

import time

import pytest
from openai.types.fine_tuning import FineTuningJob
from starlette.testclient import TestClient

from openai_local.classroom.limits import Limits
from openai_local.home import Home
from openai_local.runners.local import LocalRunner
from openai_local.service import job_process
from openai_local.service.app import Settings, create_app
from openai_local.service.auth import make_key
from openai_local.service.queue import Queue

NONE = Limits()


class Wide(LocalRunner):
    """Trains three at once."""

    at_once = 3


@pytest.fixture
def room(tiny_cache, tmp_path, monkeypatch):
    """A service in this process: `room(runner)` returns it and a function that makes callers."""
    monkeypatch.setenv("OPENAI_LOCAL_CACHE", str(tiny_cache))
    entered = []

    def make(runner, limits=NONE):
        app = create_app(Home.open(tmp_path), tiny_cache, Settings(runner=runner, limits=limits))
        http = TestClient(app)
        http.__enter__()
        entered.append(http)

        def caller(name, *, instructor=False):
            key = make_key(app.state.context.store, name, instructor=instructor)
            return TestClient(app, headers={"Authorization": f"Bearer {key}"})

        return app.state.context, caller

    yield make
    for http in entered:
        http.__exit__(None, None, None)


def upload(http, content):
    file = http.post("/v1/files", files={"file": ("a.jsonl", content)}, data={"purpose": "fine-tune"})
    return file.json()["id"]


def submit(http, pairs, epochs=1, times=1, validation=0):
    body = {
        "model": "ada",
        "training_file": upload(http, pairs.read_bytes() * times),
        "hyperparameters": {"n_epochs": epochs, "batch_size": 1},
    }
    if validation:
        body["validation_file"] = upload(http, pairs.read_bytes() * validation)
    return http.post("/v1/fine_tuning/jobs", json=body).json()["id"]


def job(http, id_):
    return http.get(f"/v1/fine_tuning/jobs/{id_}").json()


def messages(http, id_):
    events = http.get(f"/v1/fine_tuning/jobs/{id_}/events?limit=1000").json()["data"][::-1]
    return [event["message"] for event in events if event["type"] == "message"]


def steps(http, id_):
    events = http.get(f"/v1/fine_tuning/jobs/{id_}/events?limit=1000").json()["data"][::-1]
    return [event["data"]["step"] for event in events if event["type"] == "metrics"]


def wait(condition, seconds=90):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def over(http, *ids):
    return lambda: all(job(http, id_)["status"] in ("succeeded", "failed", "cancelled") for id_ in ids)


def test_learners_take_turns_and_know_their_places_and_an_instructor_decides(room, pairs):
    service, caller = room(LocalRunner())
    ada, bob = caller("ada"), caller("bob")
    first = submit(ada, pairs, epochs=50)
    wait(lambda: job(ada, first)["status"] == "running")
    second, third = submit(ada, pairs), submit(ada, pairs)
    bobs = submit(bob, pairs)

    def order():
        found = service.queue.places
        return sorted(found, key=lambda id_: found[id_].ahead)

    wait(lambda: order() == [bobs, second, third])
    assert [place.ahead for place in service.queue.places.values()] == [1, 2, 3]
    assert any(m.startswith("Jobs ahead in the queue: 1. This one starts in about") for m in messages(bob, bobs))

    service.queue.put(service.store.get(FineTuningJob, bobs), first=False)
    wait(lambda: order() == [second, third, bobs])
    service.queue.put(service.store.get(FineTuningJob, third), first=True)
    wait(lambda: order() == [third, second, bobs])
    assert "The job was put before all others." in messages(ada, third)

    for id_ in (first, second):
        ada.post(f"/v1/fine_tuning/jobs/{id_}/cancel")
    wait(over(ada, first, second, third))
    wait(over(bob, bobs))
    assert [job(ada, id_)["status"] for id_ in (first, second, third)] == ["cancelled"] * 2 + ["succeeded"]
    turns = {id_: service.store.private(FineTuningJob, id_)["turn"] for id_ in (first, third, bobs)}
    assert turns == {first: 1, third: 2, bobs: 3}
    told = [message.split(": ")[1][0] for message in messages(bob, bobs) if message.startswith("Jobs ahead")]
    assert told[0] == "1" and "3" in told and told[-1] == "0"


def test_the_third_of_a_queue_in_the_words_of_2022_and_in_data(room, pairs):
    """No client has to read the place out of a sentence, and the service does not do so either."""
    _, caller = room(LocalRunner())
    ada = caller("ada")
    first = submit(ada, pairs, epochs=50)
    wait(lambda: job(ada, first)["status"] == "running")
    second = submit(ada, pairs, epochs=50)
    wait(lambda: job(ada, second)["status"] == "queued")
    body = {"training_file": upload(ada, pairs.read_bytes()), "n_epochs": 2}
    made = ada.post("/v1/fine-tunes", json=body).json()
    third = made["id"].replace("ft-", "ftjob-")

    def events():
        return ada.get(f"/v1/fine_tuning/jobs/{third}/events?limit=1000").json()["data"][::-1]

    def words():
        return [event["message"] for event in ada.get(f"/v1/fine-tunes/{third}/events").json()["data"]]

    wait(lambda: "Fine-tune enqueued. Queue number: 2" in words())
    (place,) = [event for event in events() if "jobs_ahead" in (event.get("data") or {})]
    assert place["data"].keys() == {"jobs_ahead", "starts_in_seconds"} and place["type"] == "message"
    assert place["data"]["jobs_ahead"] == 2 and 10 < place["data"]["starts_in_seconds"] < 1000
    assert place["message"].startswith("Jobs ahead in the queue: 2. This one starts in about ")

    for id_ in (second, first):
        ada.post(f"/v1/fine_tuning/jobs/{id_}/cancel")
    wait(over(ada, third))
    places = [event["data"] for event in events() if "jobs_ahead" in (event.get("data") or {})]
    assert places[-1] == {"jobs_ahead": 0}, "it starts"
    assert [event["data"] for event in events() if "epoch" in (event.get("data") or {})] == [
        {"epoch": 1, "n_epochs": 2},
        {"epoch": 2, "n_epochs": 2},
    ]
    told = words()
    assert told[0] == f"Created fine-tune: {made['id']}" and told[-1] == "Fine-tune succeeded"
    assert not [word for word in told if "Jobs ahead" in word or "starts in" in word], told


def test_events_that_an_earlier_version_kept_are_told_as_they_are(room, pairs):
    """It wrote down no facts. So the API of 2022 tells today's words of them."""
    service, caller = room(LocalRunner())
    ada = caller("ada")
    id_ = submit(ada, pairs)
    wait(over(ada, id_))
    remove = "UPDATE events SET body = json_remove(body, '$.data') WHERE json_extract(body, '$.type') = 'message'"
    service.store.change(remove)
    told = [event["message"] for event in ada.get(f"/v1/fine-tunes/{id_}").json()["events"]]
    assert told == messages(ada, id_) and told[-1] == "The job has successfully completed"
    assert ada.get("/v1/class").json()["jobs"][0]["step"] == 12


def test_a_job_that_would_take_too_long_is_refused_before_it_starts(room, pairs):
    """So one learner can't hold the machine for a day. It is estimated with the speed of the last job."""
    _, caller = room(LocalRunner(), Limits(minutes=2))
    ada, teacher = caller("ada"), caller("teacher", instructor=True)
    short, long, allowed = submit(ada, pairs), submit(ada, pairs, 50, 100), submit(teacher, pairs, 50, 100)
    wait(over(ada, long))
    error = job(ada, long)["error"]
    assert error["code"] == "training_too_long" and error["param"] == "training_file"
    assert "minutes, and one job may train for 2. Take fewer epochs (n_epochs)" in error["message"]
    wait(lambda: job(teacher, allowed)["status"] in ("queued", "running"))
    teacher.post(f"/v1/fine_tuning/jobs/{allowed}/cancel")
    wait(over(ada, short))
    assert job(ada, short)["status"] == "succeeded"


def test_what_is_measured_takes_time_too(room, pairs):
    """A small file to learn from, and a large one to measure with after each epoch."""
    _, caller = room(LocalRunner(), Limits(minutes=1))
    ada = caller("ada")
    id_ = submit(ada, pairs, 50, validation=500)
    wait(over(ada, id_))
    assert job(ada, id_)["error"]["code"] == "training_too_long"


def test_a_job_that_takes_much_longer_than_it_may_is_ended(room, pairs, monkeypatch):
    """How long it takes is only estimated."""
    monkeypatch.setattr(job_process, "TOO_LONG", 0.01)
    service, caller = room(LocalRunner(), Limits(minutes=1))
    ada = caller("ada")
    id_ = submit(ada, pairs, 50)
    wait(over(ada, id_))
    error = job(ada, id_)["error"]
    assert error["code"] == "training_too_long"
    assert error["message"].startswith("It has trained for 0 minutes, and one job may train for 1. Take fewer")
    wait(lambda: not service.queue._processes)
    assert not service.queue.runner.look(service.records.journal(id_)).alive


def test_the_data_of_a_job_goes_when_it_is_over(room, pairs):
    """Whoever deletes a file has room again; also if the job was cancelled while it waited or was paused."""
    service, caller = room(LocalRunner())
    ada = caller("ada")
    ended, paused, cancelled = submit(ada, pairs), submit(ada, pairs, 50), submit(ada, pairs, 50)
    wait(over(ada, ended))
    wait(lambda: steps(ada, paused))
    ada.post(f"/v1/fine_tuning/jobs/{paused}/pause")
    wait(lambda: steps(ada, cancelled))
    assert data(service, paused) and data(service, cancelled)
    for id_ in (paused, cancelled):
        ada.post(f"/v1/fine_tuning/jobs/{id_}/cancel")
    wait(lambda: not service.queue._processes)
    assert [data(service, id_) for id_ in (ended, paused, cancelled)] == [[], [], []]


def test_data_that_an_earlier_service_left_goes_too(room, pairs, tmp_path):
    service, caller = room(LocalRunner())
    ada = caller("ada")
    id_ = submit(ada, pairs)
    wait(over(ada, id_))
    wait(lambda: not service.queue._processes)
    (service.records.journal(id_).folder / "training_file.jsonl").write_bytes(pairs.read_bytes())
    again = Queue(service.records, service.bases, service.queue.runner, service.queue._forecast)
    again.start()
    again.stop()
    assert data(service, id_) == []


def data(service, id_):
    return [*service.records.journal(id_).folder.glob("*_file.jsonl")]


def test_several_run_at_once_where_the_runner_takes_them(room, pairs):
    service, caller = room(Wide())
    ada = caller("ada")
    ids = [submit(ada, pairs, epochs, times) for epochs, times in ((50, 10), (50, 1), (50, 10), (1, 1))]
    wait(lambda: [job(ada, id_)["status"] for id_ in ids] == ["running"] * 3 + ["queued"])
    wait(lambda: ids[3] in service.queue.places)
    assert service.queue.places[ids[3]].ahead == 3
    wait(lambda: steps(ada, ids[1]))
    ada.post(f"/v1/fine_tuning/jobs/{ids[1]}/pause")
    wait(lambda: job(ada, ids[3])["status"] == "running")
    ada.post(f"/v1/fine_tuning/jobs/{ids[0]}/cancel")
    wait(over(ada, ids[3]))
    assert [job(ada, id_)["status"] for id_ in ids] == ["cancelled", "paused", "running", "succeeded"]
    ada.post(f"/v1/fine_tuning/jobs/{ids[2]}/cancel")
    ada.post(f"/v1/fine_tuning/jobs/{ids[1]}/resume")
    wait(over(ada, ids[1]))
    assert job(ada, ids[1])["status"] == "succeeded"
    assert steps(ada, ids[1]) == list(range(1, 601)), "no step is lost or told twice"
