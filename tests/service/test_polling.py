"""Many follow jobs: the service says how often they should look, and asks its database only when there is news."""

import json
import time
from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest

from conftest import finished
from openai_lesson import watching
from openai_local.service.throttle import LOOK_SECONDS, STREAM_SECONDS, Polling


def test_the_more_follow_the_more_seldom_each_looks(monkeypatch):
    now = 1000.0
    monkeypatch.setattr("openai_local.service.throttle.time.monotonic", lambda: now)
    polling = Polling()
    assert polling.look("ada", "ftjob-1") == 1.0
    assert polling.look("ada", "ftjob-1") == 1.0, "looking twice is no second follower"
    for number in range(99):
        now += 0.01
        last = polling.look(f"learner {number}", "ftjob-1")
    assert last == pytest.approx(100 * LOOK_SECONDS)
    now += 2 * last - 2
    last = polling.look("ada", "ftjob-1", STREAM_SECONDS)
    assert last == pytest.approx(99 * LOOK_SECONDS + STREAM_SECONDS), "who was told to wait is still there"
    now += 2 * last
    assert polling.look("ada", "ftjob-1") == 1.0, "who is gone does not count"


def test_a_service_says_when_to_look_again(client, trained):
    answer = client.fine_tuning.jobs.with_raw_response.retrieve(trained.id)
    assert int(answer.headers["openai-poll-after-ms"]) >= 1000


def test_the_helper_obeys(service, trained, monkeypatch):
    def ask_for_patience(answer):
        answer.headers["openai-poll-after-ms"] = "4000"

    http = httpx2.Client(event_hooks={"response": [ask_for_patience]}, trust_env=False)
    client = service.client().with_options(http_client=http)
    watcher = watching.Watcher(client, trained.id, tell=lambda *_: None, come_back="", bar=False)
    paused, looks, look = [], iter([False, True]), watcher._look
    monkeypatch.setattr(watching.time, "sleep", paused.append)
    monkeypatch.setattr(watcher, "_look", lambda: (look(), next(looks))[1])
    watcher.watch()
    assert paused == [4.0]


def test_odd_headers_are_not_obeyed():
    assert watching._pause({}) == watching._pause({"openai-poll-after-ms": "soon"}) == 0.0
    assert watching._pause({"openai-poll-after-ms": "4000"}) == 4.0
    assert watching._pause({"openai-poll-after-ms": "9" * 12}) == 30.0


def test_many_streams_of_one_fine_tune_tell_all_the_same(service, client, pairs):
    """The API of 2022: thirty streams from the start to the end."""
    headers = {"authorization": f"Bearer {client.api_key}"}
    file = client.files.create(file=pairs, purpose="fine-tune").id
    job = client.fine_tuning.jobs.create(model="ada", training_file=file, hyperparameters={"n_epochs": 5})

    def follow(_):
        lines = []
        address = f"{service.url}/fine-tunes/{job.id.replace('ftjob-', 'ft-')}/events?stream=true"
        with httpx2.stream("GET", address, headers=headers, timeout=60, trust_env=False) as answer:
            lines = [line for line in answer.iter_lines() if line]
        return lines

    begun = time.monotonic()
    with ThreadPoolExecutor(30) as pool:
        told = list(pool.map(follow, range(30)))
    assert finished(client, job.id).status == "succeeded"
    assert all(lines == told[0] for lines in told) and told[0][-1] == "data: [DONE]"
    messages = [json.loads(line.removeprefix("data: "))["message"] for line in told[0][:-1]]
    assert messages[-1] == "Fine-tune succeeded" and "Completed epoch 5/5" in messages
    assert time.monotonic() - begun < 60
