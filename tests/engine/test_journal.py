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
