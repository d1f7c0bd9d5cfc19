"""The word `openai tools fine_tunes.prepare_data`: what it prints, asks and writes."""

import json
import os
import subprocess
import sys

import pytest

from openai_command.openai import main
from openai_command.prepare_data import Dialog
from openai_lesson import catechism

pytestmark = pytest.mark.usefixtures("machine")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*words, code=0):
    assert main(["tools", "fine_tunes.prepare_data", *map(str, words)]) == code


def test_the_lesson_reads_as_in_2022(folder, capsys):
    catechism.write()
    run("-f", "Westminster_Catechism.csv")
    said = capsys.readouterr().out
    for line in (
        "Analyzing...",
        "- Based on your file extension, your file is formatted as a CSV file",
        "- Your file contains 107 prompt-completion pairs",
        "- All prompts end with suffix `?`",
        "- All completions end with suffix `.`",
        "Based on the analysis we will perform the following actions:",
        "- [Necessary] Your format `CSV` will be converted to `JSONL`",
        "- [Recommended] Add a whitespace character to the beginning of the completion [Y/n]: Y",
        "Your data will be written to a new JSONL file. Proceed [Y/n]: Y",
        "Wrote modified file to `Westminster_Catechism_prepared.jsonl`",
        "Feel free to take a look!",
        "Now use that file when fine-tuning:",
        '> openai api fine_tunes.create -t "Westminster_Catechism_prepared.jsonl" -m ada',
        "(Nobody can answer here, so the recommended answers are taken, as with -q.)",
    ):
        assert line in said.splitlines(), line
    assert "your prompt has to end with the indicator string `?`" in said
    assert "on this machine for 4 epochs, as in 2022" in said and "by its prices of 2026-08-05" in said
    assert len((folder / "Westminster_Catechism_prepared.jsonl").read_text().splitlines()) == 107


def test_nothing_is_overwritten(folder, capsys):
    catechism.write()
    run("-q", "-f", "Westminster_Catechism.csv")
    first = (folder / "Westminster_Catechism_prepared.jsonl").read_bytes()
    capsys.readouterr()
    run("-q", "-f", "Westminster_Catechism.csv")
    said = capsys.readouterr().out
    assert "`Westminster_Catechism_prepared.jsonl` exists already and is left as it is." in said
    assert "Wrote modified file to `Westminster_Catechism_prepared (1).jsonl`" in said
    assert (folder / "Westminster_Catechism_prepared (1).jsonl").read_bytes() == first
    run("-q", "-f", "Westminster_Catechism.csv", "--to", "Westminster_Catechism_prepared.jsonl", code=1)
    assert "exists already" in capsys.readouterr().err


def test_a_file_that_is_ready(folder, capsys):
    (folder / "a.jsonl").write_text(
        '{"prompt":"a ->","completion":" b\\n"}\n{"prompt":"c ->","completion":" d\\n"}\n'
    )
    run("-f", "a.jsonl")
    said = capsys.readouterr().out
    assert "No remediations found." in said and "You can use your file for fine-tuning:" in said
    assert '> openai api fine_tunes.create -t "a.jsonl" -m ada' in said
    assert [file.name for file in folder.iterdir()] == ["a.jsonl"]


CHATS = [
    {
        "messages": [
            {"role": "user", "content": f"What is {n}?"},
            {"role": "assistant", "content": f"caf\u00e9 {n}."},
        ]
    }
    for n in range(12)
]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("\n".join(json.dumps(chat) for chat in CHATS).encode(), None),
        (json.dumps(CHATS).encode(), "- [Necessary] Your format `JSON` will be converted to `JSONL`"),
        (
            "\n".join(json.dumps(chat, ensure_ascii=False) for chat in CHATS).encode("cp1252"),
            "- [Necessary] Write the text as UTF-8; now it is cp1252",
        ),
    ],
)
def test_conversations_that_can_not_be_trained_on_as_they_are(folder, capsys, content, said):
    """All in one line, or in other letters: that is no training file, whatever its name."""
    (folder / "chats.jsonl").write_bytes(content)
    assert main(["tools", "fine_tunes.prepare_data", "-q", "--format", "chat", "-f", "chats.jsonl"]) == 0
    shown = capsys.readouterr().out
    if said is None:
        assert "You can use your file for fine-tuning" in shown
        return
    assert said in shown
    written = (folder / "chats_prepared.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line) for line in written] == CHATS


def test_chat_with_a_split(folder, capsys):
    catechism.write()
    words = (
        "-q",
        "-f",
        "Westminster_Catechism.csv",
        "--format",
        "chat",
        "--system",
        "Be brief.",
        "--valid",
        "0.1",
    )
    run(*words, "--to", "c.jsonl")
    said = capsys.readouterr().out
    assert 'openai api fine_tuning.job.create -t "c_train.jsonl" -v "c_valid.jsonl" -m gpt-4.1-nano' in said
    parts = [(folder / f"c_{part}.jsonl").read_text().splitlines() for part in ("train", "valid")]
    assert [len(part) for part in parts] == [96, 11]
    assert json.loads(parts[1][0])["messages"][0] == {"role": "system", "content": "Be brief."}


def test_a_classification(folder, capsys):
    rows = "".join(f"Is {n} even?,{'yes' if n % 2 == 0 else 'no'}\n" for n in range(41))
    (folder / "c.csv").write_text("prompt,completion\n" + rows)
    run("-f", "c.csv")
    said = capsys.readouterr().out
    assert "- [Recommended] Would you like to split into training and validation set? [Y/n]: Y" in said
    assert (
        '> openai api fine_tunes.create -t "c_prepared_train.jsonl" -v "c_prepared_valid.jsonl" -m ada '
        '--compute_classification_metrics --classification_positive_class " yes"'
    ) in said
    assert len((folder / "c_prepared_valid.jsonl").read_text().splitlines()) == 9


def test_json(folder, capsys):
    catechism.write()
    run("-f", "Westminster_Catechism.csv", "--json")
    report = json.loads(capsys.readouterr().out)
    assert report["files"] == ["Westminster_Catechism_prepared.jsonl"] and report["rows"] == 107
    assert (folder / report["files"][0]).exists()


def test_endings_that_were_added_are_told(folder, capsys):
    (folder / "c.csv").write_text(
        "prompt,completion\n" + "".join(f"{n} and {n},It is {2 * n}\n" for n in range(12))
    )
    run("-f", "c.csv")
    said = capsys.readouterr().out
    assert "has to end with the indicator string ` ->`" in said and 'Include `stop=["\\n"]`' in said


ANSWERS = """
import pty, os, sys
word = [sys.executable, "-m", "openai_command.openai", "tools", "fine_tunes.prepare_data", "-f", "c.csv"]
sys.exit(os.waitstatus_to_exitcode(pty.spawn(word)))
"""


@pytest.mark.skipif(os.name == "nt", reason="needs a pseudo-terminal")
@pytest.mark.parametrize(
    ("answers", "written", "code"),
    [("n\n\n", " One", 0), ("\nn\n", None, 0), ("\n\n", " One", 0), ("\x04", None, 1)],
)
def test_a_person_is_asked(answers, written, code, folder, monkeypatch):
    for name in ("JPY_PARENT_PID", "CI"):
        monkeypatch.delenv(name, raising=False)
    (folder / "c.csv").write_text("prompt,completion\na ->, One.\nb ->, Two.\na ->, One.\n")
    done = subprocess.run(
        [sys.executable, "-c", ANSWERS], input=answers, capture_output=True, text=True, timeout=60
    )
    assert "[Recommended] Remove 1 duplicate rows [Y/n]: " in done.stdout, done.stdout + done.stderr
    assert done.returncode == code and "Traceback" not in done.stdout
    output = folder / "c_prepared.jsonl"
    if written is None:
        assert not output.exists()
    else:
        assert len(output.read_text().splitlines()) == (3 if answers.startswith("n") else 2)


@pytest.mark.parametrize("name", ["JPY_PARENT_PID", "CI"])
def test_nobody_is_asked_in_a_notebook_or_a_test_run(name, monkeypatch):
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setenv(name, "1")
    monkeypatch.setattr("builtins.input", lambda _: pytest.fail("it asked"))
    assert Dialog(quiet=False).accepts("Well?")
