import threading
import time
import xml.etree.ElementTree as ET

import openai
import pandas as pd
import pytest

from openai_lesson import LessonError, catechism, verifying
from openai_lesson.verifying import Verification, verify

CLIENT = openai.OpenAI(base_url="http://127.0.0.1:9/v1", api_key="nobody's")

KNOWN = pd.DataFrame({"prompt": ["a?", "b?", "c?"], "completion": [" One two.", " three", " four five six"]})
SECRET = pd.DataFrame(
    {
        "number": [7, 9],
        "prompt": ["hidden words?", "more hidden words?"],
        "completion": ["One two.", "nine"],
        "shown": ["question 7", "question 9"],
    }
)
ANSWERS = {"a?": "One two.", "b?": "Three!", "c?": "five seven", "hidden words?": "one", "more hidden words?": "x"}


class Asked(list):
    """The questions that fake models were asked: (model, question, max_tokens)."""


@pytest.fixture
def asked(monkeypatch):
    """Two models: the trained one knows `ANSWERS`, the base says "nothing"."""
    calls = Asked()

    def ask(client, question, model, *, max_tokens):
        calls.append((model, question, max_tokens))
        return ANSWERS.get(question, "unknown") if model == "mine" else "nothing"

    monkeypatch.setattr("openai_lesson.verifying.ask", ask)
    return calls


@pytest.fixture
def checked(asked, monkeypatch):
    monkeypatch.setattr(verifying, "_BASE_EVERY", 2)
    return verify(CLIENT, "mine", sets={"known": KNOWN, "secret": SECRET})


def test_answers_with_their_measures(checked):
    rows = checked.answers.drop(columns="f1").to_dict("split")["data"]
    assert rows == [
        ["known", 1, "a?", "One two.", "One two.", "trained", True, True],
        ["known", 2, "b?", "three", "Three!", "trained", False, True],
        ["known", 3, "c?", "four five six", "five seven", "trained", False, False],
        ["known", 1, "a?", "One two.", "nothing", "base", False, False],
        ["known", 3, "c?", "four five six", "nothing", "base", False, False],
        ["secret", 7, "question 7", "One two.", "one", "trained", False, False],
        ["secret", 9, "question 9", "nine", "x", "trained", False, False],
        ["secret", 7, "question 7", "One two.", "nothing", "base", False, False],
    ]
    # "five seven" for "four five six": 2 * 1 / (2 + 3); "one" for "One two.": 2 * 1 / (1 + 2)
    assert checked.answers.f1.tolist() == pytest.approx([1, 1, 2 / 5, 0, 0, 2 / 3, 0, 0])


def test_each_model_is_asked_in_its_own_way(asked, checked):
    assert {limit for model, _, limit in asked if model == "mine"} == {200}
    assert {limit for model, _, limit in asked if model == "ada"} == {60}
    assert sorted(question for model, question, *_ in asked if model == "mine") == sorted(ANSWERS)


def test_a_part_of_the_questions(asked):
    verify(CLIENT, "mine", sets={"known": KNOWN}, every=2, max_tokens=9)
    assert sorted(asked) == [("ada", "a?", 60), ("mine", "a?", 9), ("mine", "c?", 9)]


def test_scores(checked):
    assert checked.scores().to_dict("split")["data"] == [
        ["known", "trained", 3, 66.7, 80.0],
        ["known", "base", 2, 0.0, 0.0],
        ["secret", "trained", 2, 0.0, 33.3],
        ["secret", "base", 1, 0.0, 0.0],
    ]


def test_recall_is_that_of_the_first_set(checked):
    assert checked.recall == "exact recall: 1/3"


def test_the_worst_come_first(checked):
    assert checked.worst().table.question.tolist() == ["question 9", "c?", "question 7", "a?", "b?"]
    assert checked.worst(1, set="known").table.F1.tolist() == [pytest.approx(2 / 5)]
    with pytest.raises(LessonError, match="There are: known, secret"):
        checked.worst(set="knwon")


def test_empty_answers_can_be_left_out():
    row = {"set": "a", "number": 1, "question": "?", "expected": "x", "asked": "trained", "f1": 0.0}
    checked = Verification(pd.DataFrame([{**row, "answer": ""}, {**row, "answer": "y"}]))
    assert checked.worst().table.answer.tolist() == ["", "y"]
    assert checked.worst(empty=False).table.answer.tolist() == ["y"]


def test_the_worst_are_shown_whole(asked, monkeypatch):
    long = " ".join(f"word{n}" for n in range(40))
    monkeypatch.setitem(ANSWERS, "a?", long)
    listing = verify(CLIENT, "mine", sets={"known": KNOWN}).worst(1)
    assert long in listing._repr_html_(), "a notebook shows the answer cut off"
    assert "word0" in repr(listing) and "word39" in repr(listing)


def test_a_question_with_something_to_show_instead_is_shown_nowhere(checked):
    listing = checked.worst()
    shown = [repr(listing), listing._repr_html_(), repr(checked), *checked._repr_mimebundle_().values()]
    shown += [checked.answers.to_csv(), checked.scores().to_csv()]
    assert "question 7" in repr(listing)
    assert not [text for text in shown if "hidden" in text]


def test_the_lessons_sets(asked):
    checked = verify(CLIENT, "mine")
    scores = checked.scores()
    assert scores.set.tolist() == [name for name in ("trained on", "in other words", "never seen") for _ in "tb"]
    assert scores.questions.tolist() == [107, 22, 40, 8, 148, 30]
    assert checked.recall == "exact recall: 0/107"
    questions = {question for _, question, *_ in asked}
    modern = set(catechism.paraphrased().prompt)
    assert modern <= questions, "the model was not asked in modern English"
    # Three of them are in the Larger Catechism of 1647, letter for letter; those may be shown.
    hidden = modern - set(catechism.unseen().prompt)
    assert len(hidden) == 37 and not hidden & set(checked.answers.question)


def test_the_picture_and_its_text_say_the_same(checked):
    bundle = checked._repr_mimebundle_()
    assert set(bundle) == {"image/svg+xml", "text/plain"}
    words = "".join(ET.fromstring(bundle["image/svg+xml"]).itertext())
    for said in ("known", "secret", "trained model", "base model", "80%", "33%", "2 of 3 right", "0 of 1 right"):
        assert said in bundle["text/plain"], said
        assert said in words, said
    assert "  trained model |████████████████▒▒▒▒·····|  80%  2 of 3 right" in bundle["text/plain"].splitlines()


def test_the_bars_are_as_long_as_what_they_stand_for(checked):
    root = ET.fromstring(checked.figure().svg)
    boxes = [(box.get("fill"), float(box.get("width"))) for box in root.findall(".//{*}rect")]
    widths = [width for colour, width in boxes if colour.startswith("#d9822b")]
    assert widths == [240.0, 200.0, 100.0, 0.0], "F1 and exact match of the trained model, of 300"


def test_the_card_knows_how_many_there_are(asked, capsys):
    verify(CLIENT, "mine", sets={"known": KNOWN, "secret": SECRET})
    lines = capsys.readouterr().err.split("\r")
    assert lines[1].startswith("known ") and lines[1].rstrip().endswith("question 1/7")
    assert lines[-1].startswith("base model ") and lines[-1].rstrip().endswith("question 7/7")


def test_who_interrupts_does_not_wait_for_all_questions(monkeypatch):
    many = pd.DataFrame({"prompt": [str(n) for n in range(200)], "completion": "x"})
    count, lock = [0], threading.Lock()

    def ask(client, question, model, **options):
        with lock:
            count[0] += 1
        time.sleep(0.01)
        return "x"

    def interrupted(card, line):
        raise KeyboardInterrupt

    monkeypatch.setattr("openai_lesson.verifying.ask", ask)
    monkeypatch.setattr("openai_lesson.verifying.Card.show", interrupted)
    with pytest.raises(KeyboardInterrupt):
        verify(CLIENT, "mine", sets={"many": many})
    assert count[0] < 50, "all questions were asked"


@pytest.mark.parametrize(
    ("sets", "says"),
    [
        ({}, "no questions"),
        ({"mine": KNOWN.rename(columns={"prompt": "question"})}, '"mine" has no column "prompt"'),
        ({"mine": pd.DataFrame({"prompt": ["a?", "b?"], "completion": ["x", None]})}, '"completion" in row 2'),
        ({"mine": KNOWN.head(0)}, "no rows"),
    ],
)
def test_tables_that_cannot_be_asked(asked, sets, says):
    with pytest.raises(LessonError, match=says):
        verify(CLIENT, "mine", sets=sets)
    assert not asked, "questions were asked before the tables were looked at"


def test_steps_that_make_no_sense(asked):
    with pytest.raises(LessonError, match="or more"):
        verify(CLIENT, "mine", sets={"known": KNOWN}, every=0)


def test_with_the_service(client, trained):
    table = pd.DataFrame({"prompt": ["What is sun?", "What is moon?"], "completion": ["It is sun.", "nothing"]})
    checked = verify(client, trained.fine_tuned_model, sets={"known": table}, max_tokens=12)
    assert isinstance(checked, Verification)
    assert checked.scores().questions.tolist() == [2, 1]
    assert checked.answers.f1.between(0, 1).all() and checked.answers.answer.str.len().gt(0).all()
