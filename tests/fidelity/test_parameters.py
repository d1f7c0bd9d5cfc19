"""Does docs/api.md tell the truth? It must be what the generator makes, and every parameter in it is tried."""

import re
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "docs"))

from make_api import PAGE, not_offered, page, parameters
from offered import offers
from official import calls, key
from recorder import Recorder
from samples import accepted, refused, working

OFFERS = {f"{offer.method} {offer.path}": offer for offer in offers()}
CALLS = calls()
QUERIES = {"after": None, "limit": "1", "order": "asc", "purpose": "fine-tune", "metadata": {"metadata[a]": "b"}}


def params(method, state=None):
    """Every parameter of the endpoints with this method, as pytest wants them."""
    return [
        pytest.param(offer, one, id=f"{offer.path} {one.name}")
        for offer in OFFERS.values()
        for one in parameters(offer, CALLS.get(key(offer.method, offer.path)))
        if offer.method == method and offer.path != "/v1/files" and state in (None, one.state == "refused")
    ]


@pytest.fixture(scope="module")
def recorder(service, client):
    return Recorder(f"{service.url}/", client.api_key, list(OFFERS.values()))


@pytest.fixture(scope="module")
def file(recorder, pairs):
    return recorder.upload("pairs.jsonl", pairs.read_bytes())["id"]


@pytest.fixture(scope="module")
def job_id(request, recorder):
    """A job that succeeded: one that other tests left, or else a new one."""
    jobs = recorder.get("fine_tuning/jobs?limit=100")["data"]
    done = [job["id"] for job in jobs if job["status"] == "succeeded"]
    return done[0] if done else request.getfixturevalue("trained").id


def filled(body, file):
    return {name: file if value == "FILE" else value for name, value in body.items()}


def post(recorder, offer, body):
    """A call that must succeed. A job that it makes is cancelled."""
    path = offer.path.removeprefix("/v1/")
    answer = recorder.post(path, body)
    if path.startswith("fine"):
        recorder.post(f"{path}/{answer['id']}/cancel")


def test_the_page_is_what_the_generator_makes():
    assert PAGE.read_text(encoding="utf-8") == page(), "run `make docs` and commit docs/api.md"


@pytest.mark.parametrize(("offer", "one"), params("POST", state=False))
def test_what_works_is_accepted(recorder, file, offer, one):
    post(recorder, offer, filled(working(offer.path, one.name), file))


@pytest.mark.parametrize(("offer", "one"), params("POST", state=True))
def test_what_is_refused_is_refused_by_name(recorder, file, offer, one):
    call = CALLS.get(key(offer.method, offer.path))
    body = refused(offer.path, call and call.params, one.name, offer.table("HARMLESS") or {})
    error = recorder.post(offer.path.removeprefix("/v1/"), filled(body, file), status=400)["error"]
    assert (error["param"], error["code"]) == (one.name, "unsupported_parameter"), error["message"]


def test_values_that_ask_for_nothing_are_accepted(recorder, file):
    for offer in (offer for offer in OFFERS.values() if offer.endpoint.__name__ == "create"):
        for name in offer.table("HARMLESS") or {}:
            for value in accepted(offer.table("HARMLESS"), name):
                post(recorder, offer, filled(working(offer.path, "model") | {name: value}, file))


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"hyperparameters": {"wings": 2}}, "hyperparameters.wings"),
        ({"method": {"type": "supervised", "supervised": {"wings": 2}}}, "method.supervised.wings"),
        (
            {"method": {"type": "supervised", "supervised": {"hyperparameters": {"wings": 2}}}},
            "method.supervised.hyperparameters.wings",
        ),
    ],
)
def test_unknown_names_inside_are_refused_too(recorder, file, more, param):
    error = recorder.post("fine_tuning/jobs", {"model": "ada", "training_file": file, **more}, status=400)["error"]
    assert (error["param"], error["code"]) == (param, "unsupported_parameter"), error["message"]


@pytest.mark.parametrize("call", not_offered(), ids=lambda call: f"{call.method} {call.path}")
def test_what_is_not_offered_says_so(recorder, call):
    path = re.sub(r"\{[^}]*\}", "some-id", call.path.removeprefix("/"))
    status = 405 if key("", call.path)[1] in {key("", offer.path)[1] for offer in OFFERS.values()} else 404
    error = recorder.call(call.method, path, status=status)["error"]
    assert error["code"] == {404: "unknown_url", 405: "method_not_supported"}[status]


def test_the_parameters_of_an_upload(recorder, pairs):
    states = {one.name: one.state for one in parameters(OFFERS["POST /v1/files"], CALLS["POST", "/files"])}
    assert states == {"file": "works", "purpose": "differs", "expires_after": "refused"}
    expiry = {"purpose": "fine-tune", "expires_after[anchor]": "created_at", "expires_after[seconds]": "3600"}
    files = {"file": ("pairs.jsonl", pairs.read_bytes())}
    error = recorder.call("POST", "files", files=files, data=expiry, status=400)["error"]
    assert (error["param"], error["code"]) == ("expires_after", "unsupported_parameter")


@pytest.mark.parametrize(("offer", "one"), params("GET"))
def test_the_parameters_of_lists(recorder, file, job_id, offer, one):
    path = offer.path.removeprefix("/v1/").replace("{id}", job_id)
    value = QUERIES[one.name]
    query = value if isinstance(value, dict) else {one.name: value}
    if one.name == "after":
        query = {"after": recorder.get(path)["data"][0]["id"]}
    status = 400 if one.state == "refused" else 200
    answer = recorder.get(path, params=query, status=status)
    if status == 400:
        assert answer["error"]["param"] == one.name


def test_query_parameters_do_what_they_say(recorder, client):
    """Not only accepted: they change what comes."""
    for name in ("older", "newer"):
        client.files.create(file=(f"{name}.jsonl", b"{}"), purpose="fine-tune")
    first, second = recorder.get("files?limit=2&purpose=fine-tune")["data"]
    assert recorder.get(f"files?limit=1&purpose=fine-tune&after={first['id']}")["data"] == [second]
    assert recorder.get("files?order=asc&limit=1")["data"][0]["created_at"] <= second["created_at"]
    assert recorder.get("files?purpose=vision")["data"] == []
    assert recorder.get("fine_tuning/jobs", params={"metadata[none]": "such"})["data"] == []
