"""The words fine_tunes.… at OpenAI, with a connection that goes nowhere: what is sent, and what is refused."""

import base64
import io
import json
import sys

import httpx2
import openai
import pytest

from openai_command import api_words, fine_tunes
from openai_command.openai import main

JOB = {
    "id": "ftjob-1",
    "object": "fine_tuning.job",
    "model": "gpt-4.1-nano-2025-04-14",
    "status": "succeeded",
    "fine_tuned_model": "ft:gpt-4.1-nano-2025-04-14:me::1",
    "created_at": 1,
    "result_files": ["file-9"],
}
EVENT = {"id": "ftevent-1", "object": "fine_tuning.job.event", "created_at": 1, "level": "info", "message": "Done"}


class Host:
    """Answers like OpenAI; keeps what it was sent."""

    def __init__(self):
        self.sent = []
        self.refuses = False

    def __call__(self, request):
        path = request.url.path.removeprefix("/v1")
        self.sent.append((request.method, path, request.content))
        if request.method == "POST" and path == "/fine_tuning/jobs" and self.refuses:
            error = {"code": "training_not_available", "message": "no"}
            return httpx2.Response(403, json={"error": error})
        if path == "/files/file-large/content":
            return httpx2.Response(200, content=self.large)
        if path.endswith("/content"):
            return httpx2.Response(200, content=base64.b64encode(b"step,train_loss\n1,2\n"))
        return httpx2.Response(200, json=self.answer(request.method, path))

    def answer(self, method, path):
        if path == "/files" and method == "GET":
            return {"data": []}
        if path.startswith("/files"):
            return {"id": "file-1", "object": "file", "status": "processed"}
        if path.endswith("/events"):
            return {"object": "list", "data": [EVENT], "has_more": False}
        return (
            {"object": "list", "data": [JOB], "has_more": False}
            if path.endswith("jobs") and method == "GET"
            else JOB
        )

    def posted(self, path):
        return json.loads(next(content for _, where, content in self.sent if where == path))


@pytest.fixture
def elsewhere(monkeypatch):
    """OpenAI, as the command sees it."""
    answers = Host()
    transport = httpx2.Client(transport=httpx2.MockTransport(answers))
    client = openai.OpenAI(api_key="sk-proj-mine", base_url="https://api.openai.com/v1", http_client=transport)
    for module in (api_words, fine_tunes):
        monkeypatch.setattr(module, "client_for", lambda _: client.with_options(max_retries=0))
    return answers


def test_creating_says_it_in_todays_words(elsewhere, pairs, capsys):
    options = ("--n_epochs", "3", "--batch_size", "2", "--learning_rate_multiplier", "0.5", "--suffix", "mine")
    assert main(["api", "fine_tunes.create", "-t", str(pairs), *options]) == 0
    assert elsewhere.posted("/fine_tuning/jobs") == {
        "model": "gpt-4.1-nano-2025-04-14",
        "training_file": "file-1",
        "suffix": "mine",
        "method": {
            "type": "supervised",
            "supervised": {"hyperparameters": {"n_epochs": 3, "batch_size": 2, "learning_rate_multiplier": 0.5}},
        },
    }
    shown = capsys.readouterr().out
    assert "Created fine-tune: ftjob-1\n" in shown and "] Done\n" in shown
    assert "openai api chat.completions.create -m ft:gpt-4.1-nano-2025-04-14:me::1 -g user <YOUR_PROMPT>" in shown


@pytest.mark.parametrize(
    ("model", "day"), [("ada", "2024-01-04"), ("curie", "2024-01-04"), ("davinci-002", "2024-10-28")]
)
def test_models_of_2022_are_refused_before_anything_is_sent(elsewhere, pairs, capsys, model, day):
    assert main(["api", "fine_tunes.create", "-t", str(pairs), "-m", model]) == 1
    said = capsys.readouterr().err
    assert (
        day in said and "gpt-4.1-nano-2025-04-14" in said and "--format chat" in said and "openai -b local" in said
    )
    assert elsewhere.sent == []


def test_options_that_nobody_offers_any_more_are_refused_by_name(elsewhere, pairs, capsys):
    words = ["api", "fine_tunes.create", "-t", str(pairs), "-m", "gpt-4.1-nano-2025-04-14"]
    assert main([*words, "--prompt_loss_weight", "0.1"]) == 1
    assert "Today's fine-tuning has no --prompt_loss_weight." in capsys.readouterr().err
    assert elsewhere.sent == []


def test_an_account_that_may_not_train(elsewhere, pairs, capsys):
    elsewhere.refuses = True
    assert main(["api", "fine_tunes.create", "-t", str(pairs)]) == 1
    said = capsys.readouterr().err
    assert "takes no new fine-tuning customers" in said and "openai -b local api fine_tunes.create" in said


def test_the_other_words_go_to_todays_endpoints(elsewhere, capsys):
    for word in ("get", "events", "cancel", "results", "delete"):
        assert main(["api", f"fine_tunes.{word}", "-i", "ftjob-1"]) == 0
    assert main(["api", "fine_tunes.list"]) == 0
    shown = capsys.readouterr().out
    assert "\nstep,train_loss\n1,2\n" in shown, "OpenAI's result files come in base64"
    assert not [path for _, path, _ in elsewhere.sent if path.startswith("/fine-tunes")]
    assert ("DELETE", "/models/ft:gpt-4.1-nano-2025-04-14:me::1", b"") in elsewhere.sent


def test_a_file_is_printed_as_it_comes(elsewhere, monkeypatch):
    seen, printed = [], io.BytesIO()
    stdout = io.TextIOWrapper(printed)

    def pieces():
        for _ in range(3):
            seen.append(len(printed.getvalue()))
            yield b"1234567890"

    elsewhere.large = pieces()
    with monkeypatch.context() as here:
        here.setattr(sys, "stdout", stdout)
        assert main(["api", "files.content", "-i", "file-large"]) == 0
    assert seen == [0, 10, 20] and printed.getvalue() == b"1234567890" * 3


def test_a_real_key_without_an_address_goes_to_openai(monkeypatch, capsys):
    def made(**options):
        assert (options["base_url"], options["api_key"]) == ("https://api.openai.com/v1", "sk-proj-mine")
        raise openai.OpenAIError("far enough")

    monkeypatch.setenv("OPENAI_API_KEY", "sk-proj-mine")
    monkeypatch.setattr(openai, "OpenAI", made)
    assert main(["api", "models.list"]) == 1
    first, second = capsys.readouterr().err.splitlines()
    assert "openai -b local api" in first and second == "Error: far enough"


def test_a_proxy_is_used(monkeypatch):
    seen = []
    monkeypatch.setattr(openai, "DefaultHttpx2Client", lambda **options: seen.append(options) or pytest.skip)
    api_words._through(["http://127.0.0.1:1", "https://127.0.0.1:2"])
    assert set(seen[0]["mounts"]) == {"http://", "https://"}
