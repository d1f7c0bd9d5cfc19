"""`benchmarks/simulated.py`: three learners at once, each gets their own; and what is wrong is found."""

import sys
from dataclasses import replace
from pathlib import Path

import openai
import pytest

from conftest import Service

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))

from sent import Sent
from simulated import ASKED, Learner, at_once, hand_out, lost, mixed_up, word

EPOCHS = 40  # so often the tiny model needs to see a word


@pytest.fixture(scope="module")
def school(tmp_path_factory, tiny_cache):
    service = Service(tmp_path_factory.mktemp("school"), tiny_cache, ("--learners", "3"))
    service.start()
    yield service
    service.stop()


@pytest.fixture(scope="module")
def keys(school):
    return {strip.name: strip.key for strip in hand_out(school.home)}


@pytest.fixture(scope="module")
def learners(school, keys):
    """Three who went through the lesson, at once."""
    names = [name for name in keys if name != "instructor"]
    found = [Learner(name, number, school.url, keys[name], epochs=EPOCHS) for number, name in enumerate(names, 1)]
    at_once(found, Learner.learn)
    return found


@pytest.fixture
def notes(learners):
    return [learner.notes for learner in learners]


def test_nothing_is_lost_or_mixed_up(learners, notes):
    assert [lost(each) for each in notes] == [[], [], []]
    assert [mixed_up(each, notes) for each in notes] == [[], [], []]
    for learner in learners:
        assert learner.sent.errors == []
        assert learner.sent.seconds.keys() >= {"upload a file", "create a job", "look at a job", "ask"}
        assert [name.split(":")[2] for name in learner.notes.models] == [learner.name] * 4
    assert len({tuple(each.answers) for each in notes}) == 3


def test_asking_again_at_once(learners, notes):
    before = notes[0].answers[:]
    at_once(learners, lambda learner: learner.ask(["What is the word?"]))
    assert [each.answers[ASKED:] for each in notes] == [[each.answers[0]] for each in notes]
    assert notes[0].answers[:ASKED] == before


def test_a_learner_who_sees_others_is_found(school, keys, notes):
    """The instructor's key sees all. A learner who had it would be told of everybody."""
    spy = Learner("instructor", 4, school.url, keys["instructor"], epochs=1)
    spy.learn()
    found = "\n".join(mixed_up(spy.notes, notes))
    for other in notes:
        assert f"was told of {other.word}" in found and f"was told of {other.job.id}" in found
    assert [mixed_up(each, [*notes, spy.notes]) for each in notes] == [[], [], []]
    problems = " ".join(lost(spy.notes))
    assert "the files are not" in problems and "the jobs are not" in problems and "the models are not" in problems


def test_what_is_anothers_is_found(notes):
    mine, other = notes[:2]
    for part in ("models", "answers", "events", "files", "jobs"):
        mixed = replace(mine, **{part: [*getattr(mine, part), getattr(other, part)[-1]]})
        assert mixed_up(mixed, notes[1:2]), part
    assert mixed_up(replace(mine, returned=other.sent), notes)
    assert mixed_up(replace(mine, job=other.job), notes)


def test_what_is_lost_is_found(notes):
    mine = notes[0]
    step = next(event for event in mine.events if event.type == "metrics")
    for part, wrong, problem in (
        ("error", "no way", "no way"),
        ("job", None, "there is no job"),
        ("job", mine.job.model_copy(update={"status": "failed"}), "the job has failed"),
        ("returned", mine.sent[:-1], "the file that came back"),
        ("files", mine.files[:1], "the files are not"),
        ("models", mine.models[:-1], "checkpoints"),
        ("events", [event for event in mine.events if event is not step], "the steps are"),
        ("events", [*mine.events, mine.events[-1]], "an event is there twice"),
        ("events", mine.events[::-1], "the events are not in order"),
        ("followed", mine.followed[1:], "the helper was told other events"),
        ("answers", [], "there are 0 answers"),
        ("answers", ["I don't know."] * ASKED, "the answers are"),
    ):
        assert problem in " ".join(lost(replace(mine, **{part: wrong}))), part


def test_a_429_is_obeyed_and_errors_are_counted(new_service):
    school = new_service("--learners", "1", "--most-requests", "60")
    [key] = [strip.key for strip in hand_out(school.home) if not strip.instructor]
    sent = Sent()
    client = sent.client(school.url, key)
    for _ in range(62):
        client.models.list()
    assert sent.obeyed >= 1 and sent.errors == [] and len(sent.seconds["list files, jobs, models"]) == 62

    with pytest.raises(openai.RateLimitError):
        for _ in range(62):
            client.with_options(max_retries=0).models.list()
    sent.close()
    assert sent.errors == ["the client gave up at a 429"]
    with pytest.raises(openai.NotFoundError):
        client.fine_tuning.jobs.retrieve("ftjob-none")
    school.kill()
    with pytest.raises(openai.APIConnectionError):
        client.with_options(max_retries=0).models.list()
    sent.close()
    assert sent.errors[1].startswith("look at a job: 404") and sent.errors[2:] == [
        "list files, jobs, models: no answer came"
    ]


def test_each_learner_has_a_word_of_their_own():
    words = {word(number) for number in range(1, 1000)}
    assert len(words) == 999 and {len(each) for each in words} == {6}
