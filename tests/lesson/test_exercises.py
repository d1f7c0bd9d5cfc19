import pandas as pd
import pytest

import openai_lesson as lesson
from openai_lesson.exercises import EXERCISES


def test_three_states():
    assert lesson.check("02.1", ...).state == "open"
    assert lesson.check("02.1", 286).state == "right"
    verdict = lesson.check("02.1", 278)
    assert verdict.state == "not yet" and EXERCISES["02.1"].hint in repr(verdict)
    assert "286" not in EXERCISES["02.1"].hint


def test_facts_come_with_the_answer():
    history = pd.DataFrame({"epoch": [1, 2, 3], "validation loss": [3.0, 2.5, 4.0]})
    assert lesson.check("02.2", 2, history).state == "right"
    assert lesson.check("02.2", 3, history).state == "not yet"


@pytest.mark.parametrize("number", sorted(EXERCISES))
@pytest.mark.parametrize(
    "answer", [None, "?", -1, [], {}, object()], ids=["None", "text", "negative", "list", "dict", "object"]
)
def test_an_answer_of_another_kind_is_not_right(number, answer):
    if (number, answer) == ("00.2", "?"):
        return
    assert lesson.check(number, answer).state == "not yet"


def test_there_is_no_such_exercise():
    with pytest.raises(lesson.LessonError, match=r"02\.1"):
        lesson.check("99.9", 1)
