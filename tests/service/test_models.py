import openai
import pytest

from conftest import finished

BASE = "smollm2-135m-instruct"


def test_the_base_and_its_old_names(client):
    assert client.models.list().data[0].id == BASE
    assert client.models.retrieve("ada").id == "ada"
    with pytest.raises(openai.NotFoundError) as error:
        client.models.retrieve("gpt-9")
    assert error.value.code == "model_not_found"


def test_a_base_can_not_be_deleted(client):
    with pytest.raises(openai.PermissionDeniedError, match="base model"):
        client.models.delete("ada")


def test_a_checkpoint_and_a_fine_tune_can_be_deleted(client, pairs):
    upload = client.files.create(file=pairs, purpose="fine-tune")
    job = client.fine_tuning.jobs.create(training_file=upload.id, model="ada", hyperparameters={"n_epochs": 2})
    name = finished(client, job.id).fine_tuned_model
    last, first = (c.fine_tuned_model_checkpoint for c in client.fine_tuning.jobs.checkpoints.list(job.id))
    assert client.models.delete(last).deleted
    assert [c.fine_tuned_model_checkpoint for c in client.fine_tuning.jobs.checkpoints.list(job.id)] == [first]
    with pytest.raises(openai.NotFoundError):
        client.completions.create(model=last, prompt="What is sun?")

    assert client.completions.create(model=name, prompt="a", max_tokens=2).usage.completion_tokens <= 2
    assert client.models.delete(name).deleted
    with pytest.raises(openai.NotFoundError):
        client.completions.create(model=name, prompt="a")
    with pytest.raises(openai.NotFoundError):
        client.models.delete(name)
