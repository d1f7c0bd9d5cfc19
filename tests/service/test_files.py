import http.client
import io

import httpx
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


def test_a_list_can_be_paged_through_while_it_is_deleted(client):
    made = [client.files.create(file=(f"{n}.jsonl", b"{}\n"), purpose="fine-tune").id for n in range(3)]
    for file in client.files.list(limit=1):
        if file.id in made:
            client.files.delete(file.id)
    assert not {file.id for file in client.files.list()} & set(made)


def test_options_that_are_not_offered_are_refused(client):
    with pytest.raises(openai.BadRequestError) as error:
        client.files.create(
            file=("a.jsonl", b"{}"), purpose="fine-tune", expires_after={"anchor": "created_at", "seconds": 3600}
        )
    assert (error.value.param, error.value.code) == ("expires_after", "unsupported_parameter")


def test_what_is_no_upload_is_refused(service, client):
    key = {"Authorization": f"Bearer {client.api_key}"}
    for body, kind in (
        (b"{}", "application/json"),
        (b"x", "multipart/form-data"),
        (b"", "multipart/form-data; boundary=b"),
    ):
        answer = httpx.post(f"{service.url}/files", content=body, headers={**key, "content-type": kind})
        assert answer.status_code == 400 and answer.json()["error"]["param"] == "file", (kind, answer.text)


def test_a_file_that_is_too_large_is_refused_before_it_is_read(service, client):
    url = httpx.URL(service.url)
    connection = http.client.HTTPConnection(url.host, url.port, timeout=20)
    connection.putrequest("POST", "/v1/files")
    connection.putheader("Authorization", f"Bearer {client.api_key}")
    connection.putheader("Content-Length", str(600 << 20))
    connection.endheaders()
    answer = connection.getresponse()
    assert answer.status == 413 and b"file_too_large" in answer.read()
    connection.close()


def test_a_file_that_does_not_tell_its_length_is_refused_when_too_much_has_come(service, client):
    def body():
        yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.jsonl"\r\n\r\n'
        for _ in range(513):
            yield b"x" * (1 << 20)

    headers = {"Authorization": f"Bearer {client.api_key}", "content-type": "multipart/form-data; boundary=b"}
    answer = httpx.post(f"{service.url}/files", content=body(), headers=headers, timeout=60)
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "file_too_large")
    assert all(path.stat().st_size < 1 << 20 for path in (service.home / "files").iterdir()), "nothing is left"


def test_a_file_that_a_job_needs_can_not_be_deleted(client, pairs):
    with pairs.open("rb") as file:
        upload = client.files.create(file=file, purpose="fine-tune")
    job = client.fine_tuning.jobs.create(training_file=upload.id, model="ada")
    with pytest.raises(openai.ConflictError, match=job.id):
        client.files.delete(upload.id)
    client.fine_tuning.jobs.cancel(job.id)
    assert client.files.delete(upload.id).deleted
