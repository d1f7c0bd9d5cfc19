"""Each learner sees only their own; what is somebody else's answers as what does not exist."""

import httpx2
import pytest

from conftest import finished

ROUTES = [
    ("GET", "/files/{file}"),
    ("GET", "/files/{file}/content"),
    ("DELETE", "/files/{file}"),
    ("GET", "/files?after={file}"),
    ("GET", "/fine_tuning/jobs/{job}"),
    ("POST", "/fine_tuning/jobs/{job}/cancel"),
    ("POST", "/fine_tuning/jobs/{job}/pause"),
    ("POST", "/fine_tuning/jobs/{job}/resume"),
    ("GET", "/fine_tuning/jobs/{job}/events"),
    ("GET", "/fine_tuning/jobs/{job}/checkpoints"),
    ("GET", "/fine_tuning/jobs?after={job}"),
    ("GET", "/fine-tunes/{old}"),
    ("POST", "/fine-tunes/{old}/cancel"),
    ("GET", "/fine-tunes/{old}/events"),
    ("GET", "/fine-tunes/{old}/events?stream=true"),
    ("GET", "/models/{model}"),
    ("DELETE", "/models/{model}"),
    ("GET", "/engines/{model}"),
    ("GET", "/class/jobs/{job}/curve"),
    ("POST", "/class/jobs/{job}/first"),
    ("POST", "/class/jobs/{job}/last"),
]
CURSORS = ("/files", "/fine_tuning/jobs", "/fine_tuning/jobs/{own}/events", "/fine_tuning/jobs/{own}/checkpoints")
ASKS = [
    ("/completions", {"model": "{model}", "prompt": "Hello"}),
    ("/chat/completions", {"model": "{model}", "messages": [{"role": "user", "content": "Hello"}]}),
    ("/responses", {"model": "{model}", "input": "Hello"}),
    ("/engines/{model}/completions", {"prompt": "Hello"}),
    ("/fine_tuning/jobs", {"model": "ada", "training_file": "{file}"}),
    ("/fine_tuning/jobs", {"model": "{model}", "training_file": "{file}"}),
    ("/fine-tunes", {"model": "ada", "training_file": "{file}", "validation_file": "{file}"}),
]


@pytest.fixture(scope="module")
def ids(trained):
    """What belongs to "tester", and the same with ids that nobody has."""
    job = trained.id
    theirs = {"file": trained.training_file, "job": job, "old": job.replace("ftjob-", "ft-")}
    theirs["model"] = trained.fine_tuned_model
    nobodys = {name: id_[:-6] + "a1b2c3" for name, id_ in theirs.items()}
    return theirs, nobodys


@pytest.fixture(scope="module")
def stranger(service):
    service.client("stranger")
    headers = {"authorization": f"Bearer {service.keys['stranger']}"}
    with httpx2.Client(base_url=service.url, headers=headers, trust_env=False) as client:
        yield client


@pytest.fixture(scope="module")
def wanderer(service, pairs):
    """Somebody who has a job of their own, and its id."""
    client = service.client("wanderer")
    with pairs.open("rb") as file:
        upload = client.files.create(file=file, purpose="fine-tune")
    job = client.fine_tuning.jobs.create(training_file=upload.id, model="ada", hyperparameters={"n_epochs": 1})
    finished(client, job.id)
    headers = {"authorization": f"Bearer {service.keys['wanderer']}"}
    with httpx2.Client(base_url=service.url, headers=headers, trust_env=False) as http:
        yield http, job.id


def said(answer, ids):
    text = answer.text
    for name, id_ in ids.items():
        text = text.replace(id_, f"<{name}>")
    headers = {name for name in answer.headers if name not in ("date", "x-request-id", "content-length")}
    return answer.status_code, text, headers


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_anothers_id_is_like_one_that_does_not_exist(stranger, ids, method, path):
    theirs, nobodys = (said(stranger.request(method, path.format(**each)), each) for each in ids)
    assert theirs == nobodys
    assert theirs[0] == (400 if "after=" in path else 404)


@pytest.mark.parametrize(("path", "body"), ASKS)
def test_nobody_asks_or_trains_with_what_is_anothers(stranger, ids, path, body):
    def ask(names):
        filled = {name: value.format(**names) if isinstance(value, str) else value for name, value in body.items()}
        return said(stranger.post(path.format(**names), json=filled), names)

    theirs, nobodys = map(ask, ids)
    assert theirs == nobodys
    assert theirs[0] in (400, 404)


@pytest.mark.parametrize("path", CURSORS)
def test_no_list_goes_on_behind_what_is_anothers(wanderer, ids, path):
    """Else one could ask whether there is such an id: a model's name of 2022 can be guessed."""
    http, own = wanderer
    for kind in ids[0]:
        theirs, nobodys = (
            said(http.get(path.format(own=own), params={"after": each[kind]}), each) for each in ids
        )
        assert theirs == nobodys and theirs[0] == 400, kind


def test_lists_hold_ones_own(stranger, service, ids):
    for path in ("/files", "/fine_tuning/jobs", "/fine-tunes"):
        assert stranger.get(path).json()["data"] == []
        assert ids[0]["job"].removeprefix("ftjob-") not in stranger.get(path).text
    for path in ("/models", "/engines"):
        assert "ft:" not in stranger.get(path).text
    assert ids[0]["job"] in [job.id for job in service.client().fine_tuning.jobs.list()]


def test_an_instructor_sees_and_asks_all(service, ids):
    teacher = service.client("teacher", instructor=True)
    assert ids[0]["job"] in [job.id for job in teacher.fine_tuning.jobs.list()]
    assert ids[0]["file"] in [file.id for file in teacher.files.list()]
    assert teacher.completions.create(model=ids[0]["model"], prompt="What is sun?", max_tokens=2).usage
    teacher.fine_tuning.jobs.list(after=ids[0]["job"])


def test_models_are_named_after_their_owner(ids, service, pairs):
    assert ids[0]["model"].split(":")[2] == "tester"
