"""The cluster: what a script says, and what a learner reads. Jobs under Slurm are in `test_cluster_jobs`."""

import json
import os
import subprocess
import sys

import pytest

from openai_lesson import LessonError, cluster
from openai_lesson.cluster import SilentError, State, batch, job, slurm, words


@pytest.fixture
def no_slurm(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))


@pytest.fixture(autouse=True)
def _a_wide_terminal(monkeypatch):
    """Lines that are updated in place are cut where the terminal ends."""
    monkeypatch.setenv("COLUMNS", "200")


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
