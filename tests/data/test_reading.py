"""Files of all kinds are read alike, and what had to be decided is said."""

import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pandas as pd
import pytest

import openai_data as prepare
from openai_lesson import LessonError

ROWS = [
    ("What is a café?", "A place, mostly in “France”."),
    ("Who's there?", "It's me."),
    ("Is it?", 'No; "yes".'),
]
FRAME = pd.DataFrame(ROWS, columns=["prompt", "completion"])


def pairs(table):
    return list(zip(table.prompts, table.completions, strict=True))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_encodings_and_delimiters(encoding, delimiter, tmp_path):
    path = tmp_path / "data.csv"
    path.write_text(FRAME.to_csv(index=False, sep=delimiter), encoding=encoding)
    table = prepare.read(path)
    assert pairs(table) == ROWS
    assert list(table.numbers) == [2, 3, 4]
    assert len(table.notes) == (not encoding.startswith("utf-8")) + (delimiter != ",")


@pytest.mark.parametrize("quote", ['"', "'"])
def test_quotation_marks(quote, tmp_path):
    path = tmp_path / "data.csv"
    rows = [f"{quote}What, then?{quote},{quote}It is, so.{quote}", f"{quote}Who?{quote},{quote}Me.{quote}"]
    path.write_text("\n".join([f"{quote}prompt{quote},{quote}completion{quote}", *rows]))
    assert pairs(prepare.read(path)) == [("What, then?", "It is, so."), ("Who?", "Me.")]


def test_apostrophes_are_no_quotation_marks(tmp_path):
    path = tmp_path / "data.csv"
    path.write_text("prompt,completion\n'Tis what?,It's that'\n'Twas it?,No.\n")
    assert pairs(prepare.read(path)) == [("'Tis what?", "It's that'"), ("'Twas it?", "No.")]


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("prompt,completion", (0, 1)),
        ("Completion,PROMPT", (1, 0)),
        ("id,question,answer,date", (1, 2)),
        ("header,content", (0, 1)),
        ("Antwort?,Frage", None),
        ("Frage,Antwort", (0, 1)),
    ],
)
def test_columns_by_name_or_position(header, expected, tmp_path):
    path = tmp_path / "data.csv"
    width = len(header.split(","))
    path.write_text(
        f"{header}\n" + "\n".join(",".join(f"{row}{column}" for column in range(width)) for row in "ab")
    )
    table = prepare.read(path)
    if expected is None:  # the header looks like data
        assert table.prompts[0] == "Antwort?" and "has no header" in table.notes[0]
        assert list(table.numbers) == [1, 2, 3]
        return
    first, second = expected
    assert pairs(table) == [(f"{row}{first}", f"{row}{second}") for row in "ab"]


def test_columns_by_wish(tmp_path):
    path = tmp_path / "data.csv"
    path.write_text("prompt,completion,French\nWhat?,That.,Cela.\n")
    assert pairs(prepare.read(path, completion_column="french")) == [("What?", "Cela.")]
    assert pairs(prepare.read(path, prompt_column="3", completion_column="1")) == [("Cela.", "What?")]
    assert prepare.read(path).changes == ["Remove additional columns/keys: ['French']"]


def test_text_stays_as_it_is(tmp_path):
    path = tmp_path / "data.csv"
    path.write_text('id,prompt,completion\n1,NA,007\n\n2,"a ""b""","c,\nd"\n,,\n', encoding="utf-8")
    table = prepare.read(path)
    assert pairs(table) == [("NA", "007"), ('a "b"', "c,\nd")]
    assert list(table.numbers) == [2, 4] and "Blank rows were left out: 2" in table.notes


@pytest.mark.parametrize(("first", "second"), [(",", ","), (",,", ""), ("", ",")])
def test_rows_that_end_with_commas(first, second, tmp_path):
    path = tmp_path / "data.csv"
    path.write_text(f"prompt,completion\nWhat?,That.{first}\nWho?,She.{second}\n")
    assert pairs(prepare.read(path)) == [("What?", "That."), ("Who?", "She.")]


def test_excel(tmp_path):
    path = tmp_path / "data.xlsx"
    with pd.ExcelWriter(path) as book:
        FRAME.to_excel(book, sheet_name="first", index=False)
        FRAME.to_excel(book, sheet_name="second", index=False)
    table = prepare.read(path)
    assert pairs(table) == ROWS and table.format == "XLSX"
    assert "Only the first one is read: 'first', and not 'second'" in table.notes[0]


@pytest.mark.parametrize("ending", [".json", ".jsonl"])
@pytest.mark.parametrize("form", ["lines", "array", "indented array", "indented objects", "columns"])
def test_json(form, ending, tmp_path):
    records = [{"question": p, "answer": c, "n": 1} for p, c in ROWS]
    text = {
        "lines": "\n\n".join(map(json.dumps, records)),
        "array": json.dumps(records),
        "indented array": json.dumps(records, indent=4),
        "indented objects": "\n".join(json.dumps(record, indent=4) for record in records),
        "columns": json.dumps({"question": [p for p, _ in ROWS], "answer": [c for _, c in ROWS], "n": [1] * 3}),
    }[form]
    path = tmp_path / f"data{ending}"
    path.write_text(text)
    table = prepare.read(path)
    assert pairs(table) == ROWS
    assert (table.unit, list(table.numbers)) == (
        ("line", [1, 3, 5]) if (form, ending) == ("lines", ".jsonl") else ("record", [1, 2, 3])
    )


def test_json_values_that_are_no_texts(tmp_path):
    path = tmp_path / "data.jsonl"
    path.write_text('{"prompt": 5, "completion": 2.5}\n{"prompt": true, "completion": null}\n{"prompt": "x"}\n')
    assert pairs(prepare.read(path)) == [("5", "2.5"), ("True", ""), ("x", "")]


def test_conversations(tmp_path):
    path = tmp_path / "data.jsonl"
    line = {"messages": [{"role": "user", "content": "What?"}, {"role": "assistant", "content": "That."}]}
    path.write_text(json.dumps(line) + "\n")
    assert pairs(prepare.read(path)) == [("What?", "That.")]


PAGE = """<html><body><table><tr><td>menu</td></tr></table>
<table><tr><th>Question</th><th>Answer</th></tr>
<tr><td>What?</td><td>007 <b>bold</b></td></tr><tr><td>Who?</td><td>NA</td></tr></table></body></html>"""


def test_a_page(tmp_path):
    path = tmp_path / "page.html"
    path.write_text(PAGE)
    assert pairs(prepare.read(path)) == [("What?", "007 bold"), ("Who?", "NA")]


def test_a_page_whose_rows_are_not_equally_long(tmp_path):
    path = tmp_path / "data.html"
    path.write_text("<table><tr><td>prompt<td>completion<tr><td>Why?<td>So.<td>x<tr><td>How?</table>")
    assert pairs(prepare.read(path)) == [("Why?", "So."), ("How?", "")]


def test_a_page_from_the_web(monkeypatch):
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200 if self.path == "/faq" else 404)
            self.end_headers()
            self.wfile.write(PAGE.encode())

        def log_message(self, *_):
            pass

    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        assert len(prepare.read(f"{address}/faq")) == 2
        with pytest.raises(LessonError, match=r"can't be fetched: Not Found. Download it in your browser"):
            prepare.read(f"{address}/nothing")
        server.shutdown()


def test_lines_of_text_are_answers(tmp_path):
    path = tmp_path / "poems.txt"
    path.write_bytes(b"Roses are red\r\n\r\nViolets are blue\r\n")
    table = prepare.read(path)
    assert pairs(table) == [("", "Roses are red"), ("", "Violets are blue")]
    assert list(table.numbers) == [1, 3]


def test_rows_that_break_off(tmp_path):
    path = tmp_path / "data.csv"
    path.write_text("id,prompt,completion\n1,What?,That.\n2,Who?\n3\n")
    table = prepare.read(path)
    assert pairs(table) == [("What?", "That."), ("Who?", "")] and list(table.numbers) == [2, 3]


def test_a_data_frame(machine):
    assert prepare.analyse(FRAME).read_rows == 3
    with pytest.raises(LessonError, match="The table has no column completion"):
        prepare.analyse(FRAME[["prompt"]])
    with pytest.raises(LessonError, match="Row 2 of table has a NUL character"):
        prepare.analyse(FRAME.assign(prompt="a\0b"))


LOADED = """
import sys
from pathlib import Path

def lines():
    ours = {m.__file__ for name, m in sys.modules.items() if name.startswith("openai_") and m.__file__}
    return {Path(file).stem: len(Path(file).read_text(encoding="utf-8").splitlines()) for file in ours}

from openai_data.errors import LessonError
assert set(lines()) == {"__init__", "errors"}, lines()
import openai_data as prepare
import openai_figures
from openai_data import tokens
tokens.machine = lambda examples: tokens.Machine("none", None, 2048, 13, 300.0, 15.0, "measured")
report = prepare.analyse("data.csv")
report.write("data.jsonl")
assert report.lengths.total
assert sum(lines().values()) <= 1400 and not {"json_files", "spreadsheets", "downloading"} & set(lines()), lines()
"""


def test_little_is_loaded_for_a_csv_file(tmp_path):
    FRAME.to_csv(tmp_path / "data.csv", index=False)
    source = str(Path(prepare.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-c", LOADED],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": source},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
