import json

import pandas as pd
import pytest

from openai_lesson import LessonError, catechism, prepare


def table(*rows):
    return pd.DataFrame(rows, columns=["prompt", "completion"])


GOOD = [(f"question {n}", f"answer {n}") for n in range(12)]


def test_the_catechism_becomes_the_file_of_2022(tmp_path):
    path = prepare.write_jsonl(catechism.load(), tmp_path / "c_prepared.jsonl")
    lines = path.read_text(encoding="utf-8").splitlines()
    assert len(lines) == 107
    assert lines[0] == (
        '{"prompt":"What is the chief end of man?",'
        '"completion":" Man\'s chief end is to glorify God, and to enjoy him forever."}'
    )


def test_chat_form(tmp_path):
    path = prepare.write_jsonl(table(*GOOD), tmp_path / "chat.jsonl", form="chat", system="Be brief.")
    first = json.loads(path.read_text().splitlines()[0])
    assert [(m["role"], m["content"]) for m in first["messages"]] == [
        ("system", "Be brief."),
        ("user", "question 0"),
        ("assistant", "answer 0"),
    ]


def test_findings_name_rows_as_in_the_file():
    found = prepare.check(table(*GOOD, ("", "x"), GOOD[0], ("question 1", " another")))
    by_what = {finding.what: finding.rows for finding in found}
    assert by_what["prompt or completion is empty"] == (14,)
    assert by_what["the row repeats an earlier one"] == (15,)
    assert by_what["the prompt has several completions"] == (3, 16)
    assert len(prepare.findings_table(found)) == len(found)


def test_only_usable_rows_are_written(tmp_path):
    path = prepare.write_jsonl(table(*GOOD, ("", "x"), GOOD[0]), tmp_path / "x.jsonl")
    assert len(path.read_text().splitlines()) == 12


def test_too_few_rows(tmp_path):
    few = table(*GOOD[:9])
    assert prepare.check(few)[0].what == "only 9 usable rows"
    with pytest.raises(LessonError, match="at least 10 examples"):
        prepare.write_jsonl(few, tmp_path / "x.jsonl")
    assert list(tmp_path.iterdir()) == []


def test_reading_keeps_text_as_it_is(tmp_path):
    path = tmp_path / "data.csv"
    path.write_text('id,prompt,completion\n1,NA,007\n2,"a ""b""","c,\nd"\n', encoding="utf-8")
    assert prepare.read_table(path).to_numpy().tolist() == [["NA", "007"], ['a "b"', "c,\nd"]]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "There is no file"),
        (b"", "can't be read as CSV"),
        (
            b"question,answer\na,b\n",
            "no column prompt and no column completion. Its columns are: question, answer",
        ),
        (b"prompt,completion\n\xff\xfe\xfd,b\n", "is not UTF-8 text"),
        (b'prompt,completion\n"a,b\n', "can't be read as CSV"),
    ],
)
def test_bad_files_get_a_sentence(tmp_path, content, sentence):
    path = tmp_path / "data.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(LessonError) as error:
        prepare.read_table(path)
    assert sentence in str(error.value)
    with pytest.raises(LessonError, match="is a folder"):
        prepare.read_table(tmp_path)
