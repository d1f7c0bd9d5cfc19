"""A whole service that trains under a real Slurm: what those who use the API see of it."""

import time

import pytest

import slurm_here
from conftest import finished
from openai_local.home import Home
from slurm_here import ask, wait_for


@pytest.fixture(scope="module")
def a_slurm(tmp_path_factory):
    with slurm_here.or_skip(tmp_path_factory.mktemp("slurm")) as settings, pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLURM_CONF", str(settings))
        yield settings


@pytest.fixture
def service(a_slurm, new_service, tmp_path):
    """A service whose jobs want two of Slurm's four cores. Its Slurm jobs are gone at the end."""
    site = tmp_path / "site.toml"
    site.write_text('cores = 2\nmemory = "500M"\ntime = "0:10:00"\n')
    yield new_service("--runner", "slurm", "--site", str(site))
    if numbers := ask("squeue", "--me", "--noheader", "--format=%i").split():
        ask("scancel", *numbers)
    wait_for(lambda: not ask("squeue", "--me", "--noheader"))


@pytest.fixture
def new_job(service, pairs):
    """Makes jobs: for minutes, unless they are said to be short."""

    def make(*, short=False):
        client = service.client()
        data = pairs.read_bytes() * (1 if short else 200)
        upload = client.files.create(file=("pairs.jsonl", data), purpose="fine-tune")
        settings = {"n_epochs": 10 if short else 50, "batch_size": 3 if short else 1}
        method = {"type": "supervised", "supervised": {"hyperparameters": settings}}
        return client.fine_tuning.jobs.create(training_file=upload.id, model="ada", method=method)

    return make


def events(client, job):
    return [event.message for event in client.fine_tuning.jobs.list_events(job.id, limit=100)]


def status(client, job):
    return client.fine_tuning.jobs.retrieve(job.id).status


def slurm_jobs():
    """Their names and states, but not those that are just ending."""
    lines = ask("squeue", "--me", "--noheader", "--format=%j %T").splitlines()
    return {name: word for name, word in map(str.split, lines) if word != "COMPLETING"}


def test_two_train_at_once_and_the_third_waits_in_slurm(service, new_job):
    client = service.client()
    first, second, third = jobs = [new_job(short=True) for _ in range(3)]
    why = "It waits in Slurm's queue: it waits until enough cores and memory are free (Slurm says: Resources)."
    wait_for(lambda: why in events(client, third))
    assert status(client, third) == "queued", "what waits in Slurm is not running"
    assert slurm_jobs() == {first.id: "RUNNING", second.id: "RUNNING", third.id: "PENDING"}
    wait_for(lambda: [status(client, job) for job in jobs] == ["running", "running", "queued"], 10)

    models = [finished(client, job.id).fine_tuned_model for job in jobs]
    assert len(set(models)) == 3 and all(models), events(client, third)
    answer = client.completions.create(model=models[2], prompt="What is sun?", max_tokens=12, temperature=0)
    assert answer.choices[0].text
    said = events(client, third)
    assert said.index(why) > said.index("Fine-tuning job started"), "newest first"


def test_cancelled_by_the_learner(service, new_job):
    """One that trains, and one that waits: nothing of them stays in Slurm, or to go on with."""
    client = service.client()
    runs, other, waits = (new_job() for _ in range(3))
    wait_for(lambda: (status(client, runs), slurm_jobs().get(waits.id)) == ("running", "PENDING"))
    for job in (runs, waits):
        assert client.fine_tuning.jobs.cancel(job.id).status == "cancelled"
    wait_for(lambda: slurm_jobs() == {other.id: "RUNNING"}, 20)
    wait_for(lambda: status(client, other) == "running")
    assert [status(client, job) for job in (runs, waits)] == ["cancelled", "cancelled"]
    snapshot = Home(service.home).jobs / runs.id / "snapshot.safetensors"
    wait_for(lambda: not snapshot.exists(), 20)  # the service asks Slurm every two seconds, and then it goes
    assert not any("Somebody" in message for message in events(client, runs))


def test_cancelled_in_slurm(service, new_job):
    client = service.client()
    job = new_job()
    wait_for(lambda: status(client, job) == "running")
    ask("scancel", "--me", f"--name={job.id}")
    assert finished(client, job.id).status == "cancelled"
    assert any(message.startswith("Somebody cancelled it in Slurm (scancel ") for message in events(client, job))
    assert slurm_jobs() == {}, "it is not submitted again"


def test_paused_and_resumed(service, new_job):
    client = service.client()
    job = new_job()
    wait_for(lambda: any(message.startswith("Step 5/") for message in events(client, job)))
    client.fine_tuning.jobs.pause(job.id)
    wait_for(lambda: slurm_jobs() == {}, 30)
    time.sleep(1)
    assert status(client, job) == "paused"
    client.fine_tuning.jobs.resume(job.id)
    wait_for(lambda: any(message.startswith("Going on after step") for message in events(client, job)))
    assert not any("told it to end" in message for message in events(client, job))
    client.fine_tuning.jobs.cancel(job.id)


def test_a_job_lives_on_when_its_service_dies(service, new_job):
    client = service.client()
    job = new_job()
    wait_for(lambda: status(client, job) == "running")
    number = ask("squeue", "--me", "--noheader", "--format=%i")
    service.kill()
    service.start()
    client = service.client()
    newest = events(client, job)[0]
    try:
        wait_for(lambda: events(client, job)[0] != newest)
    finally:  # where to look if it stands still
        print(newest, *(path.read_text()[-500:] for path in (Home(service.home).jobs / job.id).glob("train.log")))
    assert ask("squeue", "--me", "--noheader", "--format=%i") == number, "the same Slurm job, and only that"
    client.fine_tuning.jobs.cancel(job.id)
    wait_for(lambda: slurm_jobs() == {}, 20)


def test_a_site_that_slurm_refuses(a_slurm, new_service, tmp_path, pairs):
    site = tmp_path / "site.toml"
    site.write_text('partition = "nowhere"\n')
    client = new_service("--runner", "slurm", "--site", str(site)).client()
    upload = client.files.create(file=pairs.open("rb"), purpose="fine-tune")
    job = finished(client, client.fine_tuning.jobs.create(training_file=upload.id, model="ada").id)
    assert job.status == "failed" and "Mend partition in site.toml." in job.error.message
