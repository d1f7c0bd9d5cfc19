import openai
import pytest

from conftest import finished


def upload(client, text):
    return client.files.create(file=("data.jsonl", text.encode()), purpose="fine-tune").id


def test_a_job_ends_well(trained, client):
    assert trained.status == "succeeded"
    assert trained.fine_tuned_model.startswith("ft:smollm2-135m-instruct:tester:my-tiny:")
    assert trained.model == "smollm2-135m-instruct"
    assert trained.seed == 7 and trained.trained_tokens > 0 and trained.finished_at >= trained.created_at
    assert isinstance(trained.hyperparameters.n_epochs, int)
    assert trained.method.supervised.hyperparameters.n_epochs == trained.hyperparameters.n_epochs


def test_the_first_event_says_what_is_really_trained(trained, client):
    events = list(client.fine_tuning.jobs.list_events(trained.id, limit=7))
    first = events[-1].message
    assert "SmolLM2-135M-Instruct, an open model" in first and "stands in for ada" in first


def test_events_are_complete_ordered_and_paged(trained, client):
    events = list(client.fine_tuning.jobs.list_events(trained.id, limit=7))
    assert len({event.id for event in events}) == len(events)
    steps = [event.data["step"] for event in events if event.type == "metrics"][::-1]
    assert steps == list(range(1, len(steps) + 1)) and len(steps) == events[-1 - 5].data["total_steps"]
    words = [event.message for event in events if event.type == "message"][::-1]
    assert [w.split(":")[0] for w in words[1:4]] == [
        "Validating training file",
        "Files validated, moving job to queued state",
        "Fine-tuning job started",
    ]
    assert words[-1] == "The job has successfully completed"


def test_the_result_file_is_plain_csv(trained, client):
    lines = client.files.content(trained.result_files[0]).text.splitlines()
    assert lines[0] == "step,train_loss,train_accuracy,valid_loss,valid_mean_token_accuracy"
    assert len(lines) > 12
    assert client.files.retrieve(trained.result_files[0]).purpose == "fine-tune-results"


def test_the_trained_model_is_listed_and_answers(trained, client):
    assert trained.fine_tuned_model in [model.id for model in client.models.list()]
    answer = client.completions.create(model=trained.fine_tuned_model, prompt="What is sun?", temperature=0)
    assert answer.model == trained.fine_tuned_model and answer.choices[0].text


@pytest.mark.parametrize(
    ("data", "code", "sentence"),
    [
        ('{"prompt": "a", "completion": " b"}\n' * 7, "invalid_n_examples", "has 7 example(s)"),
        ("no json\n", "invalid_training_file", "Line 1 is not valid JSON"),
        ('{"question": "a"}\n' * 12, "invalid_training_file", "Unexpected file format"),
    ],
)
def test_a_bad_file_fails_the_job_not_the_request(client, data, code, sentence):
    job = client.fine_tuning.jobs.create(training_file=upload(client, data), model="ada")
    assert job.status == "validating_files"
    job = finished(client, job.id)
    assert (job.status, job.error.code, job.error.param) == ("failed", code, "training_file")
    assert sentence in job.error.message


def test_unknown_models_get_the_names_that_exist(client, pairs):
    with pytest.raises(openai.NotFoundError, match="smollm2-135m-instruct") as error:
        client.fine_tuning.jobs.create(training_file="file-1", model="gpt-9")
    assert error.value.code == "model_not_found"


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"training_file": "file-none"}, "invalid training_file: file-none"),
        ({"suffix": ""}, "1 to 64 characters"),
        ({"hyperparameters": {"n_epochs": 0}}, "'n_epochs' must be 'auto' or from 1 to 50"),
        ({"method": {"type": "dpo"}}, "not 'dpo'"),
        ({"integrations": [{"type": "wandb", "wandb": {"project": "x"}}]}, "integrations"),
        ({"extra_body": {"wings": 2}}, "wings"),
    ],
)
def test_what_is_not_offered_is_refused_by_name(client, options, sentence):
    file = upload(client, '{"prompt": "a", "completion": " b"}\n' * 10)
    with pytest.raises(openai.BadRequestError, match=sentence):
        client.fine_tuning.jobs.create(**{"training_file": file, "model": "ada", **options})


def test_a_job_can_be_cancelled_once(client, pairs):
    job = client.fine_tuning.jobs.create(
        training_file=upload(client, pairs.read_text()), model="ada", hyperparameters={"n_epochs": 50}
    )
    cancelled = client.fine_tuning.jobs.cancel(job.id)
    assert cancelled.status == "cancelled" and cancelled.finished_at
    with pytest.raises(openai.BadRequestError, match="can't be cancelled"):
        client.fine_tuning.jobs.cancel(job.id)


def test_jobs_are_listed_newest_first(client, trained):
    jobs = list(client.fine_tuning.jobs.list(limit=1))
    assert trained.id in [job.id for job in jobs]
    assert [job.created_at for job in jobs] == sorted((job.created_at for job in jobs), reverse=True)
    with pytest.raises(openai.NotFoundError):
        client.fine_tuning.jobs.retrieve("ftjob-none")
