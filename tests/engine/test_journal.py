from openai_local.engine.journal import Job, Journal


def test_what_is_written_is_read(tmp_path):
    journal = Journal(tmp_path)
    job = Job("ftjob-1", "base", "weights", "train.jsonl", None, 3, "auto", 2, 0.5)
    journal.write_job(job)
    assert journal.read_job() == job
    assert list(journal.read()) == []
    journal.event("Hello")
    journal.event("Step 1", data={"step": 1})
    journal.settle(n_epochs=3)
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
