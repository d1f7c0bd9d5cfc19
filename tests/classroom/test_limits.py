"""What one learner may have at most: 429 with Retry-After, which the official client obeys."""

import time

import openai
import pytest
from starlette.testclient import TestClient

from openai_local.classroom.limits import Limits
from openai_local.home import Home
from openai_local.service.app import Settings, create_app
from openai_local.service.auth import make_key


@pytest.fixture
def room(tiny_cache, tmp_path):
    """Makes services in this process whose queue stands still, and callers with keys."""
    apps = {}

    def enter(name, limits, *, instructor=False):
        app = apps.setdefault("one", create_app(Home.open(tmp_path), tiny_cache, Settings(limits=limits)))
        key = make_key(app.state.context.store, name, instructor=instructor)
        return TestClient(app, headers={"Authorization": f"Bearer {key}"})

    yield enter
    for app in apps.values():
        app.state.context.store.close()


def upload(http, size=2000):
    line = '{"prompt": "a", "completion": " b"}\n'
    text = (line * (size // len(line) + 1))[:size]
    return http.post("/v1/files", files={"file": ("a.jsonl", text)}, data={"purpose": "fine-tune"})


def test_a_learner_has_so_many_jobs_at_a_time(room):
    limits = Limits(jobs=2)
    ada, bob = room("ada", limits), room("bob", limits)
    body = {"model": "ada", "training_file": upload(ada).json()["id"]}
    first, second = (ada.post("/v1/fine_tuning/jobs", json=body) for _ in range(2))
    assert (first.status_code, second.status_code) == (200, 200)
    third = ada.post("/v1/fine_tuning/jobs", json=body)
    assert third.status_code == 429 and third.headers["retry-after"] == "30"
    assert third.json()["error"] == {
        "message": "You have 2 fine-tuning jobs that are not over yet, and may have 2. Wait until one is over, or "
        "cancel one.",
        "type": "requests",
        "param": None,
        "code": "rate_limit_exceeded",
    }
    assert ada.post("/v1/fine-tunes", json=body).status_code == 429, "the API of 2022 counts too"
    assert bob.post("/v1/fine_tuning/jobs", json=body | {"training_file": upload(bob).json()["id"]}).is_success
    ada.post(f"/v1/fine_tuning/jobs/{first.json()['id']}/cancel")
    assert ada.post("/v1/fine_tuning/jobs", json=body).is_success


def test_a_learner_has_room_for_so_many_bytes(room):
    ada = room("ada", Limits(stored=6000))
    kept = [upload(ada).json()["id"] for _ in range(2)]
    over = upload(ada, 2500)
    assert over.status_code == 429 and "take 0.0 MB, and may take 0 MB" in over.json()["error"]["message"]
    assert int(over.headers["retry-after"]) > 120, "the official client must not send it again by itself"
    ada.delete(f"/v1/files/{kept[0]}")
    assert upload(ada, 2500).status_code == 200


def test_an_instructor_has_no_limits(room):
    teacher = room("teacher", Limits(jobs=0, stored=0, requests=1), instructor=True)
    assert all(upload(teacher).is_success for _ in range(3))


def test_requests_come_back_with_time(room, monkeypatch):
    now = time.monotonic()
    monkeypatch.setattr("openai_local.classroom.limits.time.monotonic", lambda: now)
    limits = Limits(requests=6)
    ada, bob = room("ada", limits), room("bob", limits)
    assert [ada.get("/v1/models").status_code for _ in range(7)] == [200] * 6 + [429]
    refused = ada.get("/v1/models")
    assert refused.headers["retry-after"] == "10" and "6 requests in a minute" in refused.text
    assert bob.get("/v1/models").status_code == 200, "others have their own"
    now += 10
    assert [ada.get("/v1/models").status_code for _ in range(2)] == [200, 429]


def test_the_official_client_waits_and_asks_again(new_service):
    service = new_service("--most-requests", "120")
    client = service.client()
    with pytest.raises(openai.RateLimitError):
        for _ in range(150):
            client.models.list()
    begun = time.monotonic()
    patient = client.with_options(max_retries=2)
    assert all(patient.models.list().data for _ in range(4))
    assert 0.5 < time.monotonic() - begun < 20


def test_the_health_check_is_not_counted(room):
    ada = room("ada", Limits(requests=1))
    assert all(ada.get("/health").is_success for _ in range(5))
    assert [ada.get("/v1/models").status_code for _ in range(2)] == [200, 429]
