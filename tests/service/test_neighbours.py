"""What a learner's own things say of others': nothing but how much there is to do.

Ada has all sorts of things, with words in them that can be found again. Ben asks for everything that he may see.
"""

import json
import time

import httpx2
import openai
import pytest

from conftest import finished
from openai_local.home import Home
from openai_local.service.job_records import Records
from openai_local.service.store import Store

SECRET = "zebra"
"""Stands in each name that Ada gives."""


@pytest.fixture(scope="module")
def people(service, pairs, tmp_path_factory):
    """Ada's ids and names, and how to call the service as Ben and as the instructor."""
    ada = service.client(f"{SECRET}-ada")
    text = pairs.read_text().replace("moon", SECRET)
    upload = ada.files.create(file=(f"{SECRET}.jsonl", text.encode() * 20), purpose="fine-tune").id
    asked = {"training_file": upload, "model": "ada", "suffix": SECRET, "metadata": {SECRET: SECRET}}
    done = finished(ada, ada.fine_tuning.jobs.create(**asked, hyperparameters={"n_epochs": 1}).id)
    assert done.status == "succeeded"
    broken = "\n".join(json.dumps({"prompt": f"{SECRET} {n}"}) for n in range(12))
    bad = ada.files.create(file=(f"{SECRET}-bad.jsonl", broken.encode()), purpose="fine-tune").id
    failed = finished(ada, ada.fine_tuning.jobs.create(training_file=bad, model="ada").id)
    assert failed.status == "failed"
    runs = ada.fine_tuning.jobs.create(**asked, hyperparameters={"n_epochs": 50, "batch_size": 1})
    secrets = {upload, bad, SECRET} | {job.id.removeprefix("ftjob-") for job in (done, failed, runs)}
    ben, chief = service.client("ben"), service.client("chief", instructor=True)
    yield ada, ben, chief, secrets, runs
    ada.fine_tuning.jobs.cancel(runs.id)


@pytest.fixture
def http(service, people):
    with httpx2.Client(
        base_url=service.url, headers={"authorization": f"Bearer {service.keys['ben']}"}, trust_env=False
    ) as http:
        yield http


def test_what_ben_sees_holds_nothing_of_adas(people, http, pairs):
    """Lists, the page's numbers, a job that waits behind hers with its events and its stream, and errors."""
    _, ben, _, secrets, _ = people
    own = ben.files.create(file=pairs.open("rb"), purpose="fine-tune").id
    job = ben.fine_tuning.jobs.create(training_file=own, model="ada", hyperparameters={"n_epochs": 1}).id
    old, said = job.replace("ftjob-", "ft-"), []
    with http.stream("GET", f"/fine-tunes/{old}/events?stream=true") as stream:
        time.sleep(2.2)  # the queue tells who waits, and the page looks again
        for path in (
            *("files", "fine_tuning/jobs", "fine-tunes", "models", "engines", "class", "models/x", "engines/x"),
            *(f"fine_tuning/jobs/{job}", f"fine_tuning/jobs/{job}/events", f"fine_tuning/jobs/{job}/checkpoints"),
            *(f"fine-tunes/{old}", f"fine-tunes/{old}/events", f"class/jobs/{job}/curve", f"files/{own}"),
            *("files/x", "fine_tuning/jobs/x", "nothing"),
        ):
            answer = http.get(f"/{path}")
            said += [answer.text, str(answer.headers)]
        for body in ({"model": "x", "prompt": "x"}, {"model": "ada", "prompt": "x", "max_tokens": 1}):
            said.append(http.post("/completions", json=body).text)
        for verb in ("cancel", "pause"):
            said.append(http.post(f"/fine_tuning/jobs/{job}/{verb}").text)
        said.append(http.delete(f"/files/{own}").text)
        streamed = stream.read().decode()
    assert "Created fine-tune" in streamed and "[DONE]" in streamed
    text = "\n".join([*said, streamed])
    assert "Jobs ahead in the queue: 1" in text, "else he has not waited behind her"
    assert not [secret for secret in secrets if secret in text]


def test_a_file_that_an_instructors_job_needs_does_not_tell_which(people, pairs):
    """An instructor may train with a learner's file. The learner can't delete it then, and gets no id."""
    _, ben, chief, _, _ = people
    own = ben.files.create(file=pairs.open("rb"), purpose="fine-tune").id
    settings = {"n_epochs": 50, "batch_size": 1}
    theirs = chief.fine_tuning.jobs.create(training_file=own, model="ada", hyperparameters=settings).id
    with pytest.raises(openai.ConflictError, match="an instructor's job") as raised:
        ben.files.delete(own)
    assert theirs not in raised.value.response.text
    with pytest.raises(openai.ConflictError, match=theirs):
        chief.files.delete(own)
    chief.fine_tuning.jobs.cancel(theirs)
    assert ben.files.delete(own).deleted


def test_a_key_that_was_revoked_is_worth_nothing_at_once(service, people):
    dora = service.client("dora")
    assert dora.models.list().data
    service.command("keys", "revoke", "dora")
    with pytest.raises(openai.AuthenticationError):
        dora.models.list()


def test_where_the_home_lies_is_not_told(tmp_path):
    """The path of a log, say, has the name in it of whoever runs the service."""
    home = Home.open(tmp_path)
    store = Store(home.database)
    cache = tmp_path.parent / "cache"
    records = Records(store, home, cache)
    journal = records.journal("ftjob-x")
    journal.folder.mkdir()
    journal.event(f"There is no room in {home.path}, and no {cache / 'bases'}.")
    records.copy("ftjob-x")
    records.tell("ftjob-x", f"The log is {home.jobs / 'ftjob-x' / 'train.log'}.")
    records.fail("ftjob-x", "server_error", f"There is no room in {home.path}.")
    said = [event["message"] for event in store.events("ftjob-x")]
    store.close()
    assert said == [
        "The job failed: There is no room in HOME.",
        "The log is HOME/jobs/ftjob-x/train.log.",
        "There is no room in HOME, and no CACHE/bases.",
    ]
