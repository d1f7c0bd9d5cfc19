"""How much of what it was taught does a model say word for word?"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import openai
import pandas as pd

from openai_lesson.asking import ask
from openai_lesson.display import Card, bar

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
