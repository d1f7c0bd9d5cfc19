import hashlib

import pytest

from openai_local.training.job_folder import Job, Journal, data_file, noted, provenance, remove_data


def test_what_is_written_is_read(tmp_path):
    journal = Journal(tmp_path)
    job = Job("ftjob-1", "base", "weights", "train.jsonl", None, 3, "auto", 2, 0.5)
    journal.write_job(job)
    assert journal.read_job() == job
    assert list(journal.read()) == []
    journal.event("Hello")
    journal.event("Step 1", data={"step": 1})
    journal.tell("hyperparameters", n_epochs=3)
    entries = [entry for _, entry in journal.read()]
    assert [entry["kind"] for entry in entries] == ["event", "event", "hyperparameters"]
    assert [entry.get("type") for entry in entries] == ["message", "metrics", None]
    assert journal.result() is None
    journal.finish(status="succeeded")
    assert journal.result() == {"status": "succeeded"}


def test_reading_goes_on_where_it_was_and_waits_for_whole_lines(tmp_path):
    journal = Journal(tmp_path)
    journal.event("one")
    ((offset, _),) = journal.read()
    with journal.events.open("a") as file:
        file.write('{"kind": "event", "mess')
    assert list(journal.read(offset)) == []
    with journal.events.open("a") as file:
        file.write('age": "two"}\n')
    ((_, entry),) = journal.read(offset)
    assert entry["message"] == "two"


def test_what_is_told_again_has_the_same_id(tmp_path):
    journal = Journal(tmp_path)
    journal.event("Step 1", key="step 1")
    journal.event("Step 1", key="step 1")
    journal.event("Hello")
    first, again, other = [entry["id"] for _, entry in journal.read()]
    assert first == again != other and first.startswith("ftevent-") and len(first) == len(other)


def test_a_line_that_was_being_written_is_removed(tmp_path):
    journal = Journal(tmp_path)
    journal.mend()
    journal.event("one")
    with journal.events.open("a") as file:
        file.write('{"kind": "ev')
    journal.mend()
    journal.event("two")
    assert [entry["message"] for _, entry in journal.read()] == ["one", "two"]


def test_a_pause_is_asked_for_and_taken_back(tmp_path):
    journal = Journal(tmp_path)
    journal.request_pause()
    assert journal.pause_requested()
    journal.forget_pause()
    journal.forget_pause()
    assert not journal.pause_requested()


PAIRS = b'{"prompt": "secret?", "completion": " yes"}\n\n' * 3
CHATS = b'{"messages": [{"role": "assistant", "content": "secret"}]}\n'


@pytest.fixture
def folder(tmp_path):
    data_file(tmp_path, "training_file").write_bytes(PAIRS)
    data_file(tmp_path, "validation_file").write_bytes(CHATS)
    (tmp_path / "step-2.gguf").touch()
    return tmp_path


def test_what_is_known_stays_and_the_data_goes(folder):
    before = provenance(folder)
    assert before["training_file"].sha256 == hashlib.sha256(PAIRS).hexdigest()
    assert [(found.examples, found.plain) for found in before.values()] == [(3, True), (1, False)]
    remove_data(folder)
    remove_data(folder)
    assert provenance(folder) == before
    assert not [path for path in folder.iterdir() if b"secret" in path.read_bytes()]


def test_it_is_done_again_if_it_was_interrupted(folder):
    content = {path: path.read_bytes() for path in folder.glob("*.jsonl")}
    remove_data(folder)
    before = provenance(folder)
    for path, data in content.items():
        path.write_bytes(data)
    remove_data(folder)
    assert provenance(folder) == before and not [*folder.glob("*.jsonl")]


def test_a_note_that_is_damaged_is_none(folder):
    before = provenance(folder)
    noted(folder).write_text('{"training_file": 1}')
    assert provenance(folder) == before


def test_where_there_is_no_model_nothing_is_noted(folder):
    (folder / "step-2.gguf").unlink()
    data_file(folder, "training_file").write_bytes(b"\xff" * 100)
    remove_data(folder)
    assert not [*folder.iterdir()]
