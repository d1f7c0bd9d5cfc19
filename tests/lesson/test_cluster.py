"""The cluster: what a script says, what a learner reads, and jobs under a real Slurm where one can be had."""

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import nbformat
import pytest

import openai_lesson as lesson
import slurm_here
from openai_lesson import LessonError, cluster
from openai_lesson.cluster import batch, job, slurm, words
from openai_lesson.cluster.slurm import SilentError, State
from openai_lesson.notebooks import handouts
from openai_lesson.notebooks.running import find_notebooks


@pytest.fixture
def no_slurm(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))


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


# The script


def test_a_script_asks_for_what_was_said():
    made = cluster.script(
        "data.jsonl",
        cores=8,
        memory="16G",
        time="1-12",
        partition="teaching",
        account="course_1",
        setup=["module load python/3.12", "conda activate openai"],
    )
    text = str(made)
    assert text.splitlines()[:8] == [
        "#!/bin/bash",
        "#SBATCH --job-name=lesson",
        "#SBATCH --partition=teaching",
        "#SBATCH --account=course_1",
        "#SBATCH --cpus-per-task=8",
        "#SBATCH --mem=16G",
        "#SBATCH --time=1-12",
        "#SBATCH --output=lesson-%j.txt",
    ]
    assert text.index("module load python/3.12\nconda activate openai\n") < text.index("openai-local status")
    assert text.endswith("\nopenai -b local api fine_tunes.create -t data.jsonl -m ada --n_epochs 13\n")
    assert text.index("trap 'openai-local stop' EXIT") < text.index("\nopenai -b local")
    assert repr(made) == text


def test_a_script_without_wishes_leaves_them_to_the_cluster():
    text = str(cluster.script("data.jsonl", epochs=None))
    assert "partition" not in text and "account" not in text and "n_epochs" not in text and "first\n" not in text


@pytest.mark.parametrize(
    "name", ["my file.jsonl", "it's; touch bad.jsonl", "$(touch bad).jsonl", '"a".jsonl', "-m.jsonl", "ä\nb.jsonl"]
)
def test_any_name_of_a_file_reaches_the_command_whole(name, tmp_path):
    """Run by a real shell, with commands that only write down what they are given."""
    if sys.platform == "win32":
        pytest.skip("there is no bash")
    for command in ("openai", "openai-local"):
        program = f"#!{sys.executable}\nimport json, sys\n"
        if command == "openai":
            program += "json.dump(sys.argv[1:], open('given.json', 'w'))\n"
        (tmp_path / command).write_text(program)
        (tmp_path / command).chmod(0o755)
    path = cluster.script(name).write(tmp_path / "job.sh")
    environment = {**os.environ, "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
    subprocess.run(["bash", str(path)], cwd=tmp_path, env=environment, check=True, capture_output=True)
    given = json.loads((tmp_path / "given.json").read_text())
    file = given[given.index("-t") + 1]
    assert file == (f"./{name}" if name.startswith("-") else name)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["given.json", "job.sh", "openai", "openai-local"]


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        ({"cores": 0}, "no number of cores"),
        ({"cores": "4"}, "no number of cores"),
        ({"memory": "4 GB"}, "no amount of memory"),
        ({"time": "an hour"}, "no time limit"),
        ({"time": "0:00:00"}, "time is zero"),
        ({"time": 30}, "no time limit"),
        ({"partition": "a b"}, "no name"),
        ({"partition": "--wrap=x"}, "no name"),
        ({"account": "a\n#SBATCH --x"}, "no name"),
        ({"setup": ["a\nb"]}, "each line of setup by itself"),
    ],
)
def test_a_wish_that_slurm_does_not_understand(wish, said):
    with pytest.raises(LessonError, match=said):
        cluster.script("data.jsonl", **wish)


def test_one_line_of_set_up_may_be_given_as_it_is():
    assert cluster.script("data.jsonl", setup="module load python").setup == ("module load python",)


@pytest.mark.parametrize(
    ("time", "seconds"),
    [("30", 1800), ("30:15", 1815), ("1:18:00", 4680), ("1-0", 86400), ("1-2:30", 95400), ("1-0:0:5", 86405)],
)
def test_time_limits(time, seconds):
    assert batch.seconds(time) == seconds


# Without Slurm


def test_without_slurm_all_is_a_sentence(no_slurm, capsys):
    found = cluster.find()
    assert not found and repr(found).startswith("There is no Slurm on this machine. ")
    made = cluster.submit(cluster.script("nothing.jsonl"))
    assert made is None and cluster.follow(made) is None and cluster.tail(made) == ""
    cluster.cancel(made)
    shown = capsys.readouterr().out.splitlines()
    assert len(shown) == 2 and shown[0].startswith("There is no Slurm on this machine. So nothing was submitted.")


def test_a_slurm_that_does_not_answer_is_none(tmp_path, monkeypatch):
    for name in ("sbatch", "sinfo"):
        (tmp_path / name).write_text("#!/bin/sh\necho 'slurm_load_partitions: Unable to contact' >&2; exit 1\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}/bin")
    found = cluster.find()
    assert not found and "Slurm does not answer. It said: slurm_load_partitions" in found.problem


# Sentences


@pytest.mark.parametrize(
    ("state", "said"),
    [
        (
            State("PENDING", "Resources"),
            "waits: it waits until enough cores and memory are free (Slurm says: Reso",
        ),
        (State("PENDING", "PartitionTimeLimit"), "it will never start. Cancel it (scancel 7)"),
        (State("PENDING", "(ReqNodeNotAvail, UnavailableNodes:n1)"), "are down or reserved"),
        (State("PENDING", "QOSMaxCpuPerUserLimit"), "a limit of your account (Slurm says: QOSMaxCpuPerUserLimit)"),
        (State("PENDING", "Licenses"), "waits: Slurm says: Licenses."),
        (State("PENDING", "None"), "Slurm has not looked at it yet."),
        (State("RUNNING", used="0:12", limit="5:00", where="node7"), "Job 7 runs on node7, for 0:12 of 5:00."),
        (State("SUSPENDED"), "Job 7 is suspended."),
        (State("COMPLETED", used="00:01:00"), "Job 7 is done, after 00:01:00."),
        (State("FAILED", exit_code=3), "failed with exit code 3. Its last line: bad luck"),
        (State("TIMEOUT", limit="00:01:00"), "(00:01:00) was over, so Slurm ended it. Ask for more time"),
        (State("OUT_OF_MEMORY"), 'memory="8G"'),
        (State("FORGOTTEN"), "remembers a job for some minutes only. Its last line: bad luck"),
    ],
)
def test_how_a_job_is_in_a_sentence(state, said):
    assert said in words.sentence("7", state, "bad luck")


def test_every_end_has_its_sentence():
    for word in slurm.ENDED:
        assert words.sentence("7", State(word), "").endswith((".", "…'"))
        assert f"is {word.lower()}" not in words.sentence("7", State(word), "")


# What Slurm says, without Slurm


@pytest.fixture
def says(monkeypatch):
    """Slurm's commands, which say what the test wants."""
    answers = {}

    def call(*typed, environment=None):
        answer = answers[typed[0]]
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(slurm, "call", call)
    return answers


def test_partitions_of_a_large_cluster(says, monkeypatch):
    monkeypatch.setattr(slurm.shutil, "which", lambda name: name)
    says["sinfo"] = "short*|up|2:00:00|100/1.2K/4/1.4K\nshort*|up|2:00:00|0/1/0/1\nold|down|infinite|0/0/2/2\n"
    assert "  short (the default): 1 of 1 computers idle, a job may take at most 2:00:00" in repr(cluster.find())
    assert [partition.name for partition in cluster.find().partitions] == ["short"]


def test_a_job_that_slurm_forgot(says):
    says["squeue"] = says["scontrol"] = LessonError("slurm_load_jobs error: Invalid job id specified")
    assert slurm.look("7").word == "FORGOTTEN"


def test_a_slurm_that_is_silent_is_asked_again(says, monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(job, "PAUSE", 0.0)
    answers = iter([SilentError("Slurm does not answer."), State("COMPLETED", used="1:00")])

    def look(number):
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(slurm, "look", look)
    assert cluster.follow(cluster.Job("7", tmp_path / "none.txt")).word == "COMPLETED"
    assert "Trying again" in capsys.readouterr().err


def test_what_a_bar_overwrote_is_not_shown(tmp_path):
    (tmp_path / "out.txt").write_text("one\n10 %\r20 %\n\nlast\n", encoding="utf-8")
    made = cluster.Job("7", tmp_path / "out.txt")
    assert cluster.tail(made, 2) == "20 %\nlast" and "out.txt" in repr(made) and str(tmp_path) not in repr(made)


# Under Slurm


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
