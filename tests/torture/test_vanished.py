"""Clients that vanish in the middle of a call, and machines that fall asleep: nothing hangs, nothing is kept."""

import os
import signal
import threading
import time
from contextlib import contextmanager

import httpx2
import openai
import pytest

import openai_lesson as lesson
from conftest import Service, finished
from openai_lesson import watching
from openai_local.answering.server_pool import LANES
from openai_local.service.throttle import MOST
from shifted import Clocks
from vanishing import Wire
from vitals import at_rest

HOUR = 3600.0
LONG = {"model": "ada", "n": 25, "max_tokens": 3500, "logit_bias": {"0": -100, "2": -100}}
"""An answer that would take minutes: nothing in it ends it before its time."""
PROMPT, MESSAGES = {"prompt": "the"}, {"messages": [{"role": "user", "content": "x"}]}
SPARE = 3
"""So many threads more may be there: workers that wait for work."""
IDLE_SECONDS = 20.0
"""The other workers are gone after that: AnyIO ends those that had no work for 10 s, the next time that one works,
which is every 5 s (`app.ACTIVITY_SECONDS`)."""
only_here = pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="this system can't stop a process")


@pytest.fixture(scope="module")
def clocks(tmp_path_factory):
    return Clocks(tmp_path_factory.mktemp("clocks"))


@pytest.fixture(scope="module")
def alone(tmp_path_factory, tiny_cache, clocks):
    """A service that nobody else calls. It would stop after ten minutes without a call."""
    service = Service(tmp_path_factory.mktemp("alone"), tiny_cache, ("--idle-timeout", "600"))
    with pytest.MonkeyPatch.context() as patch:
        for name, value in clocks.environment.items():
            patch.setenv(name, value)
        service.start()
        yield service
        service.stop()


@pytest.fixture
def client(alone):
    """The official client; it leaves no connection open when it waits."""
    http = openai.DefaultHttpxClient(limits=httpx2.Limits(max_keepalive_connections=0), trust_env=False)
    with alone.client().with_options(http_client=http) as client:
        yield client


@pytest.fixture
def wire(alone, client):
    return lambda: Wire(alone, client.api_key)


@pytest.fixture
def started(client, pairs):
    """Starts jobs; what is not over at the end is cancelled."""
    jobs = client.fine_tuning.jobs
    made = []

    def start(**hyperparameters):
        file = client.files.create(file=("pairs.jsonl", pairs.read_bytes()), purpose="fine-tune")
        made.append(jobs.create(model="ada", training_file=file.id, hyperparameters=hyperparameters))
        return made[-1]

    yield start
    for job in made:
        if jobs.retrieve(job.id).status not in watching.ENDED:
            jobs.cancel(job.id)


@contextmanager
def nothing_is_kept(service, warm_up):
    """What the service holds before and after is the same, once `warm_up` was done."""
    warm_up()
    before = at_rest(service)
    yield
    after = at_rest(service, seconds=10)
    assert after.handles <= before.handles, (before, after)
    deadline = time.monotonic() + IDLE_SECONDS
    while after.threads > before.threads + SPARE:
        assert time.monotonic() < deadline, (before, after)
        after = at_rest(service)


def quick(client):
    """How long a short answer takes, in seconds."""
    begun = time.monotonic()
    assert client.completions.create(model="ada", **PROMPT, max_tokens=2).choices
    return time.monotonic() - begun


def test_uploads_that_break_off_leave_nothing(alone, client, wire, size, tried):
    def break_off(times):
        for number in range(times):
            upload = wire()
            upload.upload((1000, 3_000_000)[number % 2], part=(0.5, 0.99)[number // 2 % 2])
            upload.vanish(politely=number % 3 == 0)

    times = size(20, 1000)
    with nothing_is_kept(alone, lambda: break_off(4)):
        before = [path.name for path in (alone.home / "files").iterdir()]
        break_off(times)
    assert [path.name for path in (alone.home / "files").iterdir()] == before
    tried("clients that vanished in an upload", str(times), 0)


@pytest.mark.parametrize("path, said", [("/v1/completions", PROMPT), ("/v1/chat/completions", MESSAGES)])
def test_an_answer_ends_when_nobody_waits_for_it(alone, client, wire, size, tried, path, said):
    """Streamed or whole: it would take minutes, but its place is free at once."""

    def leave(times, stream):
        for number in range(times):
            answer = wire()
            answer.post(path, stream=stream, **LONG, **said)
            if stream:
                answer.until(b"data: ")
            else:
                time.sleep(0.15)
            answer.vanish(politely=bool(number % 2))

    def leave_both(times):
        leave(times, stream=True)
        leave(times, stream=False)

    def use_every_lane():
        """Each stays once it was needed. How many are needed later depends on how fast the others end."""
        at_rest(alone)
        holding = []
        for _ in range(LANES + 1):
            holding.append(wire())
            holding[-1].post(path, stream=True, **LONG, **said)
            holding[-1].until(b"data: ")
        for each in holding:
            each.vanish()
        leave_both(2)

    times = size(5, 200)
    with nothing_is_kept(alone, use_every_lane):
        leave_both(times)
    assert quick(client) < 3
    tried(f"clients that vanished in an answer of {path.removeprefix('/v1')}", str(2 * times), 0)


def test_who_vanishes_while_waiting_leaves_the_queue(alone, client, wire):
    """All places for answers are taken, most by some who wait. They leave, and others get their places."""
    holding, waiting = [wire() for _ in range(LANES + 1)], [wire() for _ in range(MOST - LANES - 1)]
    for each in holding:
        each.post("/v1/completions", stream=True, **LONG, **PROMPT)
    for each in holding[:LANES]:
        each.until(b"data: ")
    for each in waiting:
        each.post("/v1/completions", **LONG, **PROMPT)
    _until(lambda: _refused(client), "the places are not all taken")
    for each in waiting:
        each.vanish()
    _until(lambda: not _refused(client.with_options(timeout=5)), "the places were not given back")
    for each in holding:
        each.vanish()
    at_rest(alone, seconds=10)


def _refused(client):
    """Whether there is no place for one more answer. One that has to wait has a place."""
    try:
        client.completions.create(model="ada", **PROMPT, max_tokens=1, timeout=0.5)
    except openai.RateLimitError:
        return True
    except openai.APITimeoutError:
        pass
    return False


def _until(holds, problem, seconds=15):
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, problem
        time.sleep(0.05)


def test_followers_of_2022_may_vanish(alone, client, wire, started, size):
    """Also from a stream in which nothing happens, as its job is paused."""
    job = started(n_epochs=50)
    client.fine_tuning.jobs.pause(job.id)
    path = f"/v1/fine-tunes/{job.id.replace('ftjob-', 'ft-')}/events?stream=true"

    def follow(times):
        for number in range(times):
            stream = wire()
            stream.get(path)
            stream.until(b"data: ")
            stream.vanish(politely=bool(number % 2))

    with nothing_is_kept(alone, lambda: follow(2)):
        follow(size(20, 500))


def test_who_stops_sending_is_hung_up_on_after_a_minute(alone, client, wire, started, clocks):
    """A stream that is silent lasts, as its client owes nothing."""
    job = started(n_epochs=50)
    client.fine_tuning.jobs.pause(job.id)
    stream, upload, nothing = wire(), wire(), wire()
    stream.get(f"/v1/fine-tunes/{job.id.replace('ftjob-', 'ft-')}/events?stream=true")
    stream.until(b"data: ")
    upload.upload(3_000_000, 0.5)
    time.sleep(0.3)
    clocks.sleep(50)
    assert not upload.hung_up(0.5) and not nothing.hung_up(0.1)
    clocks.sleep(20)
    assert upload.hung_up(2) and nothing.hung_up(2)
    assert not stream.hung_up(0.5)
    stream.vanish()
    upload.vanish()
    nothing.vanish()
    at_rest(alone)


@pytest.mark.parametrize("monotonic", [True, False])
def test_an_hour_of_sleep_ends_neither_the_service_nor_a_job(alone, client, wire, started, clocks, monotonic):
    """The clocks jump, as they do where a laptop wakes up: once while a job trains, once while nobody calls."""
    job = started(n_epochs=10, batch_size=1)
    stream = wire()
    stream.get(f"/v1/fine-tunes/{job.id.replace('ftjob-', 'ft-')}/events?stream=true")
    _until(lambda: client.fine_tuning.jobs.retrieve(job.id).status == "running", "it does not start")
    answer = wire()
    answer.post("/v1/completions", stream=True, **LONG | {"n": 1}, **PROMPT)
    answer.until(b"data: ")
    clocks.sleep(HOUR, monotonic=monotonic)
    assert finished(client, job.id).status == "succeeded"
    stream.until(b"data: [DONE]")
    answer.until(b"data: [DONE]")
    stream.vanish()
    answer.vanish()
    clocks.sleep(HOUR, monotonic=monotonic)
    time.sleep(1.2)
    assert alone.process.poll() is None and quick(client) < 3
    steps = [e.data["step"] for e in client.fine_tuning.jobs.list_events(job.id, limit=100) if e.type == "metrics"]
    assert steps == sorted(set(steps), reverse=True)


@only_here
def test_whoever_is_stopped_goes_on(alone, client, started, size, monkeypatch, tried):
    """The service, the training, both: as if the machine slept while the other did not. A notebook follows."""
    job = started(n_epochs=30, batch_size=1)
    monkeypatch.setattr(watching, "PAUSE", 0.2)
    monkeypatch.setattr(watching, "_ANSWER_SECONDS", 0.4)
    followed = []
    follower = threading.Thread(target=lambda: followed.append(lesson.follow(alone.client(), job.id)))
    follower.start()
    pid = alone.home / "jobs" / job.id / "pid"
    _until(pid.exists, "it does not start")
    training, service = int(pid.read_text()), alone.process.pid
    for asleep in ([training], [service, training], [service]):  # while the service sleeps, it may come to its end
        for each in asleep:
            os.kill(each, signal.SIGSTOP)
        time.sleep(size(1, 20))
        for each in asleep:
            os.kill(each, signal.SIGCONT)
        time.sleep(0.3)
    follower.join(timeout=60)
    assert [each.status for each in followed] == ["succeeded"]
    events = list(client.fine_tuning.jobs.list_events(job.id, limit=100))
    steps = [event.data["step"] for event in events if event.type == "metrics"][::-1]
    assert steps == [*range(1, len(steps) + 1)] and len(steps) == 360
    assert not any("started again" in event.message for event in events)
    tried("sleeps of the service, the training, or both", "3", 0)


def test_who_follows_is_patient_after_a_sleep(new_service, pairs, monkeypatch, clocks):
    """The connection is lost, then the learner's machine sleeps for an hour, then the service is back."""
    service = new_service()
    client = service.client()
    job = lesson.start(client, pairs, hyperparameters={"n_epochs": 2})
    finished(client, job.id)
    watcher = watching.Watcher(client, job.id, tell=lambda *_: None, come_back="", bar=False)
    service.kill()
    assert not watcher._look()
    now = time.monotonic()
    monkeypatch.setattr(watching.time, "monotonic", lambda: now + HOUR)
    assert not watcher._look(), "an hour in which nothing was tried is no reason to give up"
    monkeypatch.undo()
    port = service.url.rsplit(":", 1)[1].split("/")[0]
    service.options = ("--port", port)
    service.start()
    assert watcher.watch().status == "succeeded"
