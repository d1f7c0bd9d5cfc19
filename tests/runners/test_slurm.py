"""The runner with a real Slurm of one computer: how jobs wait, run, and end in all the ways that there are."""

import getpass
import os
import stat
import time
from dataclasses import replace
from pathlib import Path

import pytest

import slurm_here
from openai_local.errors import LocalError
from openai_local.models.base_models import SMOLLM2
from openai_local.runners import Status, slurm
from openai_local.runners.site import Site
from openai_local.runners.slurm import SILENT, SlurmRunner
from openai_local.training.job_folder import Job, Journal
from slurm_here import ask, wait_for

MORE = """\
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
PartitionName=yielding Nodes={host} PriorityTier=0 State=UP
PartitionName=ending Nodes={host} PriorityTier=0 PreemptMode=CANCEL State=UP
PartitionName=urgent Nodes={host} PriorityTier=1 State=UP
"""
SITE = Site(cores=1, memory="500M", time="10")
GOES_ON = "It goes on from its last snapshot, in a new Slurm job."
EPOCHS, EPOCH = 500, 300
"""Of the long training, and its steps in one. No test sees its end, unless it shortens it."""


@pytest.fixture(scope="module")
def a_slurm(tmp_path_factory):
    """Its settings, also for the commands that the tests call."""
    with (
        slurm_here.or_skip(tmp_path_factory.mktemp("slurm"), MORE) as settings,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv("SLURM_CONF", str(settings))
        yield settings


@pytest.fixture(scope="module")
def new_journal(tmp_path_factory, tiny_cache, pairs):
    """Makes directories of jobs with the tiny model: short ones, and such as train for minutes."""
    folder = tmp_path_factory.mktemp("the jobs")  # with a space
    long = folder / "long.jsonl"
    long.write_text("".join((pairs.read_text() * EPOCH).splitlines(keepends=True)[:EPOCH]))
    made = []

    def make(name, *, short=False):
        journal = Journal(folder / f"ftjob-{name}")
        journal.folder.mkdir()
        plan = Job(
            journal.folder.name, "tiny", str(SMOLLM2.at(tiny_cache).weights), str(long), None, 3, EPOCHS, 1, 1.0
        )
        journal.write_job(replace(plan, training_file=str(pairs), n_epochs=2, batch_size=4) if short else plan)
        made.append(journal)
        return journal

    return make


@pytest.fixture
def host(a_slurm):
    return ask("sinfo", "--noheader", "--partition=debug", "--format=%N")


@pytest.fixture
def runner(a_slurm):
    """A runner, all of whose jobs are gone at the end."""
    yield SlurmRunner(SITE)
    others = ("squeue", "--me", "--noheader", "--format=%i", "--partition=debug,yielding,ending,urgent")
    if numbers := ask(*others).split():
        ask("scancel", *numbers)
    wait_for(lambda: not ask(*others))


def steps(journal):
    return [entry["step"] for entry in journal.rows()]


def training(runner, journal, seconds=90):
    """Wait until it takes steps that no process before it took."""
    before = len(steps(journal))
    wait_for(lambda: len(steps(journal)) > before + 3, seconds)
    assert runner.look(journal) == Status(True)


def over(runner, journal, seconds=60):
    """Wait until its Slurm job is gone."""
    return wait_for(lambda: (status := runner.look(journal)).alive is False and status, seconds)


def waiting(runner, journal, why, seconds=60):
    return wait_for(lambda: why in ((status := runner.look(journal)).waits or "") and status, seconds)


def unbroken(journal):
    """Whether no step was lost, and none told twice."""
    found = steps(journal)
    return found == [*range(1, len(found) + 1)]


def goes_on(journal):
    return [entry["message"] for _, entry in journal.read() if "Going on after" in entry.get("message", "")]


@pytest.fixture(scope="module")
def hurried(a_slurm, new_journal):
    """A job with one minute, the least that Slurm gives. It trains beside the others, and is looked at last."""
    runner, journal = SlurmRunner(replace(SITE, partition="short", time="1")), new_journal("hurried")
    runner.start(journal)
    return runner, journal, time.monotonic()


def test_a_job_trains_to_its_end(hurried, runner, new_journal, monkeypatch):
    monkeypatch.setenv("A_SECRET", "not for others")
    journal = new_journal("short", short=True)
    runner.start(journal)
    number = (journal.folder / "slurm").read_text()
    assert runner.look(journal).alive
    job = ask("scontrol", "show", "job", number)
    assert f"WorkDir={journal.folder}\n" in job and "JobName=ftjob-short\n" in job and "Requeue=1" in job
    written = ask("scontrol", "write", "batch_script", number, "-")
    assert written == (journal.folder / "batch.sh").read_text().strip()
    assert stat.S_IMODE((journal.folder / "batch.sh").stat().st_mode) == 0o600
    process = wait_for(journal.read_pid)
    environment = dict(
        pair.split("=", 1) for pair in Path(f"/proc/{process}/environ").read_text().split("\0") if "=" in pair
    )
    assert environment["OMP_NUM_THREADS"] == "1" and environment["GOMP_SPINCOUNT"] == "3000"
    assert "A_SECRET" not in environment and environment["SLURM_JOB_ID"] == number

    wait_for(journal.result)
    assert (
        journal.result()["status"] == "succeeded" and journal.adapter.exists() and steps(journal) == [*range(1, 7)]
    )
    assert over(runner, journal) == Status(False), "the result says it all"
    runner.release(journal)


def test_several_train_at_once_and_the_rest_wait(hurried, runner, new_journal):
    """The computer has four cores, and the last job wants three."""
    first, second, third = (new_journal(name) for name in ("first", "second", "third"))
    runner.start(first)
    runner.start(second)
    SlurmRunner(replace(SITE, cores=3)).start(third)
    waits = "It waits in Slurm's queue: it waits until enough cores and memory are free (Slurm says: Resources)."
    assert waiting(runner, third, "Resources") == Status(True, waits=waits)
    assert (runner.look(first), runner.look(second)) == (Status(True), Status(True)), "both run"

    # Ours to stop. That is nobody's cancelling: it is just over, also for those who look again and again.
    for journal in (first, third):
        runner.stop(journal)
        while (status := runner.look(journal)).alive:
            time.sleep(0.1)
        assert status == Status(False) == runner.look(journal)
    names = ask("squeue", "--me", "--noheader", "--format=%j").splitlines()
    assert "ftjob-second" in names and not {"ftjob-first", "ftjob-third"} & set(names)


def test_what_was_stopped_goes_on_from_its_last_step(runner, new_journal):
    """The warning that Slurm gives is enough to write it down."""
    journal = new_journal("stopped")
    runner.start(journal)
    training(runner, journal)
    runner.stop(journal)
    over(runner, journal)
    last = steps(journal)[-1]
    runner.start(journal)
    training(runner, journal)
    assert goes_on(journal) == [f"Going on after step {last}/{EPOCHS * EPOCH}"]
    assert unbroken(journal)


def test_cancelled_by_somebody(runner, new_journal):
    runs, held = new_journal("cancelled"), new_journal("cancelled-while-it-waited")
    runner.start(runs)
    runner.start(held)
    number = (held.folder / "slurm").read_text()
    training(runner, runs)
    for journal in (runs, held):
        number = (journal.folder / "slurm").read_text()
        ask("scancel", number)
        said = f"Somebody cancelled it in Slurm (scancel {number})."
        assert over(runner, journal) == Status(False, ended="cancelled", said=said)


def test_held_back_and_let_go(runner, new_journal):
    journal = new_journal("held")
    (other := SlurmRunner(replace(SITE, cores=4))).start(journal)
    number = (journal.folder / "slurm").read_text()
    ask("scontrol", "uhold", number)  # root's plain "hold" is the staff's
    assert f"scontrol release {number} (Slurm says: JobHeldUser)." in waiting(other, journal, "Held").waits
    ask("scontrol", "release", number)
    wait_for(lambda: "Held" not in (other.look(journal).waits or ""))


def test_the_computer_is_taken_out_and_given_back(runner, new_journal, host):
    journal = new_journal("drained")
    ask("scontrol", "update", f"nodename={host}", "state=DRAIN", "reason=test")
    runner.start(journal)
    status = waiting(runner, journal, "DOWN")
    ask("scontrol", "update", f"nodename={host}", "state=RESUME")
    assert "the computers that could train it are down or reserved" in status.waits
    wait_for(lambda: runner.look(journal) == Status(True))


def test_before_its_reservation_begins(runner, new_journal, host):
    where = [f"nodes={host}", "corecnt=1", "partition=debug", f"users={getpass.getuser()}"]
    ask("scontrol", "create", "reservation=class", "starttime=now+1hour", "duration=1:00:00", *where)
    journal = new_journal("reserved")
    (other := SlurmRunner(replace(SITE, reservation="class"))).start(journal)
    waits = "It waits in Slurm's queue: its reservation has not begun yet (Slurm says: Reservation)."
    assert waiting(other, journal, "Reservation") == Status(True, waits=waits)
    other.stop(journal)
    over(other, journal)
    ask("scontrol", "delete", "reservation=class")
    with pytest.raises(LocalError, match=r"Requested reservation is invalid. Mend reservation in site.toml"):
        other.start(journal)


def test_a_job_that_can_never_start_says_whom_to_ask(runner, new_journal):
    for name, changes, word in (
        ("too-long", {"partition": "short", "time": "2:00:00"}, "PartitionTimeLimit"),
        ("too-large", {"cores": 500}, "PartitionConfig"),
    ):
        journal = new_journal(name)
        (other := SlurmRunner(replace(SITE, **changes))).start(journal)
        assert "so it will never start. Ask your instructor: in site.toml, " in waiting(other, journal, word).waits
        other.stop(journal)
        over(other, journal)


def test_what_slurm_refuses(runner, new_journal):
    for changes, said in (
        ({"partition": "nowhere"}, "Invalid partition name specified. Mend partition in site.toml"),
        ({"memory": "9000G"}, "Requested node configuration is not available. .*cores, memory"),
        ({"gpus": "1"}, r"Invalid generic resource \(gres\) specification. Mend gpus in site.toml"),
    ):
        with pytest.raises(LocalError, match=f"Slurm did not take the job. It said: .*{said}"):
            SlurmRunner(replace(SITE, **changes)).start(new_journal(f"refused-{next(iter(changes))}"))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"python": "/nowhere/python"}, "did not find Python. Ask your instructor: in site.toml, mend"),
        (
            {"setup": ("echo 'no such module' >&2; exit 7",)},
            "failed with exit code 7. Its last line: no such module",
        ),
        ({"setup": ("kill -KILL $$",)}, "memory was not enough."),
    ],
)
def test_a_job_that_fails(runner, new_journal, changes, said):
    journal = new_journal(f"fails-{len(said)}")
    (other := SlurmRunner(replace(SITE, **changes))).start(journal)
    status = over(other, journal)
    assert status.ended == "failed" and said in status.said


def test_requeued_it_goes_on(runner, new_journal):
    journal = new_journal("requeued")
    runner.start(journal)
    training(runner, journal)
    number = (journal.folder / "slurm").read_text()
    ask("scontrol", "requeue", number)
    waiting(runner, journal, "It was interrupted, and waits in Slurm's queue to go on from where it was")
    last = steps(journal)[-1]
    training(runner, journal)
    assert unbroken(journal) and f"after step {last}/" in goes_on(journal)[0]
    assert (journal.folder / "slurm").read_text() == number, "it is the same Slurm job"


def test_preempted_it_goes_on(runner, new_journal):
    """By a more urgent job: in one partition Slurm requeues what must make way, in the other it ends it."""
    yielding, ending = new_journal("yielding"), new_journal("ending")
    runners = {
        journal: SlurmRunner(replace(SITE, partition=journal.folder.name[6:])) for journal in (yielding, ending)
    }
    for journal, other in runners.items():
        other.start(journal)
    for journal, other in runners.items():
        training(other, journal)
    idle = int(ask("sinfo", "--noheader", "--partition=debug", "--format=%C").split("/")[1])
    urgent = f"--cpus-per-task={idle + 2}"
    ask("sbatch", "--partition=urgent", urgent, "--output=/dev/null", "--wrap", "sleep 3")
    status = over(runners[ending], ending)
    said = "It had to make way for a more urgent job."
    assert status == Status(False, ended="again", said=said, then=GOES_ON)
    waiting(runners[yielding], yielding, "It was interrupted")
    last = {journal: steps(journal)[-1] for journal in runners}
    runners[ending].start(ending)
    for journal, other in runners.items():
        training(other, journal)
        assert f"after step {last[journal]}/" in goes_on(journal)[0]
        assert unbroken(journal)


def test_a_service_that_was_killed_before_it_knew_the_number(runner, new_journal):
    journal = new_journal("unknown")
    runner.start(journal)
    number = (journal.folder / "slurm").read_text()
    (journal.folder / "slurm").unlink()

    next_ = SlurmRunner(SITE)
    assert next_.look(journal).alive
    (journal.folder / "slurm").unlink(missing_ok=True)
    next_.start(journal)
    assert (journal.folder / "slurm").read_text() == number
    assert ask("squeue", "--me", "--noheader", "--name=ftjob-unknown", "--format=%i") == number
    ask("scancel", number)
    assert over(next_, journal).ended == "cancelled"


def test_slurm_falls_silent(runner, new_journal, monkeypatch, tmp_path):
    """Its commands find nobody at the other end; then they do again."""
    settings = os.environ["SLURM_CONF"]
    elsewhere = tmp_path / "slurm.conf"
    lines = (line for line in Path(settings).read_text().splitlines() if not line.startswith("SlurmctldPort"))
    elsewhere.write_text("\n".join([*lines, "SlurmctldPort=1", "MessageTimeout=2", ""]))
    monkeypatch.setattr(slurm, "LASTING", 0.5)
    monkeypatch.setattr(slurm, "AGAIN_SECONDS", 1.0)
    runs, new = new_journal("told"), new_journal("not-told")
    runner.start(runs)
    training(runner, runs)

    monkeypatch.setenv("SLURM_CONF", str(elsewhere))
    time.sleep(0.6)
    assert runner.look(runs) == Status(True), "it trains, whatever Slurm says"
    runner.start(new)
    assert runner.look(new) == Status(True, waits=SILENT)
    runner.stop(runs)
    assert runner.look(runs).alive

    monkeypatch.setenv("SLURM_CONF", settings)
    monkeypatch.setattr(slurm, "LASTING", 60.0)
    wait_for(lambda: (new.folder / "slurm").exists() or (runner.look(new), False)[1])
    training(runner, new)

    def stopped():
        runner.stop(runs)
        return not runner.look(runs).alive

    wait_for(stopped)


def test_a_job_that_slurm_does_not_know_any_more(runner, new_journal):
    journal = new_journal("forgotten")
    (journal.folder / "slurm").write_text("999999")
    status = runner.look(journal)
    assert status.ended == "again" and "remembers a job for some minutes only" in status.said


def test_the_time_is_over_and_it_goes_on(hurried):
    """Slurm looks at the clock twice a minute, so this may take half a minute longer than the minute."""
    runner, journal, begun = hurried
    status = over(runner, journal, 130 - (time.monotonic() - begun))
    said = "The time that Slurm gave it (00:01:00) was over."
    assert status == Status(False, ended="again", said=said, then=GOES_ON)

    # What is left would take minutes, so the job is made shorter: it ends with the epoch in which it is.
    last = steps(journal)[-1]
    journal.write_job(replace(journal.read_job(), n_epochs=last // EPOCH + 1))
    runner.start(journal)
    wait_for(journal.result)
    assert journal.result()["status"] == "succeeded"
    assert steps(journal) == [*range(1, (last // EPOCH + 1) * EPOCH + 1)], "no step was lost, none done twice"
    assert f"after step {last}/" in goes_on(journal)[0]


def test_the_computer_is_lost_and_comes_back(runner, new_journal, host):
    """Last, as it ends all jobs there. Slurm requeues them by itself, and takes the computer again in seconds."""
    journal = new_journal("lost")
    runner.start(journal)
    training(runner, journal)
    ask("scontrol", "update", f"nodename={host}", "state=DOWN", "reason=test")
    waiting(runner, journal, "It was interrupted, and waits in Slurm's queue to go on from where it was")
    last = steps(journal)[-1]
    training(runner, journal)
    assert unbroken(journal) and f"after step {last}/" in goes_on(journal)[0]
