"""What Slurm prints, read and put into sentences, with a Slurm that never answers."""

import os
import time
from pathlib import Path

import pytest

from openai_local.errors import LocalError
from openai_local.runners import slurm, state_codes
from openai_local.runners.slurm import SilentError, Squeue
from openai_local.runners.state_codes import Seen, listed, remembered

ENDED = (
    "JobId=7 JobName=ftjob-1 UserId=me(1000) Priority=1 JobState=TIMEOUT Reason=TimeLimit Dependency=(null) "
    "Requeue=1 Restarts=0 BatchFlag=1 Reboot=0 ExitCode=4:0 RunTime=00:01:14 TimeLimit=00:01:00 Power= "
    "WorkDir=/jobs/JobState=FAILED StdOut=/jobs/train.log"
)


def seen(word, reason="", **more):
    return Seen("7", word, reason, **more)


def status(word, reason="", *, began=False, last_line="", **more):
    return state_codes.status(seen(word, reason, **more), began=began, last_line=last_line)


def test_a_listing_is_read_line_by_line():
    said = (
        "slurm_load_jobs warning: something\n"
        "12|PENDING|Resources|ftjob-1\n"
        "13|PENDING|ReqNodeNotAvail, UnavailableNodes:n[1-2]|ftjob-2\n"
        "14|RUNNING|None|a|strange|name\n"
        "\n"
    )
    assert listed(said) == [
        Seen("12", "PENDING", "Resources", "ftjob-1"),
        Seen("13", "PENDING", "ReqNodeNotAvail, UnavailableNodes:n[1-2]", "ftjob-2"),
        Seen("14", "RUNNING", "None", "a|strange|name"),
    ]


def test_a_job_that_has_ended_is_read():
    assert remembered("7", ENDED) == Seen("7", "TIMEOUT", "TimeLimit", "ftjob-1", 4, 0, "00:01:00")
    assert remembered("7", "ExitCode=0:9 JobState=FAILED").signal == 9
    assert remembered("7", "nothing of the kind").ended


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        ("None", "It waits in Slurm's queue: Slurm has not looked at it yet."),
        ("", "It waits in Slurm's queue: Slurm has not looked at it yet."),
        (
            "Resources",
            "It waits in Slurm's queue: it waits until enough cores and memory are free (Slurm says: Resources).",
        ),
        ("(Priority)", "It waits in Slurm's queue: other jobs come first (Slurm says: Priority)."),
        ("JobHeldUser", "scontrol release 7 (Slurm says: JobHeldUser)."),
        ("PartitionTimeLimit", "in site.toml, time must be smaller"),
        ("ReqNodeNotAvail, UnavailableNodes:n[1-2]", "down or reserved (Slurm says: ReqNodeNotAvail)."),
        (
            "Nodes required for job are DOWN, DRAINED or reserved for jobs in higher priority partitions",
            "down or reserved (Slurm says: DOWN).",
        ),
        ("launch failed requeued held", "Slurm could not start it. Ask your instructor"),
        ("QOSMaxJobsPerUserLimit", "a limit of its account (Slurm says: QOSMaxJobsPerUserLimit)."),
        ("SomethingNew", "It waits in Slurm's queue: Slurm says: SomethingNew."),
    ],
)
def test_why_a_job_waits(reason, said):
    found = status("PENDING", reason)
    assert found.alive and found.ended is None and found.waits is not None
    assert said in found.waits and found.waits.endswith(".")


def test_a_job_that_was_interrupted_says_so():
    found = status("PENDING", "BeginTime", began=True)
    assert found.waits == (
        "It was interrupted, and waits in Slurm's queue to go on from where it was: its time has not come yet "
        "(Slurm says: BeginTime)."
    )


@pytest.mark.parametrize(
    ("word", "waits"),
    [
        ("RUNNING", None),
        ("COMPLETING", None),
        ("CONFIGURING", "being made ready"),
        ("SUSPENDED", "goes on by itself"),
        ("SPECIAL_EXIT", "Slurm says: SPECIAL_EXIT"),
    ],
)
def test_a_job_that_lives(word, waits):
    found = status(word)
    assert found.alive and (waits is None) == (found.waits is None) and (waits or "") in (found.waits or "")


@pytest.mark.parametrize(
    ("word", "more", "ended", "said"),
    [
        (
            "TIMEOUT",
            {"limit": "00:01:00"},
            "again",
            "The time that Slurm gave it (00:01:00) was over. It goes on from",
        ),
        ("PREEMPTED", {}, "again", "make way for a more urgent job. It goes on from its last snapshot"),
        ("NODE_FAIL", {}, "again", "broke down. It goes on from its last snapshot"),
        ("BOOT_FAIL", {}, "again", "submitted again"),
        ("FORGOTTEN", {}, "again", "does not know it any more"),
        ("CANCELLED", {}, "cancelled", "Somebody cancelled it in Slurm (scancel 7)."),
        ("OUT_OF_MEMORY", {}, "failed", "Use a smaller batch_size"),
        ("FAILED", {"exit_code": 4}, "again", "told it to end before it was done. It goes on"),
        ("FAILED", {"signal": 15}, "again", "told it to end before it was done. It goes on"),
        ("FAILED", {"exit_code": 3}, "again", "Another process was at it still"),
        ("FAILED", {"signal": 9}, "failed", "memory was not enough. Its last line: the end"),
        ("FAILED", {"exit_code": 127}, "failed", "mend modules, setup or python. Its last line: the end"),
        ("FAILED", {"exit_code": 1}, "failed", "Slurm job 7 failed with exit code 1. Its last line: the end"),
        ("DEADLINE", {}, "failed", "deadline"),
    ],
)
def test_how_a_job_ended(word, more, ended, said):
    found = status(word, last_line="the end", **more)
    assert not found.alive and found.ended == ended and said in f"{found.said} {found.then}"


def test_a_job_that_was_done_is_left_to_its_result():
    assert status("COMPLETED") == state_codes.Status(False)


@pytest.mark.parametrize(
    ("said", "hint"),
    [
        (
            "sbatch: error: Batch job submission failed: Invalid partition name specified",
            "Mend partition in site.toml. List them:  sinfo",
        ),
        ("Batch job submission failed: Invalid account or account/partition combination", "Mend account"),
        ("Batch job submission failed: Requested time limit is invalid", "Ask for less in site.toml: time."),
        ("Batch job submission failed: Requested node configuration is not available", "cores, memory"),
        ("Batch job submission failed: Something new", "It said: Something new."),
    ],
)
def test_what_slurm_refuses(said, hint):
    message = str(state_codes.refused(said))
    assert message.startswith("Slurm did not take the job. It said: ") and hint in message
    assert not state_codes.full(said)


def test_too_many_jobs_are_no_refusal():
    """The words are in Slurm's own library; a Slurm without accounting has no such limit to try it with."""
    assert state_codes.full(
        "sbatch: error: AssocMaxSubmitJobLimit sbatch: error: Batch job submission failed: Job violates "
        "accounting/QOS policy (job submit limit, user's size and/or time limits)"
    )


# A Slurm that does not answer


@pytest.fixture
def commands(tmp_path, monkeypatch):
    """Makes shell scripts that stand for Slurm's commands."""
    if os.name == "nt":
        pytest.skip("there is no shell")
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")

    def make(name, lines):
        path = Path(tmp_path / name)
        path.write_text(f"#!/bin/sh\n{lines}\n")
        path.chmod(0o755)

    return make


def test_one_question_serves_many_looks(commands, tmp_path):
    commands("squeue", f"echo x >> {tmp_path}/asked; echo '3|RUNNING|None|ftjob-1'")
    slurm = Squeue()
    for _ in range(50):
        assert slurm.living() == {"3": Seen("3", "RUNNING", "None", "ftjob-1")}
    assert (tmp_path / "asked").read_text() == "x\n"


@pytest.mark.parametrize(
    "lines",
    [
        "echo 'slurm_load_jobs error: Unable to contact slurm controller (connect failure)' >&2; exit 1",
        "echo 'slurm_load_jobs error: something new' >&2; exit 1",
        "exec sleep 30",
    ],
)
def test_silence_is_told_within_seconds_and_never_taken_for_no_job(commands, monkeypatch, lines):
    monkeypatch.setattr(slurm, "SECONDS", 2.0)
    monkeypatch.setattr(slurm, "PATIENCE", 0.3)
    commands("squeue", lines)
    commands("scontrol", lines)
    ours, begun = Squeue(), time.monotonic()
    for _ in range(20):
        with pytest.raises(SilentError, match="Slurm does not answer"):
            ours.living()
    assert time.monotonic() - begun < 1.5, "they wait together, not one after the other"
    with pytest.raises(SilentError):
        ours.one("3")


def test_a_short_silence_is_bridged(commands, monkeypatch):
    monkeypatch.setattr(slurm, "FRESH", 0.0)
    commands("squeue", "echo '3|RUNNING|None|ftjob-1'")
    ours = Squeue()
    assert list(ours.living()) == ["3"]
    commands("squeue", "exit 1")
    assert list(ours.living()) == ["3"]


def test_a_job_that_slurm_has_forgotten(commands):
    commands("scontrol", "echo 'slurm_load_jobs error: Invalid job id specified' >&2; exit 1")
    assert Squeue().one("3").word == "FORGOTTEN"


def test_a_machine_without_slurm(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LocalError, match="The service must run where Slurm's commands are"):
        slurm.call("sbatch")
