import openai
import pytest

import openai_lesson as lesson
from conftest import Service
from openai_lesson import LessonError, watching


def test_start_follow_ask(client, pairs, capsys, monkeypatch):
    """Interrupting stops the showing, not the training. Following again shows everything."""
    started = lesson.start(client, pairs, "ada", suffix="followed", hyperparameters={"n_epochs": 2})

    def interrupt(_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(watching.time, "sleep", interrupt)
        lesson.follow(client, started.id)
    assert f"follow(client, '{started.id}')" in capsys.readouterr().out
    job = lesson.follow(client, started)
    shown = capsys.readouterr()
    assert job.status == "succeeded" and job.fine_tuned_model
    assert "SmolLM2-135M-Instruct" in shown.out and "Epoch 2/2: training loss=" in shown.out
    assert "succeeded" in shown.err and "|█████████████████████████|" in shown.err
    assert lesson.latest_model(client) == job.fine_tuned_model
    assert isinstance(lesson.ask(client, "What is sun?", job.fine_tuned_model), str)
    again = lesson.follow(client)
    assert again.id == job.id and capsys.readouterr().out == shown.out


def test_a_failed_job_says_why(client, tmp_path):
    path = tmp_path / "bad.jsonl"
    path.write_text("no json\n")
    with pytest.raises(LessonError, match="Line 1 is not valid JSON"):
        lesson.follow(client, lesson.start(client, path))


def test_a_service_that_comes_back_is_found_again(new_service, pairs, monkeypatch):
    """The service is killed while a notebook follows; started again at the same address, the job goes on."""
    service: Service = new_service()
    client = service.client()
    job = lesson.start(client, pairs, hyperparameters={"n_epochs": 3})
    port = service.url.rsplit(":", 1)[1].split("/")[0]
    sleeps = []

    def sleep(seconds):
        sleeps.append(seconds)
        if len(sleeps) == 1:
            service.kill()
        if len(sleeps) == 3:
            service.options = ("--port", port)
            service.start()
        real_sleep(0.3)

    real_sleep = watching.time.sleep
    monkeypatch.setattr(watching.time, "sleep", sleep)
    assert lesson.follow(client, job).status == "succeeded"


def test_missing_files_and_jobs(service):
    client = service.client("newcomer")
    with pytest.raises(LessonError, match="01-prepare-data"):
        lesson.start(client, "nothing.jsonl")
    with pytest.raises(LessonError, match="02-train"):
        lesson.follow(client)
    with pytest.raises(LessonError, match="02-train"):
        lesson.latest_model(client)


def test_openai_refuses_new_customers(monkeypatch, client, pairs):
    import httpx2

    request = httpx2.Request("POST", "https://api.openai.com/v1/fine_tuning/jobs")
    body = {"code": "training_not_available", "message": "no"}

    def refuse(**_):
        raise openai.PermissionDeniedError("no", response=httpx2.Response(403, request=request), body=body)

    monkeypatch.setattr(client.fine_tuning.jobs, "create", refuse)
    with pytest.raises(LessonError, match=r"connect\('local'\)"):
        lesson.start(client, pairs)
