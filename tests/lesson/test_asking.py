import pandas as pd
import pytest

import openai_lesson as lesson


def test_both_forms(client):
    assert lesson.ask(client, "the thin", "ada", max_tokens=5) == lesson.ask(
        client, "the thin", "ada", form="completion", max_tokens=5
    )
    assert isinstance(lesson.ask(client, "the thin", "ada", form="chat", max_tokens=5), str)


def test_comparison(client, trained):
    comparison = lesson.compare(client, ["What is sun?", "What is moon?"], trained.fine_tuned_model)
    assert list(comparison.table.columns) == ["question", "base model", "trained model"]
    assert len(comparison.table) == 2
    assert "What is sun?" in repr(comparison) and "<table" in comparison._repr_html_()


@pytest.fixture
def answers(monkeypatch):
    given = {"a?": "one", "b?": "two", "c?": "wrong"}
    monkeypatch.setattr("openai_lesson.verifying.ask", lambda client, question, model: given[question])


def test_recall_counts_answers_that_are_right_word_for_word(answers, client):
    table = pd.DataFrame({"prompt": ["a?", "b?", "c?"], "completion": [" one", "Two", "three"]})
    recall = lesson.recall(client, table, "any")
    assert str(recall) == "exact recall: 1/3"
    assert recall.misses.question.tolist() == ["b?", "c?"]


def test_recall_asks_the_model(client, trained):
    table = pd.DataFrame({"prompt": ["What is sun?"], "completion": ["nothing of the kind"]})
    assert str(lesson.recall(client, table, trained.fine_tuned_model)) == "exact recall: 0/1"
