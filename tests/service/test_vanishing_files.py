"""Files and models that are deleted while others use them: each gets what is there, or 404."""

import threading

import pytest
from openai.types import Model
from starlette.testclient import TestClient

from openai_local.answering.inference import Answering
from openai_local.errors import LocalError
from openai_local.home import Home
from openai_local.service.app import create_app
from openai_local.service.auth import make_key
from openai_local.service.routes import uploads

LINE = b'{"prompt": "a", "completion": " b"}\n' * 1000


@pytest.fixture
def place(tiny_cache, tmp_path, monkeypatch):
    """A service in this process, and a client of it."""
    monkeypatch.setenv("OPENAI_LOCAL_CACHE", str(tiny_cache))
    app = create_app(Home.open(tmp_path / "home"), tiny_cache)
    with TestClient(app) as http:
        http.headers["Authorization"] = f"Bearer {make_key(app.state.context.store, 'ada')}"
        yield app.state.context, http


def at_once(*acts):
    """What each returns; all begin at the same moment."""
    ready, found = threading.Barrier(len(acts)), []

    def run(act):
        ready.wait()
        found.append(act())

    threads = [threading.Thread(target=run, args=[act]) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def upload(http):
    sent = {"files": {"file": ("a.jsonl", LINE)}, "data": {"purpose": "fine-tune"}}
    return f"/v1/files/{http.post('/v1/files', **sent).json()['id']}"


def test_a_file_that_is_deleted_before_it_is_opened(place, monkeypatch):
    service, http = place
    find = uploads._find

    def found(request):
        file = find(request)
        (service.home.files / file.id).unlink()
        return file

    path = upload(http)
    monkeypatch.setattr(uploads, "_find", found)
    assert http.get(f"{path}/content").status_code == 404


def test_a_file_that_is_deleted_while_it_goes_out(place, monkeypatch):
    service, http = place
    whole = uploads._whole

    def late(file):
        (service.home.files / path.split("/")[-1]).unlink()
        yield from whole(file)

    path = upload(http)
    monkeypatch.setattr(uploads, "_whole", late)
    assert http.get(f"{path}/content").content == LINE


def test_a_file_keeps_its_head(place):
    _, http = place
    path = f"{upload(http)}/content"
    whole, head = http.get(path, headers={"range": "bytes=5-9"}), http.head(path)
    assert whole.content == LINE and whole.status_code == 200
    for answer in (whole, head):
        assert answer.headers["content-length"] == str(len(LINE))
        assert answer.headers["content-type"] == "application/octet-stream"
    assert head.content == b""


def test_a_model_that_several_delete_is_deleted_once(place):
    service, http = place
    for number in range(10):
        model = Model(id=f"ft:{number}", object="model", created=1, owned_by="ada")
        service.store.add(model, "ada", job="ftjob-x", base="smollm2-135m-instruct")
        found = at_once(*[lambda name=model.id: http.delete(f"/v1/models/{name}").status_code] * 6)
        assert sorted(found) == [200] + [404] * 5


@pytest.mark.parametrize("path", ["/v1/completions", "/v1/chat/completions", "/v1/responses"])
def test_a_stream_does_not_say_where_its_model_lay(place, tiny_cache, monkeypatch, path):
    """It is gone before the next choice is made."""
    service, http = place

    def fails(self, target, request, receive, left):
        receive({"choices": [{"finish_reason": None, "text": "and", "logprobs": None}]})
        raise LocalError(f"{service.home.jobs / 'ftjob-x' / 'adapter.gguf'} or {tiny_cache / 'x'} is gone.")

    monkeypatch.setattr(Answering, "stream", fails)
    said = {"messages": [{"role": "user", "content": "x"}]} if "chat" in path else {"prompt": "x"}
    said = {"input": "x"} if "responses" in path else said
    answer = http.post(path, json={"model": "ada", "stream": True, **said})
    assert "HOME/jobs/ftjob-x/adapter.gguf or CACHE/x is gone." in answer.text
    assert str(service.home.path) not in answer.text
