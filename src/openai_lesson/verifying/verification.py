"""Does a trained model know, or does it only sound so? Three sets of questions tell.

The model is asked what it was trained on, the same in other words, and what it has never seen. The base model is
asked a part of each, for comparison. Each answer is compared with the expected one: character for character, as
`recall` does, and by the two measures of SQuAD (see `squad`).

Words are compared, not meanings. A right answer in words of one's own scores low here, and a wrong one that shares
"of", "and" and "is" with the right one does not score 0: the base model's bars show how much that is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import openai
import pandas as pd

from openai_lesson.asking import MAX_TOKENS, ask
from openai_lesson.connection import host
from openai_lesson.display import Card, Figure, bar, html_table, text_table
from openai_lesson.display.bars import Bar, bars
from openai_lesson.display.figure import BLUE, ORANGE
from openai_lesson.errors import LessonError
from openai_lesson.verifying import squad
from openai_lesson.verifying.exact import Recall
from openai_lesson.verifying.questions import Question, chosen, lesson_sets

_AT_ONCE = 4
_BASE_TOKENS = 60
"""As `compare` has it: the base model seldom ends by itself."""


@dataclass(frozen=True)
class Listing:
    """Answers to read: a table that a notebook shows whole, with no answer cut off."""

    table: pd.DataFrame

    def _repr_html_(self) -> str:
        return html_table(self.table)

    def __repr__(self) -> str:
        """The table as text, with the answers wrapped."""
        return text_table(self.table.assign(F1=self.table.F1.map("{:.2f}".format)), (14, 22, 28, 28, 4))


@dataclass(frozen=True)
class Verification:
    """What the models answered, and how right it is. A notebook shows it as bars.

    `answers` has a row for each answer: ``set``, ``number`` (the question's), ``question``, ``expected``,
    ``answer``, ``asked`` ("trained" or "base"), ``exact`` (right character for character), ``match`` (SQuAD's
    exact match) and ``f1`` (SQuAD's F1, from 0 to 1). Where a set says what to show instead of a question,
    ``question`` holds that.
    """

    answers: pd.DataFrame

    @property
    def recall(self) -> Recall:
        """The trained model's answers to the first set."""
        answers = self.answers
        first = answers[(answers.asked == "trained") & (answers.set == answers.set.iloc[0])]
        return Recall(first[["question", "expected", "answer", "exact"]])

    def scores(self) -> pd.DataFrame:
        """For each set and model: how many questions it was asked, and its exact match and F1 in per cent."""
        table = self._means().reset_index()
        return pd.DataFrame(
            {
                "set": table.set,
                "model": table.asked,
                "questions": table.questions,
                "exact match %": (100 * table.match).round(1),
                "F1 %": (100 * table.f1).round(1),
            }
        )

    def worst(self, n: int = 10, set: str | None = None, *, empty: bool = True) -> Listing:
        """The trained model's answers with the lowest F1, the lowest first.

        Args:
            n: how many.
            set: only of this set.
            empty: whether those count that the model ended before the first word.

        Raises:
            LessonError: there is no such set.
        """
        answers = self.answers[self.answers.asked == "trained"]
        if set is not None and set not in answers.set.unique():
            raise LessonError(f'There is no set "{set}". There are: {", ".join(answers.set.unique())}.')
        chosen = answers if set is None else answers[answers.set == set]
        chosen = chosen if empty else chosen[chosen.answer != ""]
        ordered = chosen.sort_values("f1", kind="stable").head(n).rename(columns={"f1": "F1"})
        return Listing(ordered[["set", "question", "expected", "answer", "F1"]])

    def figure(self) -> Figure:
        """A pair of bars for each set: the trained model's over the base model's."""
        groups: dict[str, list[Bar]] = {}
        for (title, asked), row in self._means().iterrows():
            count = f"{round(row.match * row.questions)} of {row.questions:.0f} right"
            colour = ORANGE if asked == "trained" else BLUE
            groups.setdefault(title, []).append(Bar(f"{asked} model", row.f1, row.match, colour, count))
        return bars(
            "Does it know, or does it only sound so?",
            groups,
            "answers that are right, word for word (exact match)",
            "words in common with the right answer (F1, in %)",
        )

    def _means(self) -> pd.DataFrame:
        """The number of questions and the mean of each measure, by set and model, in the order of `answers`."""
        grouped = self.answers.groupby(["set", "asked"], sort=False)
        return grouped.agg(questions=("f1", "size"), match=("match", "mean"), f1=("f1", "mean"))

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        return self.figure().bundle()

    def __repr__(self) -> str:
        """The bars as text."""
        return self.figure().text


def verify(
    client: openai.OpenAI,
    model: str,
    base: str | None = None,
    *,
    sets: Mapping[str, pd.DataFrame] | None = None,
    every: int = 1,
    base_every: int = 5,
    max_tokens: int = MAX_TOKENS,
) -> Verification:
    """Ask a trained model and the base model sets of questions, with temperature 0, and say how right they are.

    Args:
        client: from `connect`.
        model: the trained model.
        base: the base model (nothing: the one that suits the host).
        sets: tables with the columns ``prompt`` and ``completion``, by their names; what the model was trained on
            comes first. A column ``number`` counts the questions, and a column ``shown`` says what to show instead
            of them. Nothing: the lesson's three sets, see `lesson_sets`.
        every: 3 asks the trained model every third question of each set, and takes a third of the time.
        base_every: the same for the base model; 0 does not ask it. It is asked in a conversation, the form that
            its makers trained it in, and cut off after 60 tokens, as in `compare`.
        max_tokens: how long an answer of the trained model may become. More takes longer. Raise it if a right
            answer is longer.

    Returns:
        All answers with their measures.

    Raises:
        LessonError: a set lacks a column or has an empty cell, there is no set, or a number makes no sense.
    """
    if every < 1 or base_every < 0:
        raise LessonError("`every` must be 1 or more, and `base_every` 0 or more.")
    tables = lesson_sets() if sets is None else sets
    if not tables:
        raise LessonError('There are no questions to ask. Give a table a name:  sets={"my questions": table}')
    names = {"trained": model, "base": base or host(client).model}
    questions = list(chosen(tables, "trained", every))
    questions += chosen(tables, "base", base_every) if base_every else []

    def answer(question: Question) -> str:
        if question.asked == "base":
            return ask(client, question.prompt, names["base"], form="chat", max_tokens=_BASE_TOKENS)
        return ask(client, question.prompt, names["trained"], max_tokens=max_tokens)

    return Verification(_measured(questions, _asked(questions, answer), list(tables)))


def _asked(questions: list[Question], answer: Callable[[Question], str]) -> list[str]:
    """All answers, in the order of the questions, with a card that says how far it is."""
    card, given = Card(), list[str]()
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        try:
            for question, text in zip(questions, pool.map(answer, questions), strict=True):
                given.append(text)
                doing = question.set if question.asked == "trained" else "base model"
                card.show(f"{doing:<16} {bar(len(given) / len(questions))} question {len(given)}/{len(questions)}")
        finally:
            card.close()
    return given


def _measured(questions: list[Question], given: list[str], titles: list[str]) -> pd.DataFrame:
    """The answers with their measures, set by set, the trained model's before the base model's."""
    rows = [
        {
            "set": question.set,
            "number": question.number,
            "question": question.shown,
            "expected": question.expected,
            "answer": answer,
            "asked": question.asked,
            "exact": question.expected == answer,
            "match": squad.exact_match(question.expected, answer),
            "f1": squad.f1(question.expected, answer),
        }
        for question, answer in zip(questions, given, strict=True)
    ]
    # Sorting is stable: within a set the trained model stays first.
    return pd.DataFrame(sorted(rows, key=lambda row: titles.index(str(row["set"]))))
