"""What an analysis finds, and what is written."""

import json
from dataclasses import replace

import pandas as pd
import pytest

import openai_data as prepare
from openai_command.prepare_data import as_data, divided
from openai_data import tokens
from openai_data.column import Column, plain
from openai_data.report import Examples, chat_lines, completion_lines
from openai_data.table import Table
from openai_lesson import catechism

pytestmark = pytest.mark.usefixtures("machine")

GOOD = [(f"{word} {n}?", f" {word[::-1]}, {n}.") for n, word in enumerate("What Who Why Where How".split() * 5)]


def report(*rows, form="completion"):
    return prepare.analyse(pd.DataFrame([*GOOD, *rows], columns=["prompt", "completion"]), form=form)


def found(report_, code):
    """The rows of a finding, by its code."""
    return next((list(finding.rows) for finding in report_.findings if finding.code == code), None)


def test_the_catechism_becomes_the_file_of_2022(tmp_path):
    path = prepare.analyse(catechism.load()).write(tmp_path / "c_prepared.jsonl")
    lines = path.read_text(encoding="utf-8").splitlines()
    assert len(lines) == 107
    assert lines[0] == (
        '{"prompt":"What is the chief end of man?",'
        '"completion":" Man\'s chief end is to glorify God, and to enjoy him forever."}'
    )


def test_clean_data_has_nothing_to_mend():
    clean = report()
    assert clean.remedies == [] and clean.ending == "?"


def test_chat_form(tmp_path):
    path = report(form="chat").write(tmp_path / "chat.jsonl", system='Be "brief".')
    first = json.loads(path.read_text().splitlines()[0])
    assert [(m["role"], m["content"]) for m in first["messages"]] == [
        ("system", 'Be "brief".'),
        ("user", "What 0?"),
        ("assistant", "tahW, 0."),
    ]


def test_findings_name_rows_as_in_the_file():
    last = len(GOOD) + 2
    looked = report(("Empty?", ""), GOOD[0], ("WHAT 1 ?", "other"), ("who 1?", " ohw 1"), ("What 0?", " Else."))
    assert found(looked, "empty_completion") == [last]
    assert found(looked, "duplicate_rows") == [last + 1]
    assert found(looked, "near_duplicates") == [last + 3]
    assert found(looked, "conflicting_answers") == [2, last + 1, last + 4]


def test_answers_that_say_nothing():
    looked = report(
        ("A?", " N/A."), ("B?", " To-do."), ("C?", " As an AI language model, I can't."), ("D?", " Unknown!")
    )
    assert found(looked, "boilerplate_answers") == [27, 28, 29, 30]
    assert found(report(("A?", " None of them is unknown.")), "boilerplate_answers") is None


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("Write to ada.b+c@mail.example.org today.", "mail_addresses"),
        ("The key is " + "-".join(["sk", "proj", "abcdefghij0123456789ABCDEFG."]), "keys"),
        ("-----BEGIN RSA " + "PRIVATE KEY-----", "keys"),
        ("AKIA" + "IOSFODNN7EXAMPLE", "keys"),
        ("Meet me @ five; a risk-taker's task-list.", None),
    ],
)
def test_private_data(text, code):
    for looked in (report((f"{text}?", " x.")), report(("Which?", f" {text}."))):
        for private in ("mail_addresses", "keys"):
            assert found(looked, private) == ([27] if private == code else None)


def test_tokens(machine):
    looked = report()
    assert looked.lengths.exact and len(looked.lengths.counted) == len(GOOD)
    assert looked.lengths.total == looked.lengths.counted.sum()
    assert sum(count for *_, count in looked.lengths.histogram()) == len(GOOD)
    long = report(("Long?", " word" * 1500 + "."))
    assert found(long, "long_examples") is None and found(long, "over_the_window") == [27]
    assert "more than 2,048 tokens" in next(f.what for f in long.findings if f.code == "over_the_window")


def test_a_large_table_is_sampled():
    rows = pd.DataFrame([(f"What is {n}?", f" It is {n}.") for n in range(9000)], columns=["prompt", "completion"])
    lengths = prepare.analyse(rows).lengths
    assert not lengths.exact and len(lengths.counted) == tokens.SAMPLE
    whole = sum(prepare.analyse(rows[start : start + 3000]).lengths.total for start in (0, 3000, 6000))
    assert abs(lengths.total / whole - 1) < 0.02


def test_without_a_tokenizer_tokens_are_estimated(monkeypatch):
    nothing = tokens.Machine("base", None, 2048, 13, 300.0, 15.0, "measured")
    monkeypatch.setattr(tokens, "machine", lambda examples: nothing)
    assert not report().lengths.exact


def test_remedies_can_be_declined(tmp_path):
    rows = [("a b", "One"), ("c d", "Two"), ("a b", "One"), ("e f", "Three.")]
    looked = prepare.analyse(pd.DataFrame(rows, columns=["prompt", "completion"]))
    codes = [finding.code for finding in looked.remedies]
    assert codes == ["duplicate_rows", "prompt_separator", "completion_end", "completion_space"]
    assert looked.examples().frame().values.tolist()[0] == ["a b ->", " One\n"]
    assert looked.examples(declined=codes).frame().values.tolist() == [list(row) for row in rows]
    assert len(looked.examples(declined=["duplicate_rows"])) == 4


def test_as_a_table_and_as_data():
    looked = report(GOOD[0], ("A?", " N/A."))
    table = looked.summary()
    assert list(table.columns) == ["found", "rows", "where", "what is done"] and len(table) >= 2
    assert "<table" in looked._repr_html_() and "Remove 1 duplicate rows" in repr(looked)
    plain_data = json.loads(json.dumps(as_data(looked, [])))
    assert plain_data["rows"] == 27 and plain_data["task"] == "conditional generation"
    assert {"code": "duplicate_rows", "rows": [27]}.items() <= {
        key: value for key, value in plain_data["findings"][1].items() if key in ("code", "rows")
    }.items()
    assert plain_data["tokens"]["exact"] and plain_data["training_dollars_at_openai"]["gpt-4.1-nano"] > 0


def test_the_split_has_a_seed():
    hundred = Examples(Table([], [], [], "t", "CSV"), range(100), [], "chat")
    training, valid = divided(hundred, 0.2, 42)
    assert sorted([*training.positions, *valid.positions]) == list(range(100)) and len(valid) == 20
    assert divided(hundred, 0.2, 42) == (training, valid) != divided(hundred, 0.2, 43)
    assert len(divided(replace(hundred, positions=range(20_000)), None, 42)[1]) == 1000


@pytest.mark.parametrize("texts", [["a\\u0000b", "c"], ["x", ""], ['"', "\\", "/", "é\n\t\x01 1e5 null"]])
def test_texts_are_read_as_they_were_written(texts):
    frame = pd.DataFrame({"prompt": texts, "completion": texts}, dtype="object")
    pairs = [json.loads(line) for line in completion_lines(frame).splitlines()]
    assert pairs == [{"prompt": text, "completion": text} for text in texts]
    chats = [json.loads(line)["messages"] for line in chat_lines(frame, "s").splitlines()]
    assert [[message["content"] for message in chat] for chat in chats] == [["s", text, text] for text in texts]


@pytest.mark.parametrize("texts", [["abc", "abd"], ["abc", "xbc"], ["a"], ["aa", "aaa", "aaaa"], ["", "x"]])
def test_beginnings_and_endings(texts):
    column, length = Column(texts), min(map(len, texts))
    shared = [n for n in range(length + 1) if len({text[:n] for text in texts}) == 1]
    assert column.prefix == texts[0][: max(shared)]
    shared = [n for n in range(length + 1) if len({text[len(text) - n :] for text in texts}) == 1]
    assert column.suffix == texts[0][len(texts[0]) - max(shared) :]


def test_plain_texts():
    assert plain("What's the CAFÉ, then?") == plain("whats the café then") == "whatsthecaféthen"
    assert plain("A-B_c 1") == "abc1" and plain("漢字 ß") == "漢字ss"


def test_letters_are_counted_as_python_counts_them():
    text = "ABC def ÄÖü ß ẞ ǅ 中 1 ЖЩ ж"
    upper, lower = Column([text, text]).letters
    assert upper == 2 * sum(c.isupper() and c.isalpha() for c in text)
    assert lower == 2 * sum(c.islower() and c.isalpha() for c in text)


def test_the_estimate_is_asked_of_openai_local(tmp_path, monkeypatch, tiny_cache):
    """The real question, which the fixture spares the others."""
    monkeypatch.undo()
    monkeypatch.setenv("OPENAI_LOCAL_HOME", str(tmp_path))
    monkeypatch.setenv("OPENAI_LOCAL_CACHE", str(tiny_cache))
    machine = tokens.machine(107)
    assert machine.epochs == 13 and machine.window == 2048 and machine.tokenizer
    trains = 4 * 5000 / machine.tokens_per_second
    assert machine.seconds(5000, 4) == pytest.approx(machine.start_seconds + trains)
