"""Notebook 6 under a real Slurm of one computer: its script trains, and a learner hears how its job goes."""

import json
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

import nbformat
import pytest

import openai_lesson as lesson
import slurm_here
from openai_command.notebooks import Echo, find_notebooks, run_notebook
from openai_lesson import LessonError, cluster

NAME = "06-on-a-cluster.ipynb"


@pytest.fixture(scope="module")
def a_slurm(tmp_path_factory):
    """The settings of a Slurm that runs."""
    with slurm_here.or_skip(tmp_path_factory.mktemp("slurm")) as settings:
        yield settings


@pytest.fixture
def learner(a_slurm, tmp_path, tiny_cache, pairs, monkeypatch):
    """A folder with a training file, a home of its own, the tiny model, and Slurm."""
    monkeypatch.setenv("SLURM_CONF", str(a_slurm))
    monkeypatch.setenv("OPENAI_LOCAL_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("OPENAI_LOCAL_CACHE", str(tiny_cache))
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{Path('/usr/bin')}:{Path('/bin')}")
    monkeypatch.setenv("COLUMNS", "200")  # lines that are updated in place are cut where the terminal ends
    monkeypatch.setattr(cluster, "PAUSE", 0.2)
    monkeypatch.chdir(tmp_path)
    Path("pairs.jsonl").write_bytes(pairs.read_bytes())
    yield tmp_path
    local("stop")


def local(*typed):
    command = [sys.executable, "-m", "openai_local", *typed]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def notebook_and_script():
    """The notebook, and its cell with the script."""
    notebook = nbformat.read(find_notebooks() / NAME, as_version=4)
    return notebook, next(cell for cell in notebook.cells if cell.source.startswith("%%writefile"))


def script(file="pairs.jsonl", *, epochs=4, first="", **wishes):
    """The notebook's script for a small job: other wishes, and a line of shell that comes first."""
    text = notebook_and_script()[1].source.partition("\n")[2]
    text = text.replace("Westminster_Catechism_prepared.jsonl", file).replace(
        "--n_epochs 13", f"--n_epochs {epochs}"
    )
    asked = {"cpus-per-task": 1, "mem": "1G", "time": "0:05:00", **wishes}
    for name, value in asked.items():
        text, found = re.subn(rf"^#SBATCH --{name}=.*$", f"#SBATCH --{name}={value}", text, flags=re.M)
        text = text if found else text.replace("\n", f"\n#SBATCH --{name}={value}\n", 1)
    return text.replace("# Use the cores", f"{first}\n# Use the cores")


def sbatch(text):
    """Hand a script to Slurm as the notebook does: the last line that it says."""
    Path("lesson-job.sh").write_text(text)
    words = ["sbatch", "--parsable", "lesson-job.sh"]
    done = subprocess.run(words, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return done.stdout.splitlines()[-1]


def test_the_notebook_trains_in_a_job_and_asks_its_model(learner, monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "1")  # as if the notebook ran in a job of its own
    monkeypatch.setenv("SLURM_MEM_PER_CPU", "1")
    monkeypatch.setenv("OPENAI_API_KEY", "-".join(["sk", "proj", "mine"]))  # the job must not go to OpenAI
    lesson.connect("local")
    notebook, cell = notebook_and_script()
    small = script("Westminster_Catechism_prepared.jsonl", epochs=3, first="env > environment.txt")
    cell.source = f"{cell.source.splitlines()[0]}\n{small}"
    (learner / "given").mkdir()
    nbformat.write(notebook, learner / "given" / NAME)
    run_notebook(learner / "given" / NAME, learner, "openai", Echo())
    shown = "\n".join(printed(nbformat.read(learner / NAME, as_version=4)))
    assert "Stopped the service at" in shown and "debug*" in shown, "sinfo's table"
    assert shown.count("] Completed epoch 3/3\n") == 1 and "is done. (Slurm says: COMPLETED" in shown
    assert re.search(r"^ada:ft-personal-\S+\n", shown, re.M), "the model, which is asked then"
    assert "OPENAI_API_KEY" not in Path("environment.txt").read_text(), "keys stay where they are"


def printed(notebook):
    """What the cells of a notebook that was run show."""
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            yield output.get("text") or output.get("data", {}).get("text/plain", "")


def test_a_job_that_is_cancelled_leaves_nothing_running_and_is_gone_on_with(learner, capfd):
    lines = [json.dumps({"prompt": f"What is {n}?", "completion": f" It is {n}."}) for n in range(500)]
    Path("long.jsonl").write_text("\n".join(lines) + "\n")
    number = sbatch(script("long.jsonl", epochs=40))
    wait_for(lambda: "Completed epoch 2/" in "\n".join(cluster.printed(number)), number)
    subprocess.run(["scancel", number], check=True)
    assert cluster.follow(number) == "CANCELLED"
    wait_for(lambda: not processes(learner / "home"), number)
    assert local("status").startswith("No service runs")
    client = lesson.connect()
    current = next(iter(client.fine_tuning.jobs.list()))
    assert current.status in ("queued", "running"), "the next service goes on with it"
    wait_for(lambda: client.fine_tuning.jobs.retrieve(current.id).status == "succeeded", number, 120)
    events = [event.message for event in client.fine_tuning.jobs.list_events(current.id, limit=100)]
    assert sum("Epoch 1/40" in event for event in events) == 1, "from where it was, not from the start"


def test_a_home_that_is_in_use_is_not_taken(learner, capfd):
    """A learner may forget to stop the service. Then the job itself says so, and leaves the service alone."""
    client = lesson.connect()
    number = sbatch(script())
    with pytest.raises(LessonError, match=r"failed\. .* Its last line: Stop that service on its own machine"):
        cluster.follow(number)
    assert client.models.list().data


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        ({"partition": "none"}, "invalid partition specified"),
        ({"mem": "90G"}, "Requested node configuration is not available"),
    ],
)
def test_a_job_that_slurm_refuses(learner, wish, said):
    """The notebook prints what Slurm says, and has a table of it; nothing is there to follow."""
    refused = sbatch(script(**wish))
    with pytest.raises(LessonError, match="no number of a job"):
        cluster.follow(refused)
    Path("lesson-job.sh").write_text(script(**wish))
    assert said in subprocess.run(["sbatch", "lesson-job.sh"], capture_output=True, text=True).stderr
    assert any(said in cell.source for cell in notebook_and_script()[0].cells)


def test_a_job_that_can_never_start_says_so_while_it_is_followed(learner, capfd):
    number = sbatch(script(partition="short", time="1:00:00"))
    wait_for(lambda: "PartitionTimeLimit" in cluster.look(number)[1], number)
    threading.Timer(1.0, lambda: subprocess.run(["scancel", number], check=True)).start()
    assert cluster.follow(number) == "CANCELLED"
    assert "it will never start" in capfd.readouterr().err


def test_a_job_that_fails_says_its_last_line(learner, capfd):
    number = sbatch(script(first="echo bad luck; exit 3"))
    with pytest.raises(LessonError, match=rf"Job {number} failed\. .*exit code 3.* Its last line: bad luck"):
        cluster.follow(number)


def processes(home):
    done = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True)
    return [line for line in done.stdout.splitlines() if str(home) in line]


def wait_for(happens, number, seconds=60):
    deadline = time.monotonic() + seconds
    while not happens():
        assert time.monotonic() < deadline, f"{number}: {cluster.printed(number)}"
        time.sleep(0.1)
