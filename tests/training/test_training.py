import csv
import json
from dataclasses import replace

import pytest

from openai_local.answering.inference import Answering, Target
from openai_local.models.base_models import SMOLLM2
from openai_local.training.dataset import DataError
from openai_local.training.job_folder import Job, Journal, settle
from openai_local.training.loop import train


def job(tiny_cache, data, **changes):
    fields = {"n_epochs": "auto", "batch_size": "auto", "learning_rate_multiplier": "auto", **changes}
    return Job("ftjob-1", "tiny", str(SMOLLM2.at(tiny_cache).weights), str(data), None, 3, **fields)


@pytest.fixture(scope="module")
def learned(tmp_path_factory, tiny_cache, pairs):
    """The tiny model trained until it knows twelve sentences by heart."""
    journal = Journal(tmp_path_factory.mktemp("job"))
    journal.write_job(job(tiny_cache, pairs, n_epochs=50, batch_size=3, learning_rate_multiplier=3.0))
    train(journal)
    return journal


def test_the_loss_falls(learned):
    with learned.table.open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["step"]) for row in rows] == list(range(1, 201))
    assert float(rows[0]["train_loss"]) > 4 > 0.5 > float(rows[-1]["train_loss"])
    assert float(rows[-1]["train_accuracy"]) > 0.9


def test_llama_cpp_says_what_was_learned(learned, tiny_cache, pairs):
    """The adapter file holds what PyTorch learned, in llama.cpp's order of rows."""
    answering = Answering()
    target = Target(SMOLLM2.at(tiny_cache).gguf, learned.adapter)
    right = 0
    records = [json.loads(line) for line in pairs.read_text().splitlines()]
    for record in records:
        answer = answering.complete(target, {"prompt": record["prompt"], "max_tokens": 40, "temperature": 0})
        right += answer["choices"][0]["text"] == record["completion"]
    answering.close()
    assert right >= len(records) - 1


def test_events_and_result_tell_what_happened(learned):
    entries = [entry for _, entry in learned.read()]
    messages = [entry["message"] for entry in entries if entry["kind"] == "event"]
    assert messages[0].startswith("Step 1/200: training loss=")
    assert any(message.startswith("Epoch 50/50: training loss=") for message in messages)
    settled = next(entry for entry in entries if entry["kind"] == "hyperparameters")
    assert (settled["n_epochs"], settled["batch_size"], settled["learning_rate_multiplier"]) == (50, 3, 3.0)
    result = learned.result()
    assert result["status"] == "succeeded" and result["trained_tokens"] > 0


def test_a_validation_file_is_measured(tmp_path, tiny_cache, pairs):
    """A batch of it at each step, all of it after each epoch; it says nothing to the training."""
    journals = []
    for name, validation in (("with", str(pairs)), ("without", None)):
        (tmp_path / name).mkdir()
        journals.append(Journal(tmp_path / name))
        plan = job(tiny_cache, pairs, n_epochs=2, batch_size=6)
        journals[-1].write_job(replace(plan, validation_file=validation))
        train(journals[-1])
    with journals[0].table.open() as file:
        rows = list(csv.DictReader(file))
    with journals[1].table.open() as file:
        assert [row["train_loss"] for row in csv.DictReader(file)] == [row["train_loss"] for row in rows]
    assert all(0 < float(row["valid_loss"]) < 10 and row["valid_mean_token_accuracy"] for row in rows)
    data = [entry["data"] for _, entry in journals[0].read() if entry.get("type") == "metrics"]
    full = [point["full_valid_loss"] for point in data if "full_valid_loss" in point]
    assert len(full) == 2 and full[1] < full[0], "the same data: its loss falls as the training loss does"
    assert [point["valid_loss"] for point in data if "valid_loss" in point] == [
        pytest.approx(float(row["valid_loss"])) for row in rows
    ]


def test_the_same_seed_gives_the_same_losses(tmp_path, tiny_cache, pairs):
    tables = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        journal = Journal(tmp_path / name)
        journal.write_job(job(tiny_cache, pairs, n_epochs=2))
        train(journal)
        tables.append(journal.table.read_text())
    assert tables[0] == tables[1]


def test_a_bad_file_fails_before_a_model_is_loaded(tmp_path, tiny_cache):
    data = tmp_path / "bad.jsonl"
    data.write_text("no json\n")
    journal = Journal(tmp_path)
    journal.write_job(job(tiny_cache, data))
    with pytest.raises(DataError, match="Line 1"):
        train(journal)


def test_prompts_that_fill_the_window_are_refused(tmp_path, tiny_cache):
    data = tmp_path / "long.jsonl"
    data.write_text((json.dumps({"prompt": "x" * 3000, "completion": " y"}) + "\n") * 10)
    journal = Journal(tmp_path)
    journal.write_job(job(tiny_cache, data))
    with pytest.raises(DataError, match="Shorten the prompts"):
        train(journal)


@pytest.mark.parametrize(("n", "epochs", "batch"), [(10, 20, 3), (107, 13, 5), (1000, 4, 16), (100_000, 3, 16)])
def test_what_auto_becomes(tmp_path, n, epochs, batch):
    chosen = settle("auto", "auto", "auto", n)
    assert (chosen.n_epochs, chosen.batch_size) == (epochs, batch)
