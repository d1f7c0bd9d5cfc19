"""The command of 2022, `openai api …` of the package 0.28.1, drives the service. So does ours of the same name.

One fine-tune is created the way the 2022 lesson did it; the other tests look at it in the 2022 dialect, and in the
first words for today's API, which 0.28 has too. Both commands pass the same tests but where ours means to differ.
"""

import io
import json
import os
import re
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from functools import partial

import pytest

from environments import python_with
from openai_command.openai import main

KEEP = ("PATH", "HOME", "LANG", "SYSTEMROOT", "TEMP", "TMPDIR")


@pytest.fixture(scope="module", params=["0.28.1", "ours"])
def ours(request):
    """Whether it is our command that is run."""
    return request.param == "ours"


@pytest.fixture(scope="module")
def run_one(request, ours):
    """Runs one of the two commands; ours in this process, which is quicker."""
    if ours:
        return run_ours
    programs = python_with(request.config.cache.mkdir("clients"), "openai==0.28.1", "openai-0.28")
    return partial(run_theirs, str(programs / "openai"))


def run_theirs(program, words, address, stdin):
    environment = {name: os.environ[name] for name in KEEP if name in os.environ} | address
    done = subprocess.run(
        [program, *words], env=environment, input=stdin, capture_output=True, encoding="utf-8", timeout=180
    )
    return done.returncode, done.stdout, done.stderr


def run_ours(words, address, stdin):
    """Notes for the person come before the answer."""
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(io.StringIO()) as out:
        for name, value in address.items():
            patch.setenv(name, value)
        patch.setenv("PATH", os.defpath)
        patch.setattr(sys, "stdin", io.StringIO(stdin))
        with redirect_stderr(io.StringIO()) as err:
            code = main(words)
    return code, err.getvalue() + out.getvalue(), err.getvalue()


@pytest.fixture(scope="module")
def openai_command(run_one, service, client):
    """Runs `openai …` and returns what it prints, on standard error if it fails."""
    address = {"OPENAI_API_BASE": service.url, "OPENAI_API_KEY": client.api_key, "PYTHONUTF8": "1"}

    def run(*words, stdin="", code=0):
        ended, out, err = run_one(words, address, stdin)
        assert ended == code, f"openai {' '.join(words)}\n{out}\n{err}"
        return err if code else out

    return run


@pytest.fixture(scope="module")
def created(openai_command, pairs):
    """What creating a fine-tune prints: it uploads, creates, and follows to the end."""
    return openai_command("api", "fine_tunes.create", "-t", str(pairs), "-m", "ada", "--n_epochs", "3")


@pytest.fixture(scope="module")
def fine_tune(created):
    return re.search(r"^Created fine-tune: (ft-\w+)$", created, re.MULTILINE)[1]


@pytest.fixture(scope="module")
def model(created):
    return re.search(r"openai api completions.create -m (\S+) -p <YOUR_PROMPT>", created)[1]


def test_creating_reads_like_2022(created, pairs):
    assert re.search(rf"^Uploaded file from {re.escape(str(pairs))}: file-\w+$", created, re.MULTILINE)
    assert "Streaming events until fine-tuning is complete..." in created
    told = [line.split("] ", 1)[1] for line in created.splitlines() if line.startswith("[2")]
    expected = [
        r"Created fine-tune: ft-\w+",
        r"Fine-tune costs \$0.00",
        r"Fine-tune enqueued. Queue number: \d+",
        r"Fine-tune started",
        r"Completed epoch 1/3",
        r"Completed epoch 2/3",
        r"Completed epoch 3/3",
        r"Uploaded model: ada:ft-\S+",
        r"Uploaded result file: file-\w+",
        r"Fine-tune succeeded",
    ]
    found = [next((n for n, line in enumerate(told) if re.match(pattern, line)), None) for pattern in expected]
    assert None not in found and found == sorted(found), "\n".join(told)
    assert "Job complete! Status: succeeded 🎉" in created
    assert "Stream interrupted" not in created


def test_the_model_has_a_name_of_2022(model):
    assert re.fullmatch(r"ada:ft-[a-z0-9-]+-\d{4}(-\d\d){5}", model), model


def test_an_uploaded_file_is_found_again(openai_command, ours, pairs, created):
    """The 2022 client asks whether to use the file again that it uploaded before; ours only asks in a terminal."""
    file_id = re.search(r"^Uploaded file from .*: (file-\w+)$", created, re.MULTILINE)[1]
    words = ("api", "fine_tunes.create", "-t", str(pairs), "-m", "ada", "--n_epochs", "50", "--no_follow")
    said = openai_command(*words, stdin=f"{file_id}\n")
    assert "Found potentially duplicated files with name 'pairs.jsonl', purpose 'fine-tune'" in said
    assert ("Nobody can be asked here" if ours else f"Reusing already uploaded file: {file_id}") in said
    second = json.loads(said[said.index("\n{") :])
    assert second["object"] == "fine-tune" and (second["training_files"][0]["id"] == file_id) != ours
    cancelled = json.loads(openai_command("api", "fine_tunes.cancel", "-i", second["id"]))
    assert cancelled["status"] == "cancelled"
    followed = openai_command("api", "fine_tunes.follow", "-i", second["id"], code=int(ours))
    assert ("was cancelled, so there is no model" if ours else "Fine-tune cancelled") in followed


def test_get_and_list(openai_command, fine_tune, model):
    one = json.loads(openai_command("api", "fine_tunes.get", "-i", fine_tune))
    assert (one["id"], one["status"], one["fine_tuned_model"]) == (fine_tune, "succeeded", model)
    assert one["model"] == "ada" and one["hyperparams"]["n_epochs"] == 3
    assert one["events"][-1]["message"] == "Fine-tune succeeded"
    listed = json.loads(openai_command("api", "fine_tunes.list"))["data"]
    assert fine_tune in [item["id"] for item in listed]


def test_events_follow_and_results(openai_command, fine_tune, created):
    events = json.loads(openai_command("api", "fine_tunes.events", "-i", fine_tune))["data"]
    assert {event["object"] for event in events} == {"fine-tune-event"}
    followed = openai_command("api", "fine_tunes.follow", "-i", fine_tune)
    assert followed.splitlines()[0] in created, "following again tells the same"
    assert "Job complete! Status: succeeded" in followed
    table = openai_command("api", "fine_tunes.results", "-i", fine_tune).splitlines()
    assert table[0].startswith("step,elapsed_tokens,elapsed_examples,training_loss,training_sequence_accuracy")
    assert table[1].startswith("1,")


def clean(text):
    """Half a character at the end (a tiny model says such things) is held back in a stream."""
    return text.rstrip("\ufffd\n")


def test_completions(openai_command, model):
    words = ("api", "completions.create", "-m", model, "-p", "What is rain?", "-M", "5", "-t", "0")
    whole = openai_command(*words)
    assert whole.startswith("What is rain?"), "this command shows the prompt first"
    assert clean(openai_command(*words, "--stream")) == clean(whole)
    two = openai_command(*words, "-n", "2")
    assert "===== Completion 0 =====" in two and "===== Completion 1 =====" in two


def test_chat_completions(openai_command, model):
    words = ("api", "chat_completions.create", "-m", model, "-g", "user", "hi", "-M", "5", "-t", "0")
    assert clean(openai_command(*words, "--stream")) == clean(openai_command(*words))


def test_models_files_and_engines(openai_command, ours, model, pairs):
    assert model in [item["id"] for item in json.loads(openai_command("api", "models.list"))["data"]]
    assert json.loads(openai_command("api", "models.get", "-i", "ada"))["id"] == "ada"
    engines = openai_command("api", "engines.list", code=int(ours))
    assert ("openai api models.list" if ours else model) in engines
    said = openai_command("api", "files.create", "-f", str(pairs), "-p", "fine-tune")
    made = json.loads(said[said.index("{") :])
    assert made["filename"] == "pairs.jsonl"
    assert json.loads(openai_command("api", "files.delete", "-i", made["id"]))["deleted"] is True


def test_the_first_words_for_todays_api(openai_command, fine_tune, model, pairs):
    """The same job has today's id too."""
    job = fine_tune.replace("ft-", "ftjob-")
    one = json.loads(openai_command("api", "fine_tuning.job.get", "-i", job))
    assert (one["object"], one["status"], one["fine_tuned_model"]) == ("fine_tuning.job", "succeeded", model)
    assert job in openai_command("api", "fine_tuning.job.list")
    assert "successfully completed" in openai_command("api", "fine_tuning.job.events", "-i", job, "--limit", "1")
    assert openai_command("api", "fine_tuning.job.results", "-i", job).startswith("step,")
    words = ("api", "fine_tuning.job.create", "-t", str(pairs), "-m", "ada", "--n_epochs", "50")
    said = openai_command(*words, "--no_check_if_files_exist")
    second = json.loads(said[said.index("{\n") :])
    cancelled = json.loads(openai_command("api", "fine_tuning.job.cancel", "-i", second["id"]))
    assert cancelled["status"] == "cancelled"


def test_errors_are_shown_as_in_2022(openai_command):
    said = openai_command("api", "completions.create", "-m", "gpt-9", "-p", "x", code=1)
    assert "Error:" in said and "The model `gpt-9` does not exist" in said
    said = openai_command("-k", "sk-wrong", "api", "models.list", code=1)
    assert "Incorrect API key provided" in said and "(HTTP status code: 401)" in said


def test_a_fine_tune_itself_can_not_be_deleted(openai_command, ours, fine_tune):
    """The command has a word for it; OpenAI's description has no such endpoint. Ours deletes the model instead."""
    if ours:
        pytest.skip("ours deletes the model; tests/command/test_openai_command.py looks at that")
    said = openai_command("api", "fine_tunes.delete", "-i", fine_tune, code=1)
    assert "Error:" in said and f"Not allowed: DELETE /v1/fine-tunes/{fine_tune}" in said


def test_deleting_the_model(openai_command, model, fine_tune, created):
    assert json.loads(openai_command("api", "models.delete", "-i", model))["deleted"] is True
    assert "does not exist" in openai_command("api", "models.get", "-i", model, code=1)
    assert fine_tune in openai_command("api", "fine_tunes.list"), "the fine-tune is still listed"
