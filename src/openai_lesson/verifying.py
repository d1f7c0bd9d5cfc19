"""Does a trained model know, or does it only sound so? Three sets of questions tell.

The model is asked what it was trained on, the same in other words, and what it has never seen. The base model is
asked a part of each, for comparison. Each answer is compared with the expected one: character for character, and
by the two measures of SQuAD (see `squad`).

Words are compared, not meanings. A right answer in words of one's own scores low here, and a wrong one that shares
"of", "and" and "is" with the right one does not score 0: the base model's bars show how much that is.
"""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import openai
import pandas as pd

from openai_data.errors import LessonError
from openai_figures.charts import Bar, bars
from openai_figures.figure import BLUE, ORANGE, Figure
from openai_figures.progress import Card, bar
from openai_figures.tables import Listing
from openai_lesson import catechism, squad
from openai_lesson.asking import BASE_TOKENS, MAX_TOKENS, ask
from openai_lesson.connection import host

_AT_ONCE = 4
_BASE_EVERY = 5  # the base model knows nothing of this, and that can be seen with fewer questions


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
    def recall(self) -> str:
        """The line that the lesson ends with: how many answers of the first set are right, word for word."""
        first = self.answers[(self.answers.asked == "trained") & (self.answers.set == self.answers.set.iloc[0])]
        return f"exact recall: {first.exact.sum()}/{len(first)}"

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
        return Listing(ordered[["set", "question", "expected", "answer", "F1"]], (14, 22, 28, 28, 4))

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
        return self.figure()._repr_mimebundle_()

    def __repr__(self) -> str:
        """The bars as text."""
        return self.figure().text


def verify(
    client: openai.OpenAI,
    model: str,
    *,
    sets: Mapping[str, pd.DataFrame] | None = None,
    every: int = 1,
    max_tokens: int = MAX_TOKENS,
) -> Verification:
    """Ask a trained model and the base model sets of questions, with temperature 0, and say how right they are.

    Args:
        client: from `connect`.
        model: the trained model.
        sets: tables with the columns ``prompt`` and ``completion``, by their names; what the model was trained on
            comes first. A column ``number`` counts the questions, and a column ``shown`` says what to show instead
            of them. Nothing: the Shorter Catechism, the same in modern English, and what only the Larger asks.
        every: 3 asks the trained model every third question of each set, and takes a third of the time. The base
            model gets every fifth of these.
        max_tokens: how long an answer of the trained model may become. More takes longer. Raise it if a right
            answer is longer.

    Returns:
        All answers with their measures.

    Raises:
        LessonError: a set lacks a column or has an empty cell, there is no set, or a number makes no sense.
    """
    if every < 1:
        raise LessonError("`every` must be 1 or more: 1 asks all questions.")
    if sets is None:
        sets = {
            "trained on": catechism.load(),
            "in other words": catechism.paraphrased(),
            "never seen": catechism.unseen(),
        }
    if not sets:
        raise LessonError('There are no questions to ask. Give a table a name:  sets={"my questions": table}')
    base = host(client).model
    turns = (("trained", every), ("base", every * _BASE_EVERY))
    chosen = [_chosen(title, table, asked, step) for asked, step in turns for title, table in sets.items()]
    questions = pd.concat(chosen, ignore_index=True)

    def answer(prompt: str, asked: str) -> str:
        if asked == "base":
            return ask(client, prompt, base, max_tokens=BASE_TOKENS)
        return ask(client, prompt, model, max_tokens=max_tokens)

    card, given = Card(), list[str]()
    titles = questions.set.where(questions.asked == "trained", "base model")
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        try:
            # The answers have no name: so an interruption drops them, and what was not asked yet is not asked.
            for title, text in zip(titles, pool.map(answer, questions.prompt, questions.asked), strict=True):
                given.append(text)
                card.show(f"{title:<16} {bar(len(given) / len(questions))} question {len(given)}/{len(questions)}")
        finally:
            card.close()
    return Verification(_measured(questions, given, list(sets)))


def _chosen(title: str, table: pd.DataFrame, asked: str, every: int) -> pd.DataFrame:
    """Every so many questions of a table, the first one included."""
    _check(title, table)
    prompts, expected = table.prompt.astype(str), table.completion.astype(str).str.strip()
    columns = {
        "set": title,
        "number": table.get("number", range(1, len(table) + 1)),
        "prompt": prompts,
        "question": table.get("shown", prompts).astype(str),
        "expected": expected,
        "asked": asked,
    }
    return pd.DataFrame(columns, index=table.index)[::every]


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


def _measured(questions: pd.DataFrame, given: list[str], titles: list[str]) -> pd.DataFrame:
    """The answers with their measures, set by set, the trained model's before the base model's."""
    table = questions.drop(columns="prompt")
    table.insert(table.columns.get_loc("expected") + 1, "answer", given)
    pairs = list(zip(table.expected, table.answer, strict=True))
    table["exact"] = [expected == answer for expected, answer in pairs]
    table["match"] = [squad.exact_match(expected, answer) for expected, answer in pairs]
    table["f1"] = [squad.f1(expected, answer) for expected, answer in pairs]
    # Sorting is stable: within a set the trained model stays first.
    return table.sort_values("set", key=lambda set: set.map(titles.index), kind="stable", ignore_index=True)
