"""A job that nobody follows, or many: how fast it trains, and what the following takes of the processor."""

from __future__ import annotations

import itertools
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from followers import Followed
from machine import spread, table, tell
from openai_local.service.auth import make_key
from openai_local.service.store import Store
from openai_local.training.job_folder import Journal
from service import Service, service
from steps import Steps, lesson_file, lines

WAYS = {"nobody": None, "{} helpers": "helper", "{} streams of 2022": "stream"}
"""Who follows, and how `followers.py` calls that."""


def seconds_of(pid: int) -> float:
    """Seconds of processor time that a process has taken."""
    times = psutil.Process(pid).cpu_times()
    return times.user + times.system


def share(seconds: float, whole: float) -> str:
    """Processor time in a span of `whole` seconds, as a part of one core."""
    return f"{100 * seconds / whole:.1f} %"


@dataclass
class Run:
    """One training: its steps, and what it took of the processor from the first step to the last, in seconds.

    Attributes:
        steps: when they were done.
        service: processor time of the service.
        followers: processor time of the followers.
        followed: what these saw.
    """

    steps: Steps = field(default_factory=Steps)
    service: float = 0.0
    followers: float = 0.0
    followed: Followed = field(default_factory=Followed)

    @property
    def seconds(self) -> float:
        """From the first step to the last."""
        return self.steps.ended[-1] - self.steps.ended[0]

    @property
    def pace(self) -> float:
        """Tokens per second."""
        return 1000 / self.steps.pace(1, len(self.steps.ended))

    @property
    def each(self) -> list[float]:
        """The seconds of each step but the first."""
        ended = self.steps.ended
        return [end - begin for begin, end in itertools.pairwise(ended)]


@contextmanager
def following(way: str | None, url: str, job: str, keys: Sequence[str]) -> Iterator[subprocess.Popen[str] | None]:
    """The process of those who follow a job, if anybody does."""
    if way is None:
        yield None
        return
    program = Path(__file__).with_name("followers.py")
    command = ["nice", "-n", "10", sys.executable, str(program), way, url, job]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin
        process.stdin.write("\n".join(keys))
        process.stdin.close()
        yield process


def train(found: Service, file: str, epochs: int, way: str | None, keys: Sequence[str]) -> Run:
    """Train once, with followers or without."""
    job = found.client.fine_tuning.jobs.create(
        model="ada", training_file=file, seed=1648, hyperparameters={"n_epochs": epochs}
    )
    journal, run = Journal(found.home.jobs / job.id), Run()
    times = list[tuple[float, float]]()
    with following(way, str(found.client.base_url), job.id, keys) as process:
        begun = None
        for at, entry in lines(journal, lambda: journal.result() is None):
            begun = begun or at
            run.steps.see(at - begun, entry)
            if entry["kind"] == "row":
                times.append((seconds_of(found.pid), seconds_of(process.pid) if process else 0.0))
        if process and process.stdout:
            run.followed = Followed(**json.loads(process.stdout.read() or "{}"))
    run.service, run.followers = (last - first for first, last in zip(times[0], times[-1], strict=True))
    return run


def slower(runs: list[Run], alone: list[Run]) -> list[str]:
    """By how many percent a training is slower than alone: the whole of it, and the median of its steps."""
    pace = statistics.median(run.pace for run in alone) / statistics.median(run.pace for run in runs)
    pairs = zip(medians(runs), medians(alone), strict=True)
    step = statistics.median(followed / without for followed, without in pairs)
    return [f"{100 * (pace - 1):+.1f}", f"{100 * (step - 1):+.1f}"]


def medians(runs: list[Run]) -> list[float]:
    """The seconds of each step, in the median of some trainings, which all have the same steps."""
    return [statistics.median(step) for step in zip(*(run.each for run in runs), strict=True)]


def compare(count: int, epochs: int, turns: int) -> None:
    """A job alone and with followers, in turn; prints how fast it was."""
    runs: dict[str, list[Run]] = {name: [] for name in WAYS}
    with service() as found, tempfile.TemporaryDirectory() as folder:
        store = Store(found.home.database)
        keys = [make_key(store, f"follower-{number}", instructor=True) for number in range(count)]
        store.close()
        with lesson_file(Path(folder)).open("rb") as data:
            file = found.client.files.create(file=data, purpose="fine-tune").id
        for turn in range(turns):
            for name, way in WAYS.items():
                tell(f"turn {turn + 1} of {turns}: followed by {name.format(count)}")
                runs[name].append(train(found, file, epochs, way, keys))
    alone = runs["nobody"]
    print(f"### {count} followers of one job\n")
    headings = ["followed by", "tokens per second", "slower, %", "median step slower, %", "service, of one core"]
    headings += ["followers, of one core", "requests", "slowest, ms", "told of all events"]
    print(table(headings, [row(name.format(count), each, alone) for name, each in runs.items()]))
    steps = len(alone[0].steps.ended)
    print(
        f"\nThe lesson's data, {epochs} epoch(s), {steps} steps, {turns} time(s) in turn. Counted from the end of "
        "the first step to the end of the last. The followers run on the same machine, with low priority."
    )


def row(name: str, runs: list[Run], alone: list[Run]) -> list[object]:
    """What was seen of one way to follow."""
    found = [name, spread([run.pace for run in runs], 0)]
    service = share(statistics.median(run.service / run.seconds for run in runs), 1)
    if runs is alone:
        return [*found, "", "", service, "", "", "", ""]
    followed = [run.followed for run in runs]
    return [
        *found,
        *slower(runs, alone),
        service,
        share(statistics.median(run.followers / run.seconds for run in runs), 1),
        sum(each.requests for each in followed),
        f"{1000 * slowest:,.0f}" if (slowest := max(each.slowest for each in followed)) else "",
        f"{sum(each.told_all for each in followed)} of {sum(each.followers for each in followed)}",
    ]
