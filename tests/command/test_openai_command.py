"""The command `openai`, word by word, in this process; one fine-tune is made once for all tests."""

import io
import json
import logging
import os
import re
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import openai
import pytest

from openai_command import openai as command
from openai_command.openai import main


@pytest.fixture
def run(service, client, monkeypatch, capsys):
    """Runs the command at the service. Gives back what it prints; `said` has standard error."""
    monkeypatch.setenv("OPENAI_BASE_URL", service.url)
    monkeypatch.setenv("OPENAI_API_KEY", client.api_key)

    def run(*words, code=0):
        capsys.readouterr()
        assert main(words) == code, capsys.readouterr()
        shown = capsys.readouterr()
        assert client.api_key not in shown.out + shown.err
        run.said = shown.err
        return shown.out

    return run


@pytest.fixture(scope="module")
def created(service, client, pairs):
    """What fine_tunes.create prints on both streams."""
    with (
        pytest.MonkeyPatch.context() as patch,
        redirect_stdout(io.StringIO()) as out,
        redirect_stderr(io.StringIO()) as err,
    ):
        patch.setenv("OPENAI_API_BASE", service.url)  # as it was called in 2022
        patch.setenv("OPENAI_API_KEY", client.api_key)
        code = main(["api", "fine_tunes.create", "-t", str(pairs), "-m", "ada"])
    assert code == 0, err.getvalue()
    return out.getvalue(), err.getvalue()


@pytest.fixture(scope="module")
def fine_tune(created):
    return re.search(r"^Created fine-tune: (ft-\w+)$", created[0], re.MULTILINE)[1]


@pytest.fixture(scope="module")
def model(created):
    return re.search(r"openai api completions.create -m (\S+) -p <YOUR_PROMPT>\n$", created[0])[1]


def test_help_without_words(run):
    assert "fine_tunes.prepare_data -f Westminster_Catechism.csv" in run()
    assert "completions.create" in run("api") and "chat.completions.create" in run("api")
    with pytest.raises(SystemExit) as exit_:
        main(["--version"])
    assert exit_.value.code == 0


@pytest.mark.parametrize(
    "words",
    [
        ["api", "completions.create", "-p", "no model"],
        ["api", "models.get"],
        ["api", "models.list", "--nonsense"],
        ["api", "completions.create", "-m", "ada", "-M", "many"],
    ],
)
def test_what_can_not_be_understood_gets_the_usage(words, capsys):
    with pytest.raises(SystemExit) as exit_:
        main(words)
    usage = " ".join(word for word in ("usage: openai", *words[:2]) if not word.startswith("-"))
    assert exit_.value.code == 2 and usage in capsys.readouterr().err


def test_creating_advises_more_epochs_for_few_examples(created, model):
    out, err = created
    assert "Completed epoch 4/4" in out and "Job complete! Status: succeeded 🎉" in out
    assert re.search(r"^\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\] Fine-tune started$", out, re.MULTILINE)
    assert "--n_epochs 13" in err and len(err.strip().splitlines()) == 1
    assert re.fullmatch(r"ada:ft-personal-\d{4}(-\d\d){5}", model)


def test_lists_are_one_object_that_can_be_parsed(run, fine_tune, model):
    for word, expected in (
        ("models.list", model),
        ("fine_tunes.list", fine_tune),
        ("fine_tuning.job.list", fine_tune.replace("ft-", "ftjob-")),
        ("fine_tuning.jobs.list", fine_tune.replace("ft-", "ftjob-")),
    ):
        found = json.loads(run("api", word))
        assert found["object"] == "list" and expected in [item["id"] for item in found["data"]], word
        assert run.said == "", "nothing else is said where the address was named"
    assert len(json.loads(run("api", "fine_tuning.jobs.list", "--limit", "1"))["data"]) == 1


def test_files_words(run, pairs):
    made = json.loads(run("api", "files.create", "-f", str(pairs), "-p", "fine-tune"))
    assert made["filename"] == "pairs.jsonl" and made["bytes"] == pairs.stat().st_size
    for word in ("files.get", "files.retrieve"):
        assert json.loads(run("api", word, "-i", made["id"])) == made
    assert made["id"] in run("api", "files.list")
    assert run("api", "files.content", "-i", made["id"]) == pairs.read_text(encoding="utf-8")
    assert json.loads(run("api", "files.delete", "-i", made["id"]))["deleted"] is True
    run("api", "files.create", "-f", "none.jsonl", "-p", "fine-tune", code=1)
    assert run.said.startswith("Error: There is no file none.jsonl in ")


def test_completions_print_the_prompt_and_the_answer_once(run, model):
    words = ("api", "completions.create", "-m", model, "-p", "What is rain?", "-t", "0")
    whole = run(*words, "-M", "5")
    assert whole.startswith("What is rain?") and whole.count("What is rain?") == 1 and whole.endswith("\n")
    assert run(*words, "-M", "5", "--echo") == whole
    assert run(*words, "-M", "5", "--stream").rstrip("\ufffd\n") == whole.rstrip("\ufffd\n")
    assert run(*words[:2], "-e", *words[3:], "-M", "5") == whole, "an engine is a model"
    two = run(*words, "-M", "5", "-n", "2", "--best_of", "2", "--stop", "zzz", "-P", "1", "--user", "me")
    assert two.startswith("===== Completion 0 =====\nWhat is rain?") and "\n===== Completion 1 =====\n" in two
    run("api", "completions.create", "-m", "ada", "-p", "What is rain?", "-t", "0")
    assert "-M 100" in run.said, "an answer that was cut off without being asked to"


def test_completions_with_probabilities(run):
    words = ("api", "completions.create", "-m", "ada", "-p", "What is rain?", "-M", "3", "-t", "0")
    for more in ((), ("--stream",), ("--echo",)):
        table = run(*words, "--logprobs", "2", *more).split("\ntoken ")[1].splitlines()
        assert "probability   others" in table[0] and len(table) >= 4
        assert table[-1].count("%") == 2, "the likeliest token is the chosen one, so one other is left"


def test_streams_of_several_answers_are_refused(run):
    for words in (("completions.create", "-p", "x"), ("chat.completions.create", "-g", "user", "x")):
        run("api", *words, "-m", "ada", "-n", "2", "--stream", code=1)
        assert run.said == "Error: Only one answer can be streamed. Leave out --stream, or -n.\n"


def test_conversations(run, model):
    words = ("-m", model, "-g", "system", "Be kind.", "-g", "user", "hi", "-M", "5", "-t", "0")
    whole = run("api", "chat.completions.create", *words)
    assert whole.endswith("\n") and whole == run("api", "chat_completions.create", *words)
    assert run("api", "chat.completions.create", *words, "--stream").rstrip("\ufffd\n") == whole.rstrip("\ufffd\n")
    assert "===== Chat Completion 1 =====" in run("api", "chat.completions.create", *words, "-n", "2")


def test_looking_at_a_fine_tune(run, fine_tune, model, created):
    assert json.loads(run("api", "fine_tunes.get", "-i", fine_tune))["fine_tuned_model"] == model
    events = json.loads(run("api", "fine_tunes.events", "-i", fine_tune))["data"]
    assert events[-1]["message"] == "Fine-tune succeeded"
    followed = run("api", "fine_tunes.follow", "-i", fine_tune)
    assert followed in created[0], "following again tells the same"
    assert run("api", "fine_tunes.events", "-s", "-i", fine_tune) == followed
    table = run("api", "fine_tunes.results", "-i", fine_tune)
    assert table.startswith("step,elapsed_tokens") and table == run(
        "api", "fine_tuning.job.results", "-i", fine_tune
    )


def test_jobs_words(run, pairs):
    words = ("api", "fine_tuning.jobs.create", "-m", "ada", "-F", str(pairs), "-H")
    job = json.loads(run(*words, '{"n_epochs": 50}'))
    assert job["object"] == "fine_tuning.job" and "Uploaded file from" in run.said
    assert job["hyperparameters"]["n_epochs"] == 50
    assert json.loads(run("api", "fine_tuning.jobs.pause", "-i", job["id"]))["status"] == "paused"
    assert json.loads(run("api", "fine_tuning.jobs.resume", "-i", job["id"]))["status"] in ("queued", "running")
    assert json.loads(run("api", "fine_tuning.jobs.cancel", "-i", job["id"]))["status"] == "cancelled"
    assert json.loads(run("api", "fine_tuning.jobs.retrieve", "-i", job["id"]))["status"] == "cancelled"
    assert "The job was cancelled." in run("api", "fine_tuning.jobs.follow", "-i", job["id"], code=1)
    assert run.said == f"Error: The fine-tune {job['id']} was cancelled, so there is no model.\n"
    run("api", "fine_tunes.results", "-i", job["id"], code=1)
    assert "No results file available" in run.said
    run("api", "fine_tunes.delete", "-i", job["id"], code=1)
    assert "nothing to delete" in run.said
    run(*words, "n_epochs=3", code=1)
    assert "-H takes an object in JSON" in run.said


def test_following_events_and_checkpoints_of_a_job(run, trained):
    followed = run("api", "fine_tuning.job.follow", "-i", trained.id)
    assert "The job has successfully completed" in followed
    assert f"openai api completions.create -m {trained.fine_tuned_model} -p <YOUR_PROMPT>" in followed
    events = json.loads(run("api", "fine_tuning.jobs.list_events", "-i", trained.id))["data"]
    assert len(events) > 20, "all pages"
    behind = run("api", "fine_tuning.jobs.list_events", "-i", trained.id, "-a", events[0]["id"], "-l", "2")
    assert json.loads(behind)["data"] == events[1:3]
    checkpoints = json.loads(run("api", "fine_tuning.jobs.list_checkpoints", "-i", trained.id))["data"]
    assert len(checkpoints) == 3 and checkpoints[0]["object"] == "fine_tuning.job.checkpoint"


def test_a_job_of_0_28_that_failed_says_why(run, tmp_path):
    bad = tmp_path / "bad.jsonl"
    bad.write_text("no json\n")
    job = json.loads(run("api", "fine_tuning.job.create", "-t", str(bad), "-m", "ada", "--n_epochs", "2"))
    run("api", "fine_tunes.follow", "-i", job["id"], code=1)
    assert re.match(r"Error: The fine-tune ftjob-\w+ failed: Line 1 is not valid JSON", run.said)


def test_deleting_a_fine_tune_deletes_its_model(run, fine_tune, model):
    """The last that looks at it."""
    assert json.loads(run("api", "models.get", "-i", model)) == json.loads(
        run("api", "models.retrieve", "-i", model)
    )
    deleted = json.loads(run("api", "fine_tunes.delete", "-i", fine_tune))
    assert deleted["id"] == model and deleted["deleted"] and f"openai api models.delete -i {model}" in run.said
    run("api", "models.delete", "-i", model, code=1)
    assert re.fullmatch(r"Error: .* does not exist.* \(HTTP status code: 404\)\n", run.said)


def test_errors_are_one_line(run, service, monkeypatch):
    run("-k", "sk-wrong", "api", "models.list", code=1)
    lines = run.said.splitlines()
    assert "a key that is typed into a command" in lines[0] and "OPENAI_API_KEY" in lines[0]
    assert lines[1].startswith("Error: Incorrect API key provided") and lines[1].endswith(
        "(HTTP status code: 401)"
    )
    assert len(lines) == 2 and "sk-wrong" not in run.said
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    run("api", "models.list", code=1)
    assert run.said.startswith("Error: http://127.0.0.1:9 can't be reached:") and run.said.count("\n") == 1
    run("-b", service.url.removesuffix("/v1"), "api", "models.list", code=1)
    assert "Does the address end in /v1? (HTTP status code: 404)" in run.said
    run("-b", "127.0.0.1:8765", "api", "models.list", code=1)
    assert "is no address" in run.said
    run("--azure-endpoint", "https://mine", "api", "models.list", code=1)
    assert "does not speak to Azure" in run.said


def test_verbose_tells_of_requests_without_the_key(run, monkeypatch):
    monkeypatch.setattr(logging.root, "handlers", [])  # as in a process of its own
    run("-vv", "-o", "org-mine", "api", "models.list")
    assert "/models" in run.said and "200 OK" in run.said
    for name in ("httpx2", "openai"):
        logging.getLogger(name).setLevel(logging.NOTSET)


def test_ctrl_c_is_quiet(run, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("openai.resources.models.Models.list", interrupt)
    run("api", "models.list", code=130)
    assert run.said == "\n"


def test_a_host_that_repeats_the_key_does_not_show_it(run, client, monkeypatch):
    def fail(_):
        raise openai.OpenAIError(f"Incorrect API key provided: {client.api_key}.")

    monkeypatch.setattr("openai.resources.models.Models.list", fail)
    run("api", "models.list", code=1)
    assert run.said == "Error: Incorrect API key provided: (your key).\n"


def test_what_nobody_expected_is_a_sentence_too(run, monkeypatch):
    monkeypatch.setattr("openai.resources.models.Models.list", lambda _: 1 / 0)
    run("api", "models.list", code=1)
    assert run.said.startswith("Error: ZeroDivisionError: division by zero. That should not happen;")


def test_the_help_waits_for_no_package():
    """The client, pandas and tqdm take seconds on a slow disk. (That is 20 of our modules of 110.)"""
    code = "import sys; from openai_command import openai; openai.main(['api']); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = done.stdout.splitlines()[-1].split()
    assert not {"openai", "pandas", "numpy", "tqdm", "openai_lesson"} & set(loaded)
    assert len([name for name in loaded if name.startswith("openai_")]) <= 20


@pytest.mark.skipif(sys.platform == "win32", reason="a pipe breaks in another way there")
@pytest.mark.parametrize(
    "words",
    [
        *(f"openai_command.openai {words}" for words in ("--help", "api --help", "api", "api models.list --help")),
        *(f"openai_command.lesson {words}" for words in ("--help", "data --help")),
        *(f"openai_local {words}" for words in ("--help", "keys --help", "where")),
    ],
)
def test_a_reader_that_stops_early_is_no_error(words):
    """As in ``openai api --help | true``."""
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", *words.split()]
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, env=buffered)
    os.close(writer)
    assert done.stderr == ""


def test_the_page_names_every_word_and_option():
    page = (Path(__file__).parents[2] / "docs" / "command.md").read_text(encoding="utf-8")
    for word, parser in words_of(command._parser()[0]):
        group, name = word.rsplit(".", 1)
        assert f"`{word}`" in page or (f"`{group}." in page and f"`.{name}`" in page), word
        if word.startswith("api"):
            for action in parser._actions[1:]:
                assert any(f"`{option}" in page for option in action.option_strings), (word, action.option_strings)


def words_of(parser):
    """All words with their parsers: api models.list, …"""
    kinds = next(action for action in parser._actions if action.choices and "api" in action.choices).choices
    for kind in ("api", "tools"):
        words = next(action for action in kinds[kind]._actions if action.choices).choices
        yield from ((f"{kind} {word}", parser) for word, parser in words.items())
