"""The process: who gets in, and what survives."""

import json
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request

import openai
import pytest
from starlette.testclient import TestClient

from conftest import finished
from openai_local.home import Home
from openai_local.service.app import create_app
from openai_local.service.auth import make_key
from openai_local.service.store import Store


def start_job(client, pairs, **hyperparameters):
    with pairs.open("rb") as file:
        upload = client.files.create(file=file, purpose="fine-tune")
    return client.fine_tuning.jobs.create(training_file=upload.id, model="ada", hyperparameters=hyperparameters)


def wait_for_steps(client, job):
    while not any(event.type == "metrics" for event in client.fine_tuning.jobs.list_events(job.id)):
        time.sleep(0.1)


def get(url, **headers):
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers)) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def test_it_starts_quickly(new_service):
    times = [new_service().start_seconds for _ in range(3)]
    assert min(times) < 2.0, f"starting took {times} seconds"


def test_every_call_needs_a_key(service, client):
    for headers in ({}, {"Authorization": "Bearer sk-wrong"}, {"Authorization": "Bearer "}):
        status, body = get(f"{service.url}/models", **headers)
        assert status == 401 and "openai-local keys new" in body["error"]["message"]
    with pytest.raises(openai.AuthenticationError):
        openai.OpenAI(base_url=service.url, api_key="abc", max_retries=0).models.list()
    assert get(service.url.replace("/v1", "/health")) == (200, {"status": "ok"})


def test_unknown_paths_answer_in_the_envelope(service, client):
    key = {"Authorization": f"Bearer {client.api_key}"}
    status, body = get(f"{service.url}/wings", **key)
    assert status == 404 and body["error"]["code"] == "unknown_url"
    with pytest.raises(openai.NotFoundError):
        client.embeddings.create(model="ada", input="x")


def test_two_services_do_not_share_a_home(service):
    done = subprocess.run(
        [sys.executable, "-m", "openai_local", "serve", "--port", "0"],
        env=service.environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1 and service.url in done.stderr and "Traceback" not in done.stderr


def test_a_taken_port_is_explained(service, tmp_path):
    port = service.url.split(":")[2].split("/")[0]
    done = subprocess.run(
        [sys.executable, "-m", "openai_local", "serve", "--port", port, "--home", str(tmp_path)],
        env=service.environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1 and "Choose another port" in done.stderr


def test_answering_never_imports_torch(tiny_cache):
    program = (
        "import sys; from pathlib import Path; import openai_local.service.app;"
        "from openai_local.engine.answering import Answering, Target;"
        "from openai_local.engine.base import SMOLLM2;"
        f"target = Target(SMOLLM2.gguf(Path({str(tiny_cache)!r})));"
        "a = Answering(); a.complete(target, {'prompt': 'a', 'max_tokens': 1});"
        "a.close(); print([m for m in ('torch', 'transformers', 'peft') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_trained_model_answers_after_a_crash(new_service, pairs):
    service = new_service()
    client = service.client()
    job = start_job(client, pairs, n_epochs=1)
    before = finished(client, job.id)
    ask = {"model": before.fine_tuned_model, "prompt": "What is sun?", "temperature": 0}
    said = client.completions.create(**ask).choices
    events = list(client.fine_tuning.jobs.list_events(job.id))

    service.kill()
    service.start()

    client = service.client()
    assert client.fine_tuning.jobs.retrieve(job.id) == before
    assert list(client.fine_tuning.jobs.list_events(job.id)) == events
    assert client.files.content(job.training_file).content == pairs.read_bytes()
    assert client.completions.create(**ask).choices == said


def test_a_running_job_outlives_the_service(new_service, pairs):
    service = new_service()
    client = service.client()
    job = start_job(client, pairs, n_epochs=25, batch_size=1)
    wait_for_steps(client, job)

    service.kill()
    service.start()

    client = service.client()
    assert finished(client, job.id).status == "succeeded"
    events = list(client.fine_tuning.jobs.list_events(job.id, limit=100))
    steps = [event.data["step"] for event in events if event.type == "metrics"][::-1]
    assert steps == list(range(1, 301)), "each step is told once, in order"


def test_a_training_process_that_dies_is_started_again(new_service, pairs):
    service = new_service()
    client = service.client()
    job = start_job(client, pairs, n_epochs=10, batch_size=1)
    pid = service.home / "jobs" / job.id / "pid"
    wait_for_steps(client, job)
    subprocess.run(["kill", "-9", pid.read_text()], check=True)
    assert finished(client, job.id).status == "succeeded"
    words = [event.message for event in client.fine_tuning.jobs.list_events(job.id, limit=100)]
    assert sum(word.startswith("The training process ended without a result") for word in words) == 1


def test_it_stops_when_nobody_calls(new_service):
    service = new_service("--idle-timeout", "1")
    assert service.process.wait(timeout=20) == 0
    assert "No service runs" in service.command("status")


def test_it_stops_when_told(new_service):
    service = new_service()
    client = service.client()
    client.completions.create(model="ada", prompt="a", max_tokens=1)  # llama.cpp takes over signals here
    assert service.url in service.command("stop")
    assert service.process.wait(timeout=20) in (0, -signal.SIGTERM)


def test_bad_names_of_keys_are_refused(service):
    done = subprocess.run(
        [sys.executable, "-m", "openai_local", "keys", "new", "a b"],
        env=service.environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1 and "letters, digits" in done.stderr


def test_a_crash_is_answered_in_the_envelope_and_ends_no_connection(tiny_cache, tmp_path, monkeypatch, caplog):
    """A bug in a route: OpenAI's envelope without details, the details in the log, and the next call works."""
    monkeypatch.setattr(Store, "page", lambda *_, **__: 1 / 0)
    app = create_app(Home.open(tmp_path), tiny_cache)
    key = make_key(app.state.context.store, "tester")
    http = TestClient(app, headers={"Authorization": f"Bearer {key}"})
    answer = http.get("/v1/files")
    assert answer.status_code == 500 and answer.json()["error"]["type"] == "server_error"
    assert "division" not in answer.text and "division by zero" in caplog.text
    assert http.get("/health").status_code == 200
