import pandas as pd
import pytest

from openai_command.lesson import main
from openai_lesson import LessonError, catechism


def test_the_lessons_file(tmp_path):
    path = catechism.write(tmp_path / "Westminster_Catechism.csv")
    table = pd.read_csv(path)
    assert list(table.columns) == ["prompt", "completion"] and len(table) == 107
    assert table.prompt.str.endswith("?").all() and table.completion.str.endswith(".").all()
    assert table.iloc[0].tolist() == [
        "What is the chief end of man?",
        "Man's chief end is to glorify God, and to enjoy him forever.",
    ]


def test_the_others():
    assert len(catechism.load("larger")) == 196
    modern = catechism.load(modern=True)
    assert len(modern) == 107 and (modern.completion != catechism.load().completion).sum() > 50


def test_the_lessons_question_is_in_the_larger_one_only():
    question = "What are the punishments of sin in the world to come?"
    assert question not in set(catechism.load().prompt)
    assert question in set(catechism.load("larger").prompt)


def test_a_file_with_another_content_is_left_alone(tmp_path):
    path = tmp_path / "data.csv"
    path.write_text("my own work")
    with pytest.raises(LessonError, match="left alone"):
        catechism.write(path)
    assert path.read_text() == "my own work"
    catechism.write(path, overwrite=True)
    assert catechism.write(path) == path, "writing the same again is no trouble"


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(LessonError, match="can't be written"):
        catechism.write(tmp_path / "nowhere" / "data.csv")


def test_in_other_words():
    table, taught, modern = catechism.paraphrased(), catechism.load(), catechism.load(modern=True)
    assert len(table) == 40 and list(table.columns) == ["number", "prompt", "completion", "shown"]
    assert not set(table.prompt) & set(taught.prompt), "a question that the model was taught as it stands"
    rows = table.number - 1
    assert table.prompt.tolist() == modern.prompt[rows].tolist()
    assert table.completion.tolist() == taught.completion[rows].tolist(), "the answers are those of 1647"


def test_what_stands_for_a_modern_question_shows_none_of_it():
    table = catechism.paraphrased()
    assert table.shown.tolist() == [f"question {number}, in modern English" for number in table.number]


def test_never_seen():
    table, larger = catechism.unseen(), catechism.load("larger")
    assert len(table) == 148 and list(table.columns) == ["number", "prompt", "completion"]
    assert not set(table.prompt) & set(catechism.load().prompt)
    assert table.prompt.tolist() == larger.prompt[table.number - 1].tolist()
    assert "What are the punishments of sin in the world to come?" in set(table.prompt)


def test_the_command_names_four_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for options in ([], ["--larger"], ["--modern"], ["--larger", "--modern"]):
        assert main(["data", *options]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "Westminster_Catechism.csv",
        "Westminster_Catechism_modern.csv",
        "Westminster_Larger_Catechism.csv",
        "Westminster_Larger_Catechism_modern.csv",
    ]
