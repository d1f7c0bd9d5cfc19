"""The API of 2022, which the official client has forgotten: through plain HTTP."""

import json
import re
import sqlite3

import httpx
import pytest

from conftest import finished


@pytest.fixture(scope="module")
def http(service, client):
    """Plain HTTP with a key."""
    with httpx.Client(
        base_url=service.url, headers={"Authorization": f"Bearer {client.api_key}"}, timeout=60
    ) as http:
        yield http


def upload(client, text):
    return client.files.create(file=("data.jsonl", text.encode()), purpose="fine-tune").id


@pytest.fixture(scope="module")
def streamed(http, client, pairs):
    """A fine-tune of 2022, followed by server-sent events to its end: (as created, events)."""
    created = http.post("/fine-tunes", json={"training_file": upload(client, pairs.read_text()), "model": "ada"})
    assert created.status_code == 200, created.text
    with http.stream("GET", f"/fine-tunes/{created.json()['id']}/events", params={"stream": "true"}) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        lines = [line for line in answer.iter_lines() if line]
    assert lines[-1] == "data: [DONE]"
    return created.json(), [json.loads(line.removeprefix("data: ")) for line in lines[:-1]]


def test_a_fine_tune_as_it_is_created(streamed):
    created, _ = streamed
    assert re.fullmatch(r"ft-[0-9a-f]{24}", created["id"])
    assert (created["object"], created["model"], created["status"]) == ("fine-tune", "ada", "pending")
    assert created["hyperparams"] == {
        "n_epochs": 4,
        "batch_size": None,
        "learning_rate_multiplier": None,
        "prompt_loss_weight": 0.01,
    }
    assert created["training_files"][0]["filename"] == "data.jsonl"
    assert created["validation_files"] == created["result_files"] == []
    assert created["events"][0]["message"] == f"Created fine-tune: {created['id']}"


def test_its_events_are_those_of_2022(streamed):
    created, events = streamed
    assert {event["object"] for event in events} == {"fine-tune-event"}
    words = [re.sub(r"personal-[-0-9]+|file-\w+", "…", event["message"]) for event in events]
    assert words[0] == f"Created fine-tune: {created['id']}" and "SmolLM2-135M-Instruct" in words[1]
    assert words[2:] == [
        "Fine-tune costs $0.00",
        "Fine-tune enqueued. Queue number: 0",
        "Fine-tune started",
        *(f"Completed epoch {epoch}/4" for epoch in range(1, 5)),
        "Uploaded model: ada:ft-…",
        "Uploaded result file: …",
        "Fine-tune succeeded",
    ]


def test_a_fine_tune_as_it_is_finished(streamed, http):
    done = http.get(f"/fine-tunes/{streamed[0]['id']}").json()
    assert done["status"] == "succeeded" and done["updated_at"] >= done["created_at"]
    assert re.fullmatch(r"ada:ft-personal-\d{4}(-\d\d){5}", done["fine_tuned_model"])
    assert done["hyperparams"]["batch_size"] == 3 and done["hyperparams"]["learning_rate_multiplier"] == 0.1
    assert done["events"] == http.get(f"/fine-tunes/{done['id']}/events").json()["data"] == streamed[1]
    listed = http.get("/fine-tunes").json()["data"]
    assert {k: v for k, v in done.items() if k != "events"} in listed
    lines = http.get(f"/files/{done['result_files'][0]['id']}/content").text.splitlines()
    assert lines[0] == (
        "step,elapsed_tokens,elapsed_examples,training_loss,training_sequence_accuracy,training_token_accuracy"
    )
    assert len(lines) == 1 + 4 * 4 and lines[-1].split(",")[2] == "48"


def test_it_answers_below_its_engine_and_as_a_model(streamed, http, client):
    model = http.get(f"/fine-tunes/{streamed[0]['id']}").json()["fine_tuned_model"]
    old = http.post(f"/engines/{model}/completions", json={"prompt": "What is sun?", "temperature": 0}).json()
    new = client.completions.create(model=model, prompt="What is sun?", temperature=0)
    assert old["choices"][0]["text"] == new.choices[0].text and old["model"] == model
    assert http.get(f"/engines/{model}").json() == {
        "id": model,
        "object": "engine",
        "owner": "openai-local",
        "ready": True,
    }
    names = [engine["id"] for engine in http.get("/engines").json()["data"]]
    assert names[:4] == ["ada", "babbage", "curie", "davinci"] and model in names
    assert http.get("/engines/none").status_code == 404


def test_both_apis_show_the_same_jobs(streamed, trained, http, client):
    """A fine-tune of 2022 is a job of today, and the other way round."""
    job = client.fine_tuning.jobs.retrieve(streamed[0]["id"])
    assert job.id == streamed[0]["id"].replace("ft-", "ftjob-")
    assert job.fine_tuned_model.startswith("ada:ft-personal-") and job.model == "smollm2-135m-instruct"
    assert [c.step_number for c in client.fine_tuning.jobs.checkpoints.list(job.id)] == [16, 12, 8]
    assert len(list(client.fine_tuning.jobs.list_events(job.id))) > 16

    old = http.get(f"/fine-tunes/{trained.id}").json()
    assert old["fine_tuned_model"] == trained.fine_tuned_model and old["status"] == "succeeded"
    assert old["hyperparams"]["prompt_loss_weight"] == 0
    assert [event["message"] for event in old["events"]][-1] == "Fine-tune succeeded"
    assert not any("Step " in event["message"] for event in old["events"])


def test_classification_metrics_are_computed(http, client):
    lines = [{"prompt": f"Is {n} even? ->", "completion": " yes" if n % 2 == 0 else " no"} for n in range(12)]
    data = "".join(json.dumps(line) + "\n" for line in lines)
    body = {
        "training_file": upload(client, data),
        "validation_file": upload(client, data),
        "n_epochs": 2,
        "batch_size": 4,
        "learning_rate_multiplier": 0.2,
        "prompt_loss_weight": 0.1,
        "compute_classification_metrics": True,
        "classification_positive_class": " yes",
        "classification_betas": [0.5],
        "suffix": "Even or odd",
    }
    created = http.post("/fine-tunes", json=body).json()
    assert created["model"] == "curie"
    job = finished(client, created["id"])
    assert job.hyperparameters.learning_rate_multiplier == 2.0
    done = http.get(f"/fine-tunes/{created['id']}").json()
    assert done["status"] == "succeeded", done
    assert re.fullmatch(r"curie:ft-personal:even-or-odd-\d{4}(-\d\d){5}", done["fine_tuned_model"])
    assert done["hyperparams"]["classification_positive_class"] == " yes"
    assert done["hyperparams"]["learning_rate_multiplier"] == 0.2
    rows = http.get(f"/files/{done['result_files'][0]['id']}/content").text.splitlines()
    header = rows[0].split(",")
    assert {"validation_loss", "classification/auroc", "classification/f0.5", "classification/f1.0"} <= set(header)
    place = header.index("classification/accuracy")
    assert [bool(row.split(",")[place]) for row in rows[1:]] == [False, False, True] * 2


def test_a_fine_tune_can_be_cancelled_once(http, client, pairs):
    created = http.post("/fine-tunes", json={"training_file": upload(client, pairs.read_text())}).json()
    assert http.post(f"/fine-tunes/{created['id']}/cancel").json()["status"] == "cancelled"
    again = http.post(f"/fine-tunes/{created['id']}/cancel")
    assert again.status_code == 400 and "can't be cancelled" in again.json()["error"]["message"]
    with http.stream("GET", f"/fine-tunes/{created['id']}/events?stream=true") as answer:
        assert list(answer.iter_lines())[-2] == "data: [DONE]"


def test_a_fine_tune_that_fails_says_so(http, client):
    created = http.post("/fine-tunes", json={"training_file": upload(client, "no json\n")}).json()
    finished(client, created["id"])
    failed = http.get(f"/fine-tunes/{created['id']}").json()
    assert failed["status"] == "failed" and failed["events"][-1]["message"].startswith("Fine-tune failed. Line 1")


@pytest.mark.parametrize(
    ("options", "param"),
    [
        ({"training_file": "file-none"}, "training_file"),
        ({"training_file": None}, "training_file"),
        ({"model": "gpt-9"}, "model"),
        ({"n_epochs": 0}, "n_epochs"),
        ({"n_epochs": "4"}, "n_epochs"),
        ({"prompt_loss_weight": 2}, "prompt_loss_weight"),
        ({"suffix": "x" * 41}, "suffix"),
        ({"compute_classification_metrics": True}, "compute_classification_metrics"),
        ({"wings": 2}, "wings"),
    ],
)
def test_bad_fine_tunes_are_refused_by_name(http, client, trained, options, param):
    answer = http.post("/fine-tunes", json={"training_file": trained.training_file, **options})
    assert answer.status_code in (400, 404) and answer.json()["error"]["param"] == param, answer.text


def test_names_of_the_same_second_differ(http, service, trained):
    body = {"training_file": trained.training_file, "model": "babbage"}
    made = [http.post("/fine-tunes", json=body).json()["id"] for _ in range(3)]
    for fine_tune in made:
        http.post(f"/fine-tunes/{fine_tune}/cancel")
    with sqlite3.connect(service.home / "openai-local.db") as db:
        query = "SELECT json_extract(private, '$.model_name') FROM objects WHERE private LIKE '%babbage:ft-%'"
        names = [name for (name,) in db.execute(query)]
    assert len(names) == len(set(names)) == 3
