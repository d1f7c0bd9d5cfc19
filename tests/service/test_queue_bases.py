"""A job whose base model is gone fails with a sentence, and the queue goes on."""

import shutil

from conftest import finished
from openai_local.home import Home
from openai_local.models.base_models import Bases
from tiny import write_gguf


def test_a_job_without_its_base_fails_and_the_next_succeeds(service, client, tmp_path, pairs):
    write_gguf(tmp_path / "tiny.gguf")
    service.command("bases", "add", "mine", str(tmp_path / "tiny.gguf"))
    with pairs.open("rb") as file:
        upload = client.files.create(file=file, purpose="fine-tune")
    jobs = client.fine_tuning.jobs
    first = jobs.create(training_file=upload.id, model="ada", hyperparameters={"n_epochs": 50})
    lost = jobs.create(training_file=upload.id, model="mine", hyperparameters={"n_epochs": 1})
    shutil.rmtree(Bases(Home(service.home), service.cache).require("mine").folder)
    last = jobs.create(training_file=upload.id, model="ada", hyperparameters={"n_epochs": 1})
    jobs.cancel(first.id)
    failed = finished(client, lost.id)
    assert failed.status == "failed" and "There is no base model mine here" in failed.error.message
    assert finished(client, last.id).status == "succeeded"
