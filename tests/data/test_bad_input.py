"""Each kind of bad input ends in one clear sentence and exit code 1, and nothing is written."""

import json
import os
import zipfile

import pytest

from openai_command.openai import main

pytestmark = pytest.mark.usefixtures("machine")

ROW = "What is this?,It is a thing.\n"
HEADER = "prompt,completion\n"


def csv(rows, header=HEADER):
    return (header + rows).encode()


def jsonl(count, *, line_7=None):
    lines = [json.dumps({"prompt": f"What is {n}?", "completion": f" It is {n}."}) for n in range(count)]
    if line_7 is not None:
        lines[6] = line_7
    return "\n".join(lines).encode()


# A file's name, its bytes (None: there is no such file), and the sentence.
TABLE = {
    "missing file": ("nothing.csv", None, "There is no file {path} in {here}."),
    "empty file": ("data.csv", b"", "{path} is empty. Was it saved?"),
    "only blank lines": (
        "data.csv",
        b"\n\n\n",
        "{path} has no rows. Put the names of the columns into the first row.",
    ),
    "no ending": ("data", csv(ROW), "{path} has no ending, which says nothing of its format."),
    "unknown ending": ("data.docx", csv(ROW), "{path} ends with '.docx', which says nothing of its format."),
    "header only": ("data.csv", csv(""), "{path} has a header and no rows of data."),
    "one column": ("data.csv", b"prompt\nWhat?\n", "data.csv has only one column (prompt). Two are needed"),
    "a line break in a column's name": (
        "data.csv",
        b'"a\nb"\nWhat?\n',
        "data.csv has only one column (a\\nb). Two are needed",
    ),
    "strange columns": (
        "data.csv",
        b"id,when,what\n1,2,3\n",
        "data.csv has no column prompt and no column completion. Its columns are: 'id', 'when', 'what'.",
    ),
    "only a prompt": ("data.csv", b"prompt,date\nWhat?,1\n", "data.csv has no column completion."),
    "ten rows without an answer": (
        "data.csv",
        csv("What is this?,\n" * 10),
        "None of the 10 rows in data.csv has an answer. Fill in the second column.",
    ),
    "duplicate headers": (
        "data.csv",
        b"prompt,completion,prompt\na,b,c\n",
        "data.csv has 2 columns called 'prompt' (columns 1 and 3). Give one of them another name",
    ),
    "a cell of 30 MB": (
        "data.csv",
        csv(ROW + f'Why?,"{"x" * 30_000_000}"\n'),
        "One cell in row 3 of data.csv has 30,000,000 characters.",
    ),
    "an open quotation mark": (
        "data.csv",
        csv(ROW * 3 + 'Who?,"It is a thing.\n' + ROW * 3),
        "In {path}, a quotation mark opens in row 5 and is never closed.",
    ),
    "a comma too many": (
        "data.csv",
        csv(ROW * 3 + "Who, then?,It is a thing.\n"),
        "Row 5 of {path} has 3 cells, but the header has 2. A text that holds a comma must stand between",
    ),
    "a comma too many at once": (
        "data.csv",
        csv("Who, then?,It is a thing.\n" + ROW * 3),
        "Row 2 of {path} has 3 cells, but the header has 2.",
    ),
    "binary data": ("data.csv", bytes(range(256)) * 20, "{path} is not a text file"),
    "a picture with a table's name": ("data.csv", b"\x89PNG\r\n\x1a\n\x00\x00", "{path} is not a text file"),
    "two encodings": (
        "data.csv",
        csv("Wo?,Im Café.\n") + "Wann?,Um fünf.\n".encode("cp1252") + csv("", header="Wer?,Ä\n"),
        "{path} is written in two ways: line 2 is UTF-8, but line 3 is not.",
    ),
    "invalid JSON on line 7": (
        "data.jsonl",
        jsonl(12, line_7='{"prompt": "What?", "completion": '),
        "Line 7 of {path} is not valid JSON: Expecting value at character ",
    ),
    "invalid JSON on line 1": ("data.jsonl", b'{"prompt": oops}\n', "Line 1 of {path} is not valid JSON"),
    "an array that breaks off": (
        "data.json",
        b'[\n{"prompt": "a",\n "completion": "b"},\n{"prompt"\n',
        "{path} is not valid JSON: Expecting ':' delimiter in line 5",
    ),
    "a line that is no object": ("data.jsonl", jsonl(12, line_7='"What?"'), "Line 7 of {path} is not an object."),
    "a list for an answer": (
        "data.jsonl",
        jsonl(12, line_7='{"prompt": "What?", "completion": ["a"]}'),
        "Line 7 of {path} has a list or an object in 'completion', where a text is needed.",
    ),
    "half a character": (
        "data.jsonl",
        jsonl(12, line_7='{"prompt": "What?", "completion": "\\ud83d"}'),
        "Line 7 of {path} has half a character (a lone surrogate) in 'completion'.",
    ),
    "a NUL character": (
        "data.jsonl",
        jsonl(12, line_7='{"prompt": "Wh\\u0000at?", "completion": "x"}'),
        "Line 7 of {path} has a NUL character in 'prompt'.",
    ),
    "deep nesting": ("data.jsonl", b"[" * 100_000, "Line 1 of {path} is nested too deeply"),
    "a number without end": (
        "data.jsonl",
        jsonl(12, line_7='{"prompt": "How many?", "completion": ' + "9" * 5000 + "}"),
        "Line 7 of {path} can't be read: Exceeds the limit",
    ),
    "a long conversation": (
        "data.jsonl",
        json.dumps({"messages": [{"role": "user", "content": "Hi"}] * 3}).encode(),
        "Line 1 of {path} is a conversation that is not just one message of the user and one of the assistant.",
    ),
    "all prompts alike": ("data.csv", csv("Say it,One.\nSay it,Two.\n"), "All prompts are identical: `Say it`."),
    "all answers alike": ("data.csv", csv("One?,Yes.\nTwo?,Yes.\n"), "All completions are identical: `Yes.`."),
    "a password": (
        "data.xlsx",
        bytes.fromhex("D0CF11E0A1B11AE1") + bytes(600) + "EncryptedPackage".encode("utf-16-le"),
        "{path} is protected by a password.",
    ),
    "an old Excel file": (
        "data.xlsx",
        bytes.fromhex("D0CF11E0A1B11AE1") + bytes(600),
        "{path} is in Excel's format of",
    ),
    "no Excel file": ("data.xlsx", csv(ROW), "{path} can't be read as an Excel file"),
    "a page without a table": ("page.html", b"<p>Hello</p>", "page.html has no table with two columns."),
}


@pytest.mark.parametrize("kind", TABLE)
def test_a_sentence_and_nothing_written(kind, tmp_path, monkeypatch, capsys):
    name, content, sentence = TABLE[kind]
    monkeypatch.chdir(tmp_path)
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    assert main(["tools", "fine_tunes.prepare_data", "-q", "-f", str(path)]) == 1
    said = capsys.readouterr().err
    assert said.startswith("Error: " + sentence.format(path=path, here=tmp_path)), said
    assert len(said.splitlines()) == 1 and "Traceback" not in said
    assert [file.name for file in tmp_path.iterdir()] == ([name] if content is not None else [])


def refused(capsys, *words):
    assert main(["tools", "fine_tunes.prepare_data", *map(str, words)]) == 1
    return capsys.readouterr().err


def test_a_folder(tmp_path, capsys):
    assert f"{tmp_path} is a folder. Name the file in it" in refused(capsys, "-f", tmp_path)


def test_an_excel_file_that_is_cut_off(tmp_path, capsys):
    path = tmp_path / "data.xlsx"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("xl/workbook.xml", "<workbook/>")
    assert "can't be read as an Excel file" in refused(capsys, "-f", path)


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="needs a user who is refused")
def test_no_permission_to_read_or_write(tmp_path, capsys):
    path = tmp_path / "data.csv"
    path.write_bytes(csv(ROW + "Why?,So.\n"))
    tmp_path.chmod(0o500)
    assert "can't be written: Permission denied" in refused(capsys, "-q", "-f", path)
    tmp_path.chmod(0o700)
    path.chmod(0)
    assert "may not be read by you" in refused(capsys, "-q", "-f", path)


def test_a_folder_that_can_not_be_written_to(tmp_path, capsys):
    """The same sentence, also for a user who may write anywhere."""
    path = tmp_path / "data.csv"
    path.write_bytes(csv(ROW + "Why?,So.\n"))
    said = refused(capsys, "-q", "-f", path, "--to", tmp_path / "nowhere" / "x.jsonl")
    assert "can't be written: No such file or directory. Name a file in another folder:  --to" in said


def test_a_full_disk_leaves_no_half_file(tmp_path, capsys, monkeypatch):
    from openai_data import report

    def full(_):
        raise OSError(28, "No space left on device")

    path = tmp_path / "data.csv"
    path.write_bytes(csv(ROW + "Why?,So.\n"))
    monkeypatch.setattr(report, "completion_lines", full)
    assert "No space left on device" in refused(capsys, "-q", "-f", path)
    assert [file.name for file in tmp_path.iterdir()] == ["data.csv"]


def test_options_that_do_not_fit(tmp_path, capsys):
    path = tmp_path / "data.csv"
    path.write_bytes(b"a,b,c\nOne?,1,x\nTwo?,2,y\n")
    assert "--system needs --format chat" in refused(capsys, "-f", path, "--system", "Be brief.")
    assert "Name the other column of data.csv too:  --completion-column" in refused(
        capsys, "-f", path, "--prompt-column", "a"
    )
    assert "data.csv has no column 'z'" in refused(
        capsys, "-f", path, "--prompt-column", "z", "--completion-column", "b"
    )
    assert "can't both be the column 'a'" in refused(
        capsys, "-f", path, "--prompt-column", "a", "--completion-column", "1"
    )
    path.write_bytes(b"prompt,completion\n,One.\n,Two.\n")
    assert "has answers only. A conversation needs a question" in refused(capsys, "-f", path, "--format", "chat")
