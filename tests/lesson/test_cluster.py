"""What a learner is told of a job under Slurm. A stand-in says what Slurm's commands would say."""

import subprocess

import pytest

from openai_lesson import LessonError, cluster


@pytest.fixture(autouse=True)
def _here(monkeypatch, tmp_path):
    """A wide terminal, as lines that are updated in place are cut where it ends; a folder for what jobs print."""
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(cluster, "PAUSE", 0.0)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def says(monkeypatch):
    """What Slurm's commands say: a list for each, of which the last is said again and again."""
    answers = {"squeue": ["slurm_load_jobs error: Invalid job id specified"], "scontrol": [""]}

    def run(words, **how):
        said = answers[words[0]]
        line = said.pop(0) if len(said) > 1 else said[0]
        if isinstance(line, BaseException):
            raise line
        wrong = "error" in line
        return subprocess.CompletedProcess(words, int(wrong), "" if wrong else line, line if wrong else "")

    monkeypatch.setattr(cluster.subprocess, "run", run)
    return answers


def over(state, code="0:0"):
    return f"JobId=7 JobState={state} Reason=None RunTime=00:01:00 TimeLimit=00:30:00 ExitCode={code}"


def test_a_job_is_followed_to_its_end(says, capsys, tmp_path):
    waits, runs = "PENDING|Resources|0:00|5:00|", "RUNNING|None|0:12|5:00|node7"
    says["squeue"] = [waits, runs, runs, "slurm_load_jobs error: Invalid job id specified"]
    says["scontrol"] = [over("COMPLETED")]
    (tmp_path / "lesson-7.txt").write_text("one\n10 %\r20 %\n\nlast\n", encoding="utf-8")
    assert cluster.follow("7\n") == "COMPLETED"
    shown = capsys.readouterr()
    assert shown.out == "one\n20 %\nlast\n", "each line once, and not what a bar overwrote"
    assert "Job 7 waits: it waits until enough cores and memory are free (Slurm says: Resources)." in shown.err
    assert "Job 7 is running on node7, for 0:12 of 5:00." in shown.err and "Job 7 is done." in shown.err


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        (
            "PENDING|PartitionTimeLimit|0:00|5:00|",
            "will never start. Cancel it (Slurm says: PartitionTimeLimit).",
        ),
        (
            "PENDING|(ReqNodeNotAvail, UnavailableNodes:n1)|0:00|5:00|",
            "are down or reserved (Slurm says: Req",
        ),
        ("PENDING|QOSMaxCpuPerUserLimit|0:00|5:00|", "waits: Slurm says: QOSMaxCpuPerUserLimit."),
        ("PENDING|None|0:00|5:00|", "Slurm has not looked at it yet"),
        ("SUSPENDED|None|0:01|5:00|n1", "Job 7 is suspended on n1"),
    ],
)
def test_how_a_job_is_in_a_sentence(says, said, sentence):
    says["squeue"] = [said]
    assert sentence in cluster.look("7")[1]


@pytest.mark.parametrize(
    ("state", "sentence"),
    [
        (
            "FAILED",
            r"Job 7 failed\. \(.*exit code 3:0, after 00:01:00\) Its last line: bad luck",
        ),
        ("TIMEOUT", "Ask for more time and submit it again: what it has trained is not lost"),
        ("OUT_OF_MEMORY", "such as --mem=8G"),
        ("DEADLINE", "could not be run"),
    ],
)
def test_a_job_that_did_not_do_its_work_is_an_error(says, state, sentence, tmp_path):
    says["scontrol"] = [over(state, "3:0")]
    (tmp_path / "lesson-7.txt").write_text("bad luck\n", encoding="utf-8")
    with pytest.raises(LessonError, match=sentence):
        cluster.follow("7")


def test_a_job_that_slurm_forgot(says):
    with pytest.raises(LessonError, match="remembers a job for some minutes only"):
        cluster.follow("7")


def test_every_end_has_its_sentence(says):
    for state in cluster.ENDS:
        says["scontrol"] = [over(state)]
        word, line = cluster.look("7")
        assert word == state and line.startswith(f"Job 7 {cluster.ENDS[state]}.")


def test_interrupting_leaves_the_job_alone(says, capsys):
    says["squeue"] = ["RUNNING|None|0:12|5:00|node7", KeyboardInterrupt()]
    assert cluster.follow("7") == "RUNNING"
    assert "Job 7 goes on." in capsys.readouterr().out


def test_what_sbatch_says_when_it_refuses_is_no_number(says):
    with pytest.raises(LessonError, match="no number of a job: sbatch: error: invalid partition"):
        cluster.follow("sbatch: error: invalid partition specified: none")


@pytest.mark.parametrize(
    ("happens", "said"),
    [
        (FileNotFoundError(2, "No such file"), "There is no Slurm on this machine"),
        (subprocess.TimeoutExpired("squeue", 20), "did not answer within 20 seconds"),
        ("slurm_load_jobs error: Unable to contact slurm controller", "the job is not lost"),
    ],
)
def test_a_slurm_that_does_not_answer(says, happens, said):
    says["squeue"] = [happens]
    with pytest.raises(LessonError, match=said):
        cluster.follow("7")


@pytest.mark.parametrize(
    "happens",
    [
        FileNotFoundError(2, "No such file"),
        "sinfo: fatal error: Could not establish a configuration source",
        "slurm_load_partitions error: Unable to contact slurm controller",
    ],
)
def test_a_slurm_that_is_not_here_or_does_not_work(says, happens, capsys):
    """Its commands may be installed on a machine that belongs to no cluster."""
    says["sinfo"] = [happens]
    assert not cluster.is_here()
    assert capsys.readouterr().out == "There is no Slurm on this machine, or it does not answer.\n"


def test_a_slurm_that_is_here(says, capsys):
    says["sinfo"] = ["debug* up infinite 1 idle n1"]
    assert cluster.is_here() and not capsys.readouterr().out
