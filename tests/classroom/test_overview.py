"""What the class's page shows: `/v1/class` and what is below it, and the page's own files."""

import json
import re
import time

import httpx2
import pytest

from conftest import Service, finished
from openai_local.classroom.overview import POINTS, Curve, _suffix
from openai_local.training.job_folder import Journal

STEPS = {"n_epochs": 4, "batch_size": 4}
"""Twelve pairs make three steps of an epoch."""


@pytest.fixture(scope="module")
def school(tmp_path_factory, tiny_cache):
    """A service of its own, with an instructor's key."""
    service = Service(tmp_path_factory.mktemp("school"), tiny_cache)
    service.start()
    service.client("teacher", instructor=True)
    yield service
    service.stop()


@pytest.fixture(scope="module")
def call(school):
    """Call the service with the key of a name. Returns the answer."""
    with httpx2.Client(base_url=school.url, trust_env=False) as client:

        def send(name, path, method="GET"):
            school.client(name)
            return client.request(method, path, headers={"authorization": f"Bearer {school.keys[name]}"})

        yield send


def upload(client, text, name="pairs.jsonl"):
    return client.files.create(file=(name, text.encode()), purpose="fine-tune").id


@pytest.fixture(scope="module")
def work(school, pairs):
    """Ada has trained and asked, Ben has failed, and Cleo has a key only."""
    ada, ben, _ = map(school.client, ("ada", "ben", "cleo"))
    file = upload(ada, pairs.read_text())
    trained = ada.fine_tuning.jobs.create(
        training_file=file, validation_file=file, model="ada", suffix="My tiny!", hyperparameters=STEPS
    )
    failed = ben.fine_tuning.jobs.create(training_file=upload(ben, '{"prompt": "?"}\n', "half.jsonl"), model="ada")
    trained, failed = finished(ada, trained.id), finished(ben, failed.id)
    assert (trained.status, failed.status) == ("succeeded", "failed")
    ada.completions.create(model=trained.fine_tuned_model, prompt="What is a star?", max_tokens=3)
    time.sleep(1.1)  # a look at the class is shared for a second
    return trained, failed


def test_an_instructor_sees_everybody(call, work, school):
    trained, failed = work
    seen = call("teacher", "class").json()
    assert seen["you"] == {"name": "teacher", "instructor": True}
    assert {job["id"]: job["owner"] for job in seen["jobs"]} == {trained.id: "ada", failed.id: "ben"}
    learners = {learner["name"]: learner for learner in seen["learners"]}
    assert list(learners) == ["ada", "ben", "cleo"]
    ada, ben, cleo = learners.values()
    assert (ada["files"], ada["jobs"], ada["models"], ada["asked"]) == (1, {"succeeded": 1}, 1, 1)
    assert (ben["files"], ben["jobs"], ben["models"], ben["asked"]) == (1, {"failed": 1}, 0, 0)
    assert (cleo["files"], cleo["jobs"], cleo["seen_at"]) == (0, {}, None)
    files = sum(file.bytes for file in school.client("ada").files.list())
    models = sum(path.stat().st_size for path in school.home.glob(f"jobs/{trained.id}/*.gguf"))
    assert ada["stored"] == files + models
    assert time.time() - 60 < ada["seen_at"] <= time.time()


def test_a_learner_sees_their_own(call, work):
    _, failed = work
    answer = call("ben", "class")
    seen = answer.json()
    assert seen["you"] == {"name": "ben", "instructor": False}
    assert [job["id"] for job in seen["jobs"]] == [failed.id]
    assert [learner["name"] for learner in seen["learners"]] == ["ben"]
    assert "ada" not in answer.text.replace(failed.model, ""), "somebody else's name is in it"
    assert call("cleo", "class").json()["learners"][0]["files"] == 0


def test_how_busy_the_machine_is(call, work):
    """A learner may see that too, and how much there is to do, but not for whom."""
    seen = call("cleo", "class").json()
    assert 0 <= seen["machine"]["cpu"] <= 100
    assert 0 < seen["machine"]["memory_used"] < seen["machine"]["memory_total"]
    assert len(seen["machine"]["load"]) == 3
    assert seen["queue"] == {"running": 0, "waiting": 0}
    assert seen["runner"] == {"kind": "local", "at_once": 1}


def test_what_is_told_of_a_job(call, work, school):
    trained, failed = work
    first, second = call("teacher", "class").json()["jobs"]
    assert (second["id"], second["status"], second["suffix"]) == (trained.id, "succeeded", "my-tiny")
    assert (second["file"], second["fine_tuned_model"]) == ("pairs.jsonl", trained.fine_tuned_model)
    assert (second["step"], second["total_steps"], second["error"]) == (12, 12, None)
    events = school.client("ada").fine_tuning.jobs.list_events(trained.id, limit=100)
    steps = [event.data for event in events if event.type == "metrics"]
    assert second["training_loss"] == next(data["train_loss"] for data in steps if "train_loss" in data)
    assert second["validation_loss"] == next(
        data["full_valid_loss"] for data in steps if "full_valid_loss" in data
    )
    assert first["error"] == failed.error.message
    assert first["training_loss"] is first["step"] is first["ahead"] is None


def test_a_jobs_curve(call, work):
    trained, _ = work
    curve = call("ada", f"class/jobs/{trained.id}/curve").json()
    assert (curve["id"], curve["total_steps"]) == (trained.id, 12)
    assert [point["step"] for point in curve["points"]] == list(range(1, 13))
    assert all(point["training_loss"] > 0 and point["validation_loss"] > 0 for point in curve["points"])
    ends = [point["step"] for point in curve["points"] if point["full_validation_loss"] is not None]
    assert ends == [3, 6, 9, 12]
    assert call("teacher", f"class/jobs/{trained.id}/curve").json() == curve


@pytest.mark.parametrize(("method", "path"), [("GET", "curve"), ("POST", "first"), ("POST", "last")])
def test_anothers_job_is_like_one_that_does_not_exist(call, work, method, path):
    theirs = work[0].id
    nobodys = theirs[:-6] + "a1b2c3"
    answers = [call("ben", f"class/jobs/{id_}/{path}", method) for id_ in (theirs, nobodys)]
    assert [answer.status_code for answer in answers] == [404, 404]
    assert answers[0].text.replace(theirs, nobodys) == answers[1].text


def test_the_queues_order(call, work, school, pairs):
    """Ada's job is long; an instructor turns round those behind it."""
    text = pairs.read_text()
    first, *others = [
        school.client(name).fine_tuning.jobs.create(
            training_file=upload(school.client(name), text * 20), model="ada", hyperparameters={"n_epochs": 50}
        )
        for name in ("ada", "ben", "cleo", "dora")
    ]

    def places(name="teacher"):
        jobs = {job["id"]: job for job in call(name, "class").json()["jobs"]}
        return {job.id: jobs[job.id]["ahead"] for job in others if job.id in jobs}

    def wait_for(expected):
        deadline = time.monotonic() + 30
        while list(places().values()) != expected:
            assert time.monotonic() < deadline, f"{places()} instead of {expected}"
            time.sleep(0.2)

    ben, cleo, dora = others
    wait_for([1, 2, 3])
    assert places("cleo") == {cleo.id: 2}
    assert call("cleo", "class").json()["queue"] == {"running": 1, "waiting": 3}
    refused = call("cleo", f"class/jobs/{cleo.id}/first", "POST")
    assert refused.status_code == 403
    assert refused.json()["error"]["message"] == "Only an instructor can change the queue's order."
    assert call("teacher", f"class/jobs/{dora.id}/first", "POST").json()["id"] == dora.id
    wait_for([2, 3, 1])
    assert call("teacher", f"class/jobs/{ben.id}/last", "POST").status_code == 200
    wait_for([3, 2, 1])
    running = call("teacher", f"class/jobs/{first.id}/first", "POST")
    assert running.status_code == 400
    assert "is running, so it has no place in the queue" in running.json()["error"]["message"]
    for job in (*reversed(others), first):
        assert call("teacher", f"fine_tuning/jobs/{job.id}/cancel", "POST").json()["status"] == "cancelled"


def test_all_who_ask_within_a_second_share_one_look(call, work):
    def look(name):
        return call(name, "class").json()["at"]

    time.sleep(1.1)
    begun = time.monotonic()
    shared = {look(name) for name in ("teacher", "ada", "ben", "cleo") for _ in range(5)}
    assert len(shared) == 1 or time.monotonic() - begun > 1, "each call looked again"
    time.sleep(1.1)
    assert look("ada") > max(shared)


def test_a_long_curve_is_thinned(tmp_path):
    journal = Journal(tmp_path)
    curve = Curve(journal)
    assert curve.read() == {"total_steps": None, "points": []}
    for step in range(1, 1002):
        journal.event("a step", data={"step": step, "total_steps": 2000, "train_loss": 1 / step})
        if step % 100 == 0:
            journal.event("an epoch", data={"step": step, "total_steps": 2000, "full_valid_loss": 2.0})
    found = curve.read()
    steps = [point["step"] for point in found["points"]]
    assert POINTS / 2 < len(steps) <= POINTS + 11 and steps == sorted(set(steps))
    assert {1, 1001, *range(100, 1001, 100)} <= set(steps), "the ends, and those of epochs, are always there"
    journal.event("the last step", data={"step": 2000, "total_steps": 2000, "train_loss": 0.25})
    journal.event("said twice", data={"step": 2000, "total_steps": 2000, "train_loss": 0.25})
    last = curve.read()["points"][-1]
    assert last == {
        "step": 2000,
        "training_loss": 0.25,
        "validation_loss": None,
        "full_validation_loss": None,
    }


@pytest.mark.parametrize(
    ("model", "suffix"),
    [
        ("ft:smollm2-135m-instruct:ada:my-tiny:0a1b2c3d", "my-tiny"),
        ("ft:smollm2-135m-instruct:ada::0a1b2c3d", None),
        ("ada:ft-personal:catechism-2026-11-22-23-31-54", "catechism"),
        ("ada:ft-personal-2026-11-22-23-31-54", None),
        ("", None),
    ],
)
def test_the_word_that_a_models_owner_gave(model, suffix):
    assert _suffix(model) == suffix


# The page's own files


@pytest.fixture(scope="module")
def site(school):
    with httpx2.Client(base_url=school.url.removesuffix("/v1"), trust_env=False) as client:
        yield client


def test_the_page_needs_no_key_and_tells_nothing(site):
    answer = site.get("/")
    assert answer.status_code == 200 and answer.headers["content-type"].startswith("text/html")
    assert "<script>" not in answer.text and "style=" not in answer.text
    assert site.get("/v1/class").status_code == 401
    for name in re.findall(r'(?:src|href)="([^"#]+)"', answer.text):
        assert not name.startswith(("/", "http")), f"{name} does not stay below a proxy's prefix"
        assert site.get(f"/{name}").status_code == 200


def test_every_module_of_the_page_is_served(site):
    waiting, known = ["main.js"], set()
    while waiting:
        name = waiting.pop()
        known.add(name)
        answer = site.get(f"/page/{name}")
        assert answer.status_code == 200 and answer.headers["content-type"].startswith("text/javascript")
        assert "innerHTML" not in answer.text and "eval(" not in answer.text
        waiting += set(re.findall(r'from "\./([a-z]+\.js)"', answer.text)) - known
    assert len(known) > 5


def test_the_browser_is_told_to_trust_nothing_else(site):
    for path in ("/", "/page/main.js", "/page/style.css"):
        headers = site.get(path).headers
        policy = dict(part.split(" ", 1) for part in headers["content-security-policy"].split("; "))
        assert policy["default-src"] == "'none'"
        assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
        assert policy["frame-ancestors"] == policy["form-action"] == policy["base-uri"] == "'none'"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"


def test_a_browser_that_has_the_page_need_not_load_it_again(site):
    first = site.get("/page/style.css")
    assert first.headers["cache-control"] == "no-cache"
    again = site.get("/page/style.css", headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert "content-security-policy" in again.headers


@pytest.mark.parametrize("path", ["/page/__init__.py", "/page/..%2fcli.py", "/page/%2e%2e/cli.py", "/page/no.js"])
def test_nothing_but_the_page_is_served(site, path):
    answer = site.get(path)
    assert answer.status_code == 404
    assert json.loads(answer.text)["error"]["code"] == "unknown_url"
