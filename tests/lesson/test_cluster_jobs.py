"""The lesson under a real Slurm of one computer: jobs that train, and what a learner is told of them."""

import json
import subprocess
import sys
import threading
import time
from pathlib import Path

import nbformat
import pytest

import openai_lesson as lesson
import slurm_here
from openai_command import handouts
from openai_command.running import find_notebooks
from openai_lesson import LessonError, cluster
from openai_lesson.cluster import job
from openai_local.runners import slurm


@pytest.fixture(scope="module")
def a_slurm(tmp_path_factory):
    """The settings of a Slurm that runs."""
    with slurm_here.or_skip(tmp_path_factory.mktemp("slurm")) as settings:
        yield settings


@pytest.fixture(autouse=True)
def _a_wide_terminal(monkeypatch):
    """Lines that are updated in place are cut where the terminal ends."""
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture
def learner(a_slurm, tmp_path, tiny_cache, pairs, monkeypatch):
    """A folder with a training file, a home of its own, the tiny model, and Slurm."""
    monkeypatch.setenv("SLURM_CONF", str(a_slurm))
    monkeypatch.setenv("OPENAI_LOCAL_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("OPENAI_LOCAL_CACHE", str(tiny_cache))
    monkeypatch.setattr(job, "PAUSE", 0.2)
    monkeypatch.chdir(tmp_path)
    Path("pairs.jsonl").write_bytes(pairs.read_bytes())
    yield tmp_path
    local("stop")


def local(*typed):
    command = [sys.executable, "-m", "openai_local", *typed]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def small(file="pairs.jsonl", **options):
    return cluster.script(file, **{"cores": 1, "memory": "1G", "time": "0:05:00", "epochs": 4, **options})


def test_the_notebook_trains_in_a_job_and_asks_its_model(learner, capfd, monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "1")  # as if the notebook ran in a job of its own
    monkeypatch.setenv("SLURM_MEM_PER_CPU", "1")
    monkeypatch.setenv("OPENAI_API_KEY", "-".join(["sk", "proj", "mine"]))  # the job must not go to OpenAI
    lesson.connect("local")
    names = {}
    for source in cells():
        exec(source.replace("cores=4", "cores=1, epochs=3"), names)
    shown = capfd.readouterr().out
    assert "The service on this machine was stopped" in shown
    assert Path("lesson-job.sh").read_text() == str(names["script"])
    assert names["state"].word == "COMPLETED"
    assert shown.count("] Completed epoch 3/3\n") == 1 and "Stopped the service at" in shown
    assert f"\n{names['model']} says: " in shown
    assert lesson.latest(names["client"]).status == "succeeded"


def cells():
    """The code of the notebook, but for its exercises."""
    notebook = nbformat.read(find_notebooks() / "06-on-a-cluster.ipynb", as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    return [cell.source for cell in code if not handouts.tagged(cell, handouts.EXERCISE)]


def test_a_job_that_is_cancelled_leaves_nothing_running_and_is_gone_on_with(learner, capfd):
    lines = [json.dumps({"prompt": f"What is {n}?", "completion": f" It is {n}."}) for n in range(500)]
    Path("long.jsonl").write_text("\n".join(lines) + "\n")
    made = cluster.submit(small("long.jsonl", epochs=40))
    wait_for(lambda: "Completed epoch 2/" in cluster.tail(made, 50), made)
    cluster.cancel(made)
    assert cluster.follow(made).word == "CANCELLED"
    wait_for(lambda: not processes(learner / "home"), made)
    assert local("status").startswith("No service runs")
    client = lesson.connect()
    current = lesson.latest(client)
    assert current.status in ("queued", "running"), "the next service goes on with it"
    wait_for(lambda: lesson.latest(client).status == "succeeded", made, 120)
    events = [event.message for event in client.fine_tuning.jobs.list_events(current.id, limit=100)]
    assert sum("Epoch 1/40" in event for event in events) == 1, "from where it was, not from the start"


def test_a_home_that_is_in_use_is_not_taken(learner, capfd):
    client = lesson.connect()
    lines = [json.dumps({"prompt": f"What is {n}?", "completion": f" It is {n}."}) for n in range(250)]
    Path("long.jsonl").write_text("\n".join(lines) + "\n")
    current = lesson.start(client, "long.jsonl")
    with pytest.raises(LessonError, match=rf"is training \({current.id}\)"):
        cluster.submit(small())
    # A learner who types sbatch gets past that. Then the job itself says so, and leaves the service alone.
    number = slurm.call("sbatch", "--parsable", str(small().write()), environment=job._environment()).strip()
    with pytest.raises(LessonError, match=r"failed with exit code 1\. Its last line: Stop that service"):
        cluster.follow(cluster.Job(number, learner / f"lesson-{number}.txt"))
    assert client.models.list().data
    client.fine_tuning.jobs.cancel(current.id)


def test_a_service_on_another_machine_is_not_stopped(learner, monkeypatch):
    gone = lesson.cluster.job.local.Service("http://127.0.0.1:9/v1", str(learner / "home"))
    monkeypatch.setattr(job.local, "running", lambda: gone)
    with pytest.raises(LessonError, match="runs on another machine"):
        cluster.submit(small())


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        ({"partition": "none"}, "Invalid partition name specified. List the partitions:  sinfo"),
        ({"memory": "90G"}, "Ask for fewer cores or less memory"),
    ],
)
def test_a_job_that_slurm_refuses(learner, wish, said):
    with pytest.raises(LessonError) as error:
        cluster.submit(small(**wish))
    assert str(error.value).startswith("Slurm did not take the job. It said: ") and said in str(error.value)


def test_a_job_that_can_never_start_says_so_while_it_is_followed(learner, monkeypatch, capfd):
    assert "debug (the default): 1 of 1 computers idle" in repr(cluster.find())
    made = cluster.submit(small(partition="short", time="1:00:00"))
    wait_for(lambda: slurm.look(made.number).reason == "PartitionTimeLimit", made)
    threading.Timer(1.0, lambda: slurm.call("scancel", made.number)).start()
    assert cluster.follow(made).word == "CANCELLED"
    assert "it will never start" in capfd.readouterr().err


def test_a_file_that_is_not_there(learner):
    with pytest.raises(LessonError, match=r"There is no file none\.jsonl in .*01-prepare-data"):
        cluster.submit(small("none.jsonl"))


def test_a_job_that_fails_says_its_last_line(learner, capfd):
    made = cluster.submit(small(setup=["echo bad luck; exit 3"]))
    with pytest.raises(LessonError, match=rf"Job {made.number} failed with exit code 3. Its last line: bad luck"):
        cluster.follow(made)


def test_interrupting_leaves_the_job_alone(learner, monkeypatch, capfd):
    made = cluster.submit(small(setup=["sleep 60"]))
    look, looks = slurm.look, []

    def interrupted(number):
        looks.append(number)
        if len(looks) > 2:
            raise KeyboardInterrupt
        return look(number)

    with monkeypatch.context() as patch:
        patch.setattr(slurm, "look", interrupted)
        assert not cluster.follow(made).ended
    assert f"Job {made.number} goes on." in capfd.readouterr().out
    assert not slurm.look(made.number).ended
    cluster.cancel(made)


def processes(home):
    done = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True)
    return [line for line in done.stdout.splitlines() if str(home) in line]


def wait_for(happens, made, seconds=60):
    deadline = time.monotonic() + seconds
    while not happens():
        assert time.monotonic() < deadline, f"{made}: {cluster.tail(made, 30)}"
        time.sleep(0.1)
