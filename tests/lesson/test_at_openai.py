"""OpenAI, played by the service on this machine: what is sent, and what is not without leave to spend."""

import json
import os
from pathlib import Path
from types import SimpleNamespace

import httpx2
import nbformat
import openai
import pytest

import openai_lesson as lesson
import solutions
from openai_command.notebooks import find_notebooks
from openai_lesson import at_openai, keys

KEY = "-".join(["sk", "proj", "mine"])
SETTINGS = ("OPENAI_BASE_URL", "OPENAI_API_KEY", "OPENAI_API_BASE", "OPENAI_LESSON_LOCAL_URL")


class Played(httpx2.BaseTransport):
    """Passes on what would go to OpenAI to the service on this machine, and keeps what was sent."""

    def __init__(self, url, key):
        self.host, self.key = httpx2.URL(url), key
        self.way = httpx2.HTTPTransport()
        self.sent, self.bodies, self.refusal = [], {}, None

    def handle_request(self, request):
        assert request.url.host == "api.openai.com" and request.headers["authorization"] == f"Bearer {KEY}"
        path = request.url.path.removeprefix("/v1")
        self.sent.append(f"{request.method} {path}")
        self.bodies[self.sent[-1]] = request.read()
        if self.refusal and (request.method, path) == ("POST", "/fine_tuning/jobs"):
            return httpx2.Response(403, json={"error": {"code": self.refusal, "message": "no"}}, request=request)
        request.url = request.url.copy_with(scheme="http", host=self.host.host, port=self.host.port)
        request.headers["authorization"] = f"Bearer {self.key}"
        request.headers["host"] = f"{self.host.host}:{self.host.port}"
        return self.way.handle_request(request)


@pytest.fixture
def played(client, monkeypatch):
    """What OpenAI gets."""
    transport = Played(str(client.base_url), client.api_key)
    kind = openai.OpenAI

    def build(**given):
        return kind(http_client=httpx2.Client(transport=transport), **given)

    monkeypatch.setattr(at_openai.openai, "OpenAI", build)
    return transport


@pytest.fixture
def key():
    keys.save("openai", KEY)


def only_reads(sent):
    return all(line.startswith("GET ") for line in sent)


def test_without_a_key_nothing_is_sent_and_a_sentence_says_so(played, capsys):
    at_openai.look()
    assert at_openai.client() is None and at_openai.client(may_spend=True) is None
    said = capsys.readouterr().out.splitlines()
    assert len(said) == 3 and all(line.startswith("You have no key for OpenAI") for line in said)
    assert played.sent == []


def test_a_key_of_this_machine_is_none(played, monkeypatch, client):
    monkeypatch.setenv("OPENAI_API_KEY", client.api_key)
    assert at_openai.client(may_spend=True) is None and played.sent == []


@pytest.mark.parametrize("word", [False, None, "yes", 1])
def test_without_leave_there_is_no_client(word, played, key, capsys):
    assert at_openai.client(word) is None
    assert "nothing is paid" in capsys.readouterr().out and played.sent == []


def test_looking_reads_and_tells(played, key, trained, capsys):
    at_openai.look()
    said = capsys.readouterr().out
    assert "Your key works. It reaches " in said and "This account trained at OpenAI, last on 20" in said
    assert only_reads(played.sent) and len(played.sent) == 2 and KEY not in said


def test_an_account_that_never_trained(played, key, capsys, monkeypatch):
    none = SimpleNamespace(data=[])
    monkeypatch.setattr("openai.resources.fine_tuning.jobs.Jobs.list", lambda *_, **__: none)
    at_openai.look()
    assert "never trained" in capsys.readouterr().out


def test_a_key_that_openai_does_not_know(played, key, capsys):
    played.key = "wrong"
    at_openai.look()
    said = capsys.readouterr().out
    assert said.startswith("OpenAI does not know your key.") and KEY not in said


def test_no_network(played, key, capsys, monkeypatch):
    played.host = httpx2.URL("http://127.0.0.1:9/v1")
    at_openai.look()
    said = capsys.readouterr().out
    assert said.startswith("You have a key, but OpenAI gives no answer to it: ") and "Traceback" not in said


def test_nothing_of_the_environment_is_changed(played, key, capsys):
    """Else other code in the notebook would go to OpenAI, and pay."""
    before = {name: os.environ.get(name) for name in SETTINGS}
    at_openai.look()
    assert at_openai.client(may_spend=True).api_key == KEY
    assert {name: os.environ.get(name) for name in SETTINGS} == before


def test_prices(machine, tmp_path):
    report = lesson.prepare.analyse(lesson.catechism.write(tmp_path / "c.csv"), form="chat")
    table = lesson.prepare.prices(report.lengths.total)
    nano = table[table.model == "gpt-4.1-nano"].iloc[0]
    assert nano["dollars for this file"] == round(report.lengths.total * 3 * 1.50 / 1e6, 3) > 0
    assert table["dollars for this file"].is_monotonic_increasing


# The notebook


def cells():
    """The code of the notebook, but for its exercises."""
    notebook = nbformat.read(find_notebooks() / "07-at-openai.ipynb", as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    return [cell.source for cell in code if not solutions.tagged(cell, "exercise")]


def with_leave():
    """The same, once the learner turned the switch; one epoch will do."""
    sources = cells()
    assert sum("may_spend = False" in source for source in sources) == 1
    changes = {"may_spend = False": "may_spend = True", "seed=1648": 'hyperparameters={"n_epochs": 1}'}
    for old, new in changes.items():
        sources = [source.replace(old, new) for source in sources]
    return sources


def run(sources):
    """Run the cells one after the other, as a notebook would."""
    names = {"display": print}
    for source in sources:
        exec(source, names)
    return names


@pytest.fixture
def folder(tmp_path, monkeypatch, machine):
    monkeypatch.chdir(tmp_path)


def test_the_notebook_runs_without_a_key(folder, played, capsys):
    assert run(cells())["client"] is None
    assert played.sent == [] and "You have no key for OpenAI" in capsys.readouterr().out


def test_the_notebook_only_reads_without_leave(folder, played, key):
    run(cells())
    assert played.sent and only_reads(played.sent)


def test_the_notebook_trains_and_asks_with_key_and_leave(folder, played, key, capsys):
    names = run(with_leave())
    assert names["job"].status == "succeeded"
    assert json.loads(played.bodies["POST /fine_tuning/jobs"])["model"].startswith("gpt-4.1-nano")
    sent = [line for line in played.sent if not line.startswith("GET ")]
    assert sent[:2] == ["POST /files", "POST /fine_tuning/jobs"] and sent[-1].startswith("DELETE /files/")
    assert "POST /chat/completions" in sent
    first = Path("Westminster_Catechism_chat.jsonl").read_text(encoding="utf-8").splitlines()[0]
    assert json.loads(first)["messages"]


def test_the_notebook_says_what_a_refusal_means(folder, played, key):
    played.refusal = "training_not_available"
    with pytest.raises(lesson.LessonError, match="OpenAI does not let this account train models"):
        run(with_leave())
