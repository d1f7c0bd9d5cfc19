import json
import time

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
    assert steps == list(range(1, len(steps) + 1)) and len(steps) == events[-1 - 6].data["total_steps"]
    words = [event.message for event in events if event.type == "message"][::-1]
    assert [w.split(":")[0] for w in words[1:5]] == [
        "Validating training file",
        "Files validated, moving job to queued state",
        "Jobs ahead in the queue",
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
        ({"method": {"type": "dpo"}}, "does not offer 'dpo'"),
        ({"method": {"type": "reinforcement"}}, "does not offer 'reinforcement'"),
        ({"method": {"type": "supervised", "dpo": {}}}, "does not offer 'dpo'"),
        ({"seed": -1}, "'seed'"),
        ({"metadata": {"k" * 65: "v"}}, "'metadata'"),
        ({"integrations": [{"type": "wandb", "wandb": {"project": "x"}}]}, "integrations"),
        ({"extra_body": {"wings": 2}}, "wings"),
    ],
)
def test_what_is_not_offered_is_refused_by_name(client, options, sentence):
    file = upload(client, '{"prompt": "a", "completion": " b"}\n' * 10)
    with pytest.raises(openai.BadRequestError, match=sentence):
        client.fine_tuning.jobs.create(**{"training_file": file, "model": "ada", **options})


def test_a_fine_tune_can_not_be_trained_further(client, trained):
    with pytest.raises(openai.BadRequestError, match="Name a base model"):
        client.fine_tuning.jobs.create(training_file=trained.training_file, model=trained.fine_tuned_model)


def test_both_forms_of_hyperparameters(client, pairs):
    """The official `method` wins over the older top-level field, and both are reported."""
    file = upload(client, pairs.read_text())
    supervised = {"hyperparameters": {"n_epochs": 2, "batch_size": 5}}
    job = client.fine_tuning.jobs.create(
        training_file=file, model="ada", method={"type": "supervised", "supervised": supervised}
    )
    old = client.fine_tuning.jobs.create(training_file=file, model="ada", hyperparameters={"n_epochs": 3})
    assert job.hyperparameters.n_epochs == job.method.supervised.hyperparameters.n_epochs == 2
    assert old.hyperparameters.n_epochs == old.method.supervised.hyperparameters.n_epochs == 3
    assert job.hyperparameters.batch_size == 5 and job.hyperparameters.learning_rate_multiplier == "auto"
    client.fine_tuning.jobs.cancel(old.id)
    client.fine_tuning.jobs.cancel(job.id)


def test_a_job_can_be_cancelled_once(client, pairs):
    job = client.fine_tuning.jobs.create(
        training_file=upload(client, pairs.read_text()), model="ada", hyperparameters={"n_epochs": 50}
    )
    cancelled = client.fine_tuning.jobs.cancel(job.id)
    assert cancelled.status == "cancelled" and cancelled.finished_at
    with pytest.raises(openai.BadRequestError, match="can't be cancelled"):
        client.fine_tuning.jobs.cancel(job.id)


def wait_for(client, job, status, seconds=60):
    deadline = time.monotonic() + seconds
    while (job := client.fine_tuning.jobs.retrieve(job.id)).status != status:
        assert time.monotonic() < deadline, f"{job.id} is still {job.status}, not {status}"
        time.sleep(0.05)
    return job


def wait_for_step(client, job, step):
    deadline = time.monotonic() + 60
    while not any(step <= int((e.data or {}).get("step", 0)) for e in client.fine_tuning.jobs.list_events(job.id)):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def steps(client, job):
    events = client.fine_tuning.jobs.list_events(job.id, limit=100)
    return [event.data["step"] for event in events if event.type == "metrics"][::-1]


def test_a_job_passes_through_all_states_and_loses_nothing_in_a_pause(client, pairs):
    file = upload(client, pairs.read_text())
    job = client.fine_tuning.jobs.create(
        training_file=file, model="ada", hyperparameters={"n_epochs": 50, "batch_size": 1}, seed=1
    )
    second = client.fine_tuning.jobs.create(training_file=file, model="ada", hyperparameters={"n_epochs": 1})
    assert job.status == second.status == "validating_files"
    assert wait_for(client, second, "queued").status == "queued"
    wait_for(client, job, "running")
    wait_for_step(client, job, 30)
    begun = time.monotonic()
    assert client.fine_tuning.jobs.pause(job.id).status == "paused"
    assert finished(client, second.id).status == "succeeded", "others go on meanwhile"
    assert time.monotonic() - begun < 30
    before = steps(client, job)
    assert client.fine_tuning.jobs.retrieve(job.id).status == "paused"
    with pytest.raises(openai.ConflictError):
        client.files.delete(file)
    with pytest.raises(openai.BadRequestError, match="can't be paused"):
        client.fine_tuning.jobs.pause(job.id)
    assert client.fine_tuning.jobs.resume(job.id).status == "queued"
    wait_for_step(client, job, before[-1] + 20)
    words = [event.message for event in client.fine_tuning.jobs.list_events(job.id, limit=100)]
    assert f"Going on after step {before[-1]}/600" in words, "from the last step, not the last epoch"
    with pytest.raises(openai.BadRequestError, match="can't be resumed"):
        client.fine_tuning.jobs.resume(job.id)
    assert client.fine_tuning.jobs.cancel(job.id).status == "cancelled"
    after = steps(client, job)
    assert after == list(range(1, len(after) + 1)), "every step is told once, in order"


def test_a_job_that_waits_can_be_paused_too(client, pairs):
    job = client.fine_tuning.jobs.create(training_file=upload(client, pairs.read_text()), model="ada")
    client.fine_tuning.jobs.pause(job.id)
    assert client.fine_tuning.jobs.resume(job.id).status in ("validating_files", "queued")
    assert client.fine_tuning.jobs.cancel(job.id).status == "cancelled"


def test_validation_is_told_in_events_checkpoints_and_results(client, pairs):
    file = upload(client, pairs.read_text())
    job = client.fine_tuning.jobs.create(
        training_file=file, validation_file=file, model="ada", hyperparameters={"n_epochs": 4, "batch_size": 4}
    )
    job = finished(client, job.id)
    events = [event.data for event in client.fine_tuning.jobs.list_events(job.id) if event.type == "metrics"]
    assert sum("valid_loss" in data and "valid_mean_token_accuracy" in data for data in events) == 12
    full = [data["full_valid_loss"] for data in events if "full_valid_loss" in data]
    assert len(full) == 4

    checkpoints = list(client.fine_tuning.jobs.checkpoints.list(job.id, limit=2))
    assert [c.step_number for c in checkpoints] == [12, 9, 6], "one per epoch, the last three kept"
    assert [c.metrics.full_valid_loss for c in checkpoints] == full[:3]
    assert checkpoints[0].metrics.full_valid_mean_token_accuracy >= 0
    lines = client.files.content(job.result_files[0]).text.splitlines()
    assert len(lines) == 13 and all("" not in line.split(",") for line in lines)


def test_each_checkpoint_is_a_model(client, trained):
    checkpoints = list(client.fine_tuning.jobs.checkpoints.list(trained.id))
    names = [checkpoint.fine_tuned_model_checkpoint for checkpoint in checkpoints]
    assert names == [f"{trained.fine_tuned_model}:ckpt-step-{c.step_number}" for c in checkpoints]
    assert set(names) <= {model.id for model in client.models.list()}
    ask = {"prompt": "What is sun?", "temperature": 0, "max_tokens": 5}
    last = client.completions.create(model=names[0], **ask)
    assert last.choices == client.completions.create(model=trained.fine_tuned_model, **ask).choices


def test_the_same_seed_gives_the_same_losses(client, trained, pairs):
    file = upload(client, pairs.read_text())
    again = client.fine_tuning.jobs.create(training_file=file, model="ada", seed=trained.seed)
    tables = [client.files.content(job.result_files[0]).text for job in (trained, finished(client, again.id))]
    assert tables[0] == tables[1]


def test_chat_data_with_weights_and_several_answers(client):
    messages = [
        {"role": "system", "content": "Be short."},
        {"role": "user", "content": "sun?"},
        {"role": "assistant", "content": "star", "weight": 0},
        {"role": "user", "content": "moon?"},
        {"role": "assistant", "content": "stone", "weight": 1},
        {"role": "user", "content": "rain?"},
        {"role": "assistant", "content": "water"},
    ]
    data = (json.dumps({"messages": messages}) + "\n") * 10
    job = client.fine_tuning.jobs.create(
        training_file=upload(client, data), model="gpt-4o-mini", hyperparameters={"n_epochs": 1}
    )
    assert finished(client, job.id).status == "succeeded"


def test_a_bad_validation_file_is_named(client, pairs):
    job = client.fine_tuning.jobs.create(
        training_file=upload(client, pairs.read_text()),
        validation_file=upload(client, '{"prompt": "a", "completion": " b"}\n{"prompt": "a"}\n'),
        model="ada",
    )
    job = finished(client, job.id)
    assert (job.status, job.error.param) == ("failed", "validation_file") and "Line 2" in job.error.message


def test_jobs_are_found_by_their_metadata(client, pairs):
    file = upload(client, pairs.read_text())
    made = [
        client.fine_tuning.jobs.create(training_file=file, model="ada", metadata=metadata)
        for metadata in ({"class": "7b", "who": "ada"}, {"class": "7b"}, {"class": ""}, None)
    ]
    for job in made:
        client.fine_tuning.jobs.cancel(job.id)
    assert made[0].metadata == {"class": "7b", "who": "ada"} and made[3].metadata is None

    def found(**query):
        ids = [job.id for job in client.fine_tuning.jobs.list(**query)]
        return [job.id in ids for job in made]

    assert found(metadata={"class": "7b"}, limit=1) == [True, True, False, False]
    assert found(metadata={"class": "7b", "who": "ada"}) == [True, False, False, False]
    assert found(metadata={"class": ""}) == [False, False, True, False]
    assert found(extra_query={"metadata": "null"}) == [False, False, False, True]


@pytest.mark.parametrize("query", [{"after": "ftjob-none"}, {"limit": 0}, {"limit": 5000}])
def test_pages_that_do_not_exist_are_refused(client, trained, query):
    for fetch in (
        client.fine_tuning.jobs.list,
        lambda **q: client.fine_tuning.jobs.list_events(trained.id, **q),
        lambda **q: client.fine_tuning.jobs.checkpoints.list(trained.id, **q),
    ):
        with pytest.raises(openai.BadRequestError) as error:
            fetch(**query)
        assert error.value.param == next(iter(query))


def test_jobs_are_listed_newest_first(client, trained):
    jobs = list(client.fine_tuning.jobs.list(limit=1))
    assert trained.id in [job.id for job in jobs]
    assert [job.created_at for job in jobs] == sorted((job.created_at for job in jobs), reverse=True)
    with pytest.raises(openai.NotFoundError):
        client.fine_tuning.jobs.retrieve("ftjob-none")
