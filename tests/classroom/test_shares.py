"""What one learner may hold at the same time, so that something is left for the others."""

import asyncio
from contextlib import ExitStack

import anyio
import pytest
from openai.types.fine_tuning import FineTuningJob
from starlette.testclient import TestClient

from openai_local.answering.server_pool import LANES
from openai_local.classroom.limits import CLASS, Limits
from openai_local.home import Home
from openai_local.service.app import Settings, create_app
from openai_local.service.auth import Identity, make_key
from openai_local.service.errors import APIError
from openai_local.service.throttle import AT_ONCE, Load

ADA, BOB, TEACHER = Identity("ada"), Identity("bob"), Identity("teacher", instructor=True)


@pytest.fixture
def app(tiny_cache, tmp_path):
    """Makes a service in this process whose queue stands still."""
    made = []

    def make(**limits):
        made.append(create_app(Home.open(tmp_path), tiny_cache, Settings(limits=Limits(**limits))))
        return made[-1]

    yield make
    for one in made:
        one.state.context.store.close()


def enter(app, name="ada"):
    key = make_key(app.state.context.store, name)
    return TestClient(app, headers={"Authorization": f"Bearer {key}"})


def upload(http, size=100):
    return http.post("/v1/files", files={"file": ("a.jsonl", b" " * size)}, data={"purpose": "fine-tune"})


def test_what_is_on_its_way_takes_room_too(app):
    quota = app(stored=10_000_000).state.context.quota
    with quota.upload(ADA, 6_000_000), pytest.raises(APIError) as error, quota.upload(ADA, 6_000_000):
        pass
    assert error.value.status == 429
    with quota.upload(ADA, 6_000_000), quota.upload(BOB, 6_000_000), quota.upload(TEACHER, 60_000_000):
        pass
    with quota.upload(ADA, 6_000_000):
        pass


def test_an_upload_that_does_not_say_how_long_it_is_takes_room_as_it_comes(app):
    quota = app(stored=10_000_000).state.context.quota
    with quota.upload(ADA, 0) as came, pytest.raises(APIError) as error:
        for pieces in range(1000):
            came(pieces * 100_000)
    assert error.value.status == 429 and 80 < pieces <= 101
    with quota.upload(ADA, 9_000_000):
        pass


def test_a_learner_has_so_many_files(app):
    ada = enter(app(stored=10_000, files=3))
    kept = [upload(ada, 0).json()["id"] for _ in range(3)]
    refused = upload(ada, 0)
    assert refused.status_code == 429 and "You have 3 files" in refused.json()["error"]["message"]
    ada.delete(f"/v1/files/{kept[0]}")
    assert upload(ada, 0).status_code == 200


def test_jobs_that_wait_are_counted_however_old_they_are(app):
    ada = enter(app(jobs=2, daily=1000))
    body = {"model": "ada", "training_file": upload(ada).json()["id"]}
    old = ada.post("/v1/fine_tuning/jobs", json=body).json()["id"]
    for _ in range(45):
        job = ada.post("/v1/fine_tuning/jobs", json=body).json()["id"]
        ada.post(f"/v1/fine_tuning/jobs/{job}/cancel")
    assert ada.post("/v1/fine_tuning/jobs", json=body).status_code == 200
    assert ada.post("/v1/fine_tuning/jobs", json=body).status_code == 429
    ada.post(f"/v1/fine_tuning/jobs/{old}/cancel")
    assert ada.post("/v1/fine_tuning/jobs", json=body).status_code == 200


def test_a_day_has_so_many_jobs(app):
    one = app(jobs=3, daily=4)
    ada, store = enter(one), one.state.context.store
    body = {"model": "ada", "training_file": upload(ada).json()["id"]}
    jobs = [ada.post("/v1/fine_tuning/jobs", json=body).json()["id"]]
    for _ in range(3):
        ada.post(f"/v1/fine_tuning/jobs/{jobs[-1]}/cancel")
        jobs.append(ada.post("/v1/fine_tuning/jobs", json=body).json()["id"])
    refused = ada.post("/v1/fine_tuning/jobs", json=body)
    assert refused.status_code == 429 and "4 fine-tuning jobs in 24 hours" in refused.text
    store.update(FineTuningJob, jobs[0], lambda job: setattr(job, "created_at", job.created_at - 90_000))
    assert ada.post("/v1/fine_tuning/jobs", json=body).status_code == 200


def test_so_many_requests_are_answered_at_the_same_time(app):
    quota = app(open=2).state.context.quota
    with ExitStack() as answered:
        for who in (ADA, BOB, TEACHER, TEACHER, TEACHER):
            answered.enter_context(quota.request(who))
        with quota.request(ADA), pytest.raises(APIError) as error:
            answered.enter_context(quota.request(ADA))
        assert error.value.status == 429 and error.value.headers == {"retry-after": "1"}
        answered.enter_context(quota.request(ADA))


def test_one_learners_answers_leave_lanes_and_places_for_others():
    assert AT_ONCE < LANES and CLASS.answers is not None

    async def run():
        load, made, most = Load(), [], 0
        go = anyio.Event()

        async def answer(share):
            nonlocal most
            with share.place():
                await share.run(lambda: made.append(share))
                async with share._turns:
                    most = max(most, share._turns.borrowed_tokens)
                    await go.wait()

        ada, bob = load.share("ada", CLASS.answers), load.share("bob", CLASS.answers)
        tasks = [asyncio.create_task(answer(ada)) for _ in range(CLASS.answers)]
        await asyncio.sleep(0.05)
        with pytest.raises(APIError) as error, ada.place():
            pass
        assert error.value.status == 429 and "of your answers" in str(error.value)
        with bob.place():
            assert await bob.run(lambda: "an answer") == "an answer"
        go.set()
        await asyncio.gather(*tasks)
        assert most == AT_ONCE
        with ada.place():
            pass

    asyncio.run(run())
