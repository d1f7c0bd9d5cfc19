import pandas as pd
import pytest

import openai_lesson as lesson
from openai_lesson.exercises import EXERCISES


def test_three_states():
    assert repr(lesson.check("02.1", ...)).startswith("… Exercise 02.1: replace the three dots")
    assert repr(lesson.check("02.1", 286)) == "✔ Exercise 02.1: right."
    hint = EXERCISES["02.1"][1]
    assert repr(lesson.check("02.1", 278)) == f"✘ Exercise 02.1: {hint}" and "286" not in hint


def test_facts_come_with_the_answer():
    history = pd.DataFrame({"full_valid_loss": [3.0, 2.5, 4.0]}, index=[22, 44, 66])
    assert "✔" in repr(lesson.check("02.2", 44, history))
    assert "✘" in repr(lesson.check("02.2", 2, history))


@pytest.mark.parametrize("number", sorted(EXERCISES))
@pytest.mark.parametrize(
    "answer", [None, "?", -1, [], {}, object()], ids=["None", "text", "negative", "list", "dict", "object"]
)
def test_an_answer_of_another_kind_is_not_right(number, answer):
    if (number, answer) == ("00.2", "?"):
        return
    assert "✘" in repr(lesson.check(number, answer))


def test_there_is_no_such_exercise():
    with pytest.raises(lesson.LessonError, match=r"02\.1"):
        lesson.check("99.9", 1)
