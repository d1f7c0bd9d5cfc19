"""The exercises of the notebooks: what is asked, when an answer is right, and a hint when it is not.

A cell of an exercise holds three dots to replace, and ends with ``lesson.check("01.1", answer)``. The check says
that the exercise is open, that the answer is right, or gives a hint. It never gives the answer away; the folded
cell below does.
"""

import re
from collections.abc import Callable
from html import escape
from typing import Any

import openai
import pandas as pd

import openai_data as prepare
from openai_data.errors import LessonError
from openai_figures.figure import Figure
from openai_lesson import catechism


def check(number: str, answer: Any, *facts: Any) -> Figure:
    """Look at the answer to an exercise.

    Args:
        number: the exercise's number, such as ``"01.1"``.
        answer: the learner's answer; three dots (``...``) as long as there is none.
        facts: what the rule needs besides, as the exercise's cell hands it over.

    Returns:
        Whether it is open, right, or not yet right, with a hint. A notebook shows it as a line.

    Raises:
        LessonError: there is no such exercise.
    """
    if number not in EXERCISES:
        raise LessonError(f"There is no exercise {number!r}. There are: {', '.join(sorted(EXERCISES))}.")
    rule, hint = EXERCISES[number]
    if answer is ... or (isinstance(answer, tuple) and any(part is ... for part in answer)):
        return _said("…", number, "replace the three dots, and run the cell again.")
    try:
        right = bool(rule(answer, *facts))
    except (TypeError, ValueError, AttributeError, LookupError, LessonError, openai.OpenAIError):
        # An answer of another kind: a text in place of a number, a file that is not there.
        right = False
    if right:
        return _said("✔", number, "right.")
    if isinstance(answer, str) and answer.strip().replace(".", "", 1).isdigit():
        return _said("✘", number, "give a number, without quotation marks.")
    return _said("✘", number, hint)


def _said(sign: str, number: str, words: str) -> Figure:
    html = f"<p>{sign} <b>Exercise {number}</b>: {escape(words)}</p>"
    return Figure(f"{sign} Exercise {number}: {words}", html=html)


def _word_for_word(answer: Any) -> bool:
    larger = catechism.load("larger")
    question = "What are the punishments of sin in the world to come?"
    return answer.strip() == larger.completion[larger.prompt == question].item().strip()


def _ready_to_train(answer: Any) -> bool:
    report = prepare.analyse(answer)
    return report.read_rows >= 10 and len(report.examples()) == report.read_rows


def _recited(answer: Any, verification: Any, taught: pd.DataFrame) -> bool:
    answers = verification.answers
    unseen = answers[(answers.set == "never seen") & (answers.asked == "trained")]
    return int(answer) == int(unseen.answer.isin(taught.completion.str.strip()).sum())


def _without_us(answer: Any, job: Any) -> bool:
    """The job is asked for anew: a text that looks like a job is none."""
    found = openai.OpenAI().fine_tuning.jobs.retrieve(job.id)
    return found.status == "succeeded" and answer.strip() == "The map room is on the fourth floor."


def _is(*right: Any) -> Callable[[Any], bool]:
    return lambda answer: answer in right


EXERCISES: dict[str, tuple[Callable[..., bool], str]] = {
    "00.1": (_is("length"), "it is one word. Print answer.choices[0].finish_reason, and copy the word."),
    "00.2": (
        lambda answer: len(answer.strip()) > 5 and any(letter.isalpha() for letter in answer),
        "it should be the text of the answer: answer.choices[0].message.content.",
    ),
    "01.1": (
        lambda answer: answer == catechism.load().prompt[catechism.load().completion.str.len().idxmax()],
        "it should be the question, a text. table.prompt[3] is the fourth question.",
    ),
    "01.2": (_is(17), "the line below the coloured example says how many tokens count."),
    "01.3": (_is(3), "one row is there twice, and one row has nothing to learn."),
    "02.1": (_is(286), "107 : 5 is not whole. The last step of each epoch has only two examples."),
    "02.2": (
        lambda answer, history: answer == history["full_valid_loss"].idxmin(),
        "find the smallest full_valid_loss, and give the step at the left of that row.",
    ),
    "03.1": (_is(18), "with one token less, the full stop is missing; with one more, nothing is gained."),
    "03.2": (_is(1), "that is not it for temperature 0. Put the five answers into a set, and count."),
    "04.1": (lambda answer: abs(answer - 2 / 3) < 0.01, "two words are in common: God, is. So precision is 2/3."),
    "04.2": (_recited, "compare the answers in the set 'never seen' with the column completion of `taught`."),
    "05.1": (
        _ready_to_train,
        "name a file with ten rows, none empty, none twice. Look at lesson.prepare.analyse(my_file).",
    ),
    "05.2": (_word_for_word, "that is not the answer of the Larger Catechism, word for word. More epochs?"),
    "05.3": (
        _without_us,
        "look at job.status, and at your answer: it should be a text that names the floor of the map room.",
    ),
    "06.1": (
        lambda answer: bool(re.fullmatch(r"#SBATCH\s+(--cpus-per-task[= ]\s*8|-c\s*8)", answer.strip())),
        "the line begins with #SBATCH. Look at the line of the script that asks for four cores.",
    ),
    "06.2": (
        _is("1:18:00", "01:18:00"),
        "how long do 13 epochs take? Twice that, as hours:minutes:seconds, only what stands after --time=. Slurm "
        "reads two numbers as minutes and seconds.",
    ),
    "06.3": (_is(502, "502"), "which reason in brackets does not go away by waiting? The table above has it."),
    "07.1": (lambda answer: abs(answer - 3) < 0.005, "tokens times epochs times the price, divided by a million."),
    "07.2": (_is("c", "C"), "look the code up in the table 'When OpenAI refuses'."),
}
"""By number: a rule that says whether an answer is right, and a hint for when it is not."""
