"""Does a trained model know, or does it only sound so? Three sets of questions tell.

The model is asked what it was trained on, the same in other words, and what it has never seen. The base model is
asked a part of each, for comparison. Each answer is compared with the expected one: character for character, as
`recall` does, and by the two measures of SQuAD (see `squad`).

Words are compared, not meanings. A right answer in words of one's own scores low here, and a wrong one that shares
"of", "and" and "is" with the right one does not score 0: the base model's bars show how much that is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

import openai
import pandas as pd

from openai_data.errors import LessonError
from openai_figures.charts import Bar, bars
from openai_figures.figure import BLUE, ORANGE, Figure
from openai_figures.progress import Card, bar
from openai_figures.tables import html_table, text_table
from openai_lesson import catechism, squad
from openai_lesson.asking import MAX_TOKENS, ask
from openai_lesson.connection import host

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


Asked = Literal["trained", "base"]


@dataclass(frozen=True)
class Question:
    """A question of a set, and which model is to answer it.

    `shown` stands for the question in everything that is shown. It is the question itself, unless its table has a
    column of that name.
    """

    set: str
    number: int
    prompt: str
    expected: str
    shown: str
    asked: Asked


def lesson_sets() -> dict[str, pd.DataFrame]:
    """The lesson's sets: the Shorter Catechism, its questions in modern English, and what only the Larger asks."""
    return {
        "trained on": catechism.load(),
        "in other words": catechism.paraphrased(),
        "never seen": catechism.unseen(),
    }


def chosen(tables: Mapping[str, pd.DataFrame], asked: Asked, every: int) -> Iterator[Question]:
    """Every so many questions of each table, the first one included.

    Args:
        tables: with the columns ``prompt`` and ``completion``, by their names. ``number`` (if not: counted from
            1) and ``shown`` may be there too.
        asked: which model is to answer.
        every: 1 takes all.

    Raises:
        LessonError: a table lacks a column, has an empty cell, or has no rows.
    """
    for title, table in tables.items():
        _check(title, table)
        numbers = table.number if "number" in table else range(1, len(table) + 1)
        shown = table.shown if "shown" in table else table.prompt
        rows = zip(numbers, table.prompt, table.completion, shown, strict=True)
        for number, prompt, completion, instead in list(rows)[::every]:
            yield Question(title, number, str(prompt), str(completion).strip(), str(instead), asked)


def _check(title: str, table: pd.DataFrame) -> None:
    """Raise a `LessonError` if a table can't be asked."""
    for column in ("prompt", "completion"):
        if column not in table:
            raise LessonError(
                f'The table "{title}" has no column "{column}". Rename the one that is meant:\n'
                f'    table = table.rename(columns={{"its name": "{column}"}})'
            )
        if table[column].isna().any():
            row = int(table[column].isna().to_numpy().argmax()) + 1
            raise LessonError(
                f'The table "{title}" has an empty cell: "{column}" in row {row}. Leave out such rows:\n'
                f'    table = table.dropna(subset=["prompt", "completion"])'
            )
    if table.empty:
        raise LessonError(f'The table "{title}" has no rows, so there is nothing to ask.')


_AT_ONCE = 4


@dataclass(frozen=True)
class Recall:
    """The answers to a table's questions: ``question``, ``expected``, ``answer``, and whether it is ``exact``."""

    answers: pd.DataFrame

    @property
    def exact(self) -> int:
        """How many answers are right word for word."""
        return int(self.answers.exact.sum())

    @property
    def misses(self) -> pd.DataFrame:
        """The answers that are not."""
        return self.answers[~self.answers.exact].drop(columns="exact")

    def __str__(self) -> str:
        """The line that the lesson ends with."""
        return f"exact recall: {self.exact}/{len(self.answers)}"


def recall(client: openai.OpenAI, table: pd.DataFrame, model: str) -> Recall:
    """Ask every question of a table, with temperature 0, and compare the answers with the table's.

    Args:
        client: from `connect`.
        table: with the columns ``prompt`` and ``completion``.
        model: the trained model.

    Returns:
        All answers. An answer is exact if it is the expected text, character for character, spaces at the ends
        aside.
    """
    card, given = Card(), list[str]()
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for answer in pool.map(lambda question: ask(client, question, model), table.prompt):
            given.append(answer)
            card.show(f"{'asking':<16} {bar(len(given) / len(table))} question {len(given)}/{len(table)}")
    card.close()
    answered = pd.DataFrame({"question": table.prompt, "expected": table.completion.str.strip(), "answer": given})
    answered["exact"] = answered.expected == answered.answer
    return Recall(answered)
