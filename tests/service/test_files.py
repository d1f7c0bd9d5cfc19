import io

import openai
import pytest


def test_a_file_comes_back_as_it_went(client, pairs):
    with pairs.open("rb") as file:
        upload = client.files.create(file=file, purpose="fine-tune")
    assert (upload.filename, upload.bytes, upload.purpose) == ("pairs.jsonl", pairs.stat().st_size, "fine-tune")
    assert client.files.retrieve(upload.id) == upload
    assert client.files.content(upload.id).content == pairs.read_bytes()
    assert client.files.delete(upload.id).deleted
    with pytest.raises(openai.NotFoundError, match=upload.id):
        client.files.retrieve(upload.id)


def test_the_client_pages_through_all_files(client):
    made = [client.files.create(file=(f"{n}.jsonl", b"{}\n"), purpose="fine-tune").id for n in range(3)]
    listed = [file.id for file in client.files.list(limit=1, purpose="fine-tune")]
    assert [id_ for id_ in listed if id_ in made] == made[::-1]
    assert listed[:3] == made[::-1]


@pytest.mark.parametrize(
    ("name", "purpose", "sentence"),
    [("a.csv", "fine-tune", r"a\.csv. Must be \.jsonl"), ("a.jsonl", "batch", "not 'batch'")],
)
def test_other_files_are_refused(client, name, purpose, sentence):
    with pytest.raises(openai.BadRequestError, match=sentence):
        client.files.create(file=(name, io.BytesIO(b"x")), purpose=purpose)


def test_a_name_never_becomes_a_path(client, service):
    upload = client.files.create(file=("../../evil.jsonl", b"{}\n"), purpose="fine-tune")
    assert upload.filename == "evil.jsonl"
    assert (service.home / "files" / upload.id).exists()


def test_a_file_that_a_job_needs_can_not_be_deleted(client, pairs):
    with pairs.open("rb") as file:
        upload = client.files.create(file=file, purpose="fine-tune")
    job = client.fine_tuning.jobs.create(training_file=upload.id, model="ada")
    with pytest.raises(openai.ConflictError, match=job.id):
        client.files.delete(upload.id)
    client.fine_tuning.jobs.cancel(job.id)
    assert client.files.delete(upload.id).deleted
