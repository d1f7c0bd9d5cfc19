import filecmp
import json
from dataclasses import replace

import pytest

from openai_local.models.base_models import SMOLLM2
from openai_local.training import loop
from openai_local.training.job_folder import Job, Journal, Paused
from openai_local.training.loop import train


@pytest.fixture
def new_journal(tmp_path, tiny_cache, pairs):
    """Makes job directories that differ in their name only: two epochs of six steps, with validation."""

    def make(name, **changes):
        (tmp_path / name).mkdir()
        journal = Journal(tmp_path / name)
        plan = Job("ftjob-1", "tiny", str(SMOLLM2.at(tiny_cache).weights), str(pairs), str(pairs), 3, 2, 2, 1.0)
        journal.write_job(replace(plan, **changes))
        return journal

    return make


class CrashError(Exception):
    pass


def same(one, other):
    """Whether two files are. (pytest would look for many minutes where they differ.)"""
    return filecmp.cmp(one, other, shallow=False)


def stop_after(monkeypatch, step, how):
    """Call `how(loop)` when a step is done."""
    tell = loop.Loop._tell_step

    def told(self, number, *rest):
        tell(self, number, *rest)
        if number == step:
            how(self)

    monkeypatch.setattr(loop.Loop, "_tell_step", told)


@pytest.mark.parametrize("step", [1, 5, 6, 7, 12])
def test_a_paused_job_goes_on_from_its_last_step(new_journal, monkeypatch, step):
    whole = new_journal("whole")
    train(whole)

    paused = new_journal("paused")
    stop_after(monkeypatch, step, lambda loop: paused.request_pause())
    with pytest.raises(Paused):
        train(paused)
    assert paused.result() is None
    paused.forget_pause()
    train(paused)

    assert paused.table.read_text() == whole.table.read_text()
    assert same(paused.adapter, whole.adapter)
    steps = [row["step"] for row in paused.rows()]
    assert steps == list(range(1, 13)), "no step was done twice"
    assert any(entry.get("message") == f"Going on after step {step}/12" for _, entry in paused.read())


def test_a_killed_job_goes_on_from_its_last_snapshot(new_journal, monkeypatch):
    whole = new_journal("whole")
    train(whole)

    def die(loop):
        raise CrashError

    killed = new_journal("killed")
    with monkeypatch.context() as patch:
        patch.setattr(loop, "SNAPSHOT_SHARE", float("inf"))
        stop_after(patch, 9, die)
        with pytest.raises(CrashError):
            train(killed)
    train(killed)

    assert same(killed.adapter, whole.adapter)
    assert killed.table.read_text() == whole.table.read_text()
    ids = {}
    for _, entry in killed.read():
        if entry.get("type") == "metrics":
            assert ids.setdefault(entry["id"], entry["message"]) == entry["message"], "step 9 was done again alike"
    assert len([row for row in killed.rows() if row["step"] == 9]) == 2
    assert not killed.snapshot.exists()


def test_a_snapshot_that_is_broken_means_starting_again(new_journal, monkeypatch):
    journal = new_journal("broken")
    journal.snapshot.write_bytes(b"nonsense")
    train(journal)
    assert journal.result()["status"] == "succeeded"
    assert [row["step"] for row in journal.rows()] == list(range(1, 13))


def test_a_checkpoint_after_each_epoch(new_journal):
    journal = new_journal("checkpoints")
    train(journal)
    told = [entry for _, entry in journal.read() if entry["kind"] == "checkpoint"]
    assert [entry["step"] for entry in told] == [6, 12]
    assert journal.checkpoint_file(6).exists()
    assert same(journal.checkpoint_file(12), journal.adapter)
    assert {"step", "train_loss", "full_valid_loss", "full_valid_mean_token_accuracy"} <= set(told[0]["metrics"])


def test_the_weight_of_prompts_changes_the_loss(new_journal):
    """Of random weights nothing is known: the loss over prompts too is another one."""
    losses = []
    for name, weight in (("a", 0.0), ("b", 0.5)):
        journal = new_journal(name, prompt_weight=weight, n_epochs=1)
        train(journal)
        losses.append([row["train_loss"] for row in journal.rows()])
    assert losses[0][0] != losses[1][0] and losses[0][-1] != losses[1][-1]


def test_classification_metrics_stand_in_the_last_row_of_each_epoch(new_journal, tmp_path):
    data = tmp_path / "classes.jsonl"
    examples = [{"prompt": f"Is {n} even? ->", "completion": " yes" if n % 2 == 0 else " no"} for n in range(12)]
    data.write_text("".join(json.dumps(example) + "\n" for example in examples))
    journal = new_journal(
        "classes",
        training_file=str(data),
        validation_file=str(data),
        classification={"positive_class": " yes", "betas": [2]},
        of_2022=True,
        n_epochs=12,
        learning_rate_multiplier=2.0,
    )
    train(journal)
    lines = journal.table.read_text().splitlines()
    header = lines[0].split(",")
    assert header[-7:] == [
        f"classification/{name}" for name in "accuracy precision recall auroc auprc f1.0 f2.0".split()
    ]
    accuracy = [line.split(",")[-7] for line in lines[1:]]
    assert [bool(cell) for cell in accuracy] == ([False] * 5 + [True]) * 12
    assert float(lines[-1].split(",")[header.index("classification/auroc")]) > 0.5


def test_words_of_prompts_are_dropped_less_and_less(new_journal, monkeypatch):
    seen = []

    def learn(self, batch, dropped):
        seen.append([(one, dropped[id(one)]) for one in batch])
        return whole(self, batch, dropped)

    whole = loop.DataParallel.learn
    monkeypatch.setattr(loop.DataParallel, "learn", learn)
    monkeypatch.setattr(loop, "DROPPED", 0.9)
    for name in ("one", "again"):
        train(new_journal(name, n_epochs=4))
    once, again = ([own for step in half for _, own in step] for half in (seen[:24], seen[24:]))
    assert once == again, "the same words each time"
    for one, own in (pair for step in seen for pair in step):
        assert not any(dropped and counts for dropped, counts in zip(own, one.counts, strict=True)), "no answers"
    first, last = (sum(sum(own) for step in steps for _, own in step) for steps in (seen[:6], seen[18:24]))
    assert first > 3 * last and not any(any(own) for _, own in seen[23])
