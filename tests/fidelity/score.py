"""The score: of all fields that came, or should have come, how many are as a source says."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from differences import DIFFERENCES, Difference
from recorder import ELSEWHERE, Exchange
from shapes import fields


@dataclass
class Tally:
    """Fields counted, and those that are wrong."""

    right: int = 0
    all: int = 0
    problems: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def add(self, other: Tally) -> None:
        self.right += other.right
        self.all += other.all

    def __str__(self) -> str:
        return f"{self.right}/{self.all} {100 * self.right / self.all:.4g} %" if self.all else "-"


@dataclass
class Score:
    """The score against one source, by endpoint."""

    source: str
    tallies: dict[str, Tally] = field(default_factory=dict)
    used: set[Difference] = field(default_factory=set)

    @property
    def whole(self) -> Tally:
        whole = Tally()
        for tally in self.tallies.values():
            whole.add(tally)
        return whole

    @property
    def problems(self) -> list[str]:
        """One line for each thing that is wrong, with how often it came."""
        return [
            f"{row}: {problem} ({count} times, {self.source})"
            for row, tally in self.tallies.items()
            for problem, count in tally.problems.items()
        ]

    def _allowed(self, row: str, kind: str, path: str, problem: str) -> bool:
        for difference in DIFFERENCES:
            if difference.allows(self.source, f"{row} {kind}", path, problem):
                self.used.add(difference)
                return True
        return False

    def count(self, exchange: Exchange, schema: Any, root: Any) -> None:
        """Count the fields of one body."""
        row = "any address" if exchange.path == ELSEWHERE else f"{exchange.method} {exchange.path}"
        tally = self.tallies.setdefault(row, Tally())
        for one in fields(exchange.body, schema, root):
            if one.problem is None and re.search(r"(^|\])$", one.path):
                continue  # the whole and a list's items are no fields of their own
            tally.all += 1
            if one.problem is None or self._allowed(row, exchange.kind, one.path, one.problem):
                tally.right += 1
            else:
                tally.problems[f"{exchange.kind}{one.path} {one.problem}"] += 1


def score(exchanges: Sequence[Exchange], source: Any) -> Score:
    """The score of all that came back, against the client or the description."""
    result = Score(source.name)
    for exchange in exchanges:
        if found := source.schema(exchange.method, exchange.path, exchange.kind):
            result.count(exchange, *found)
    return result


def table(scores: Sequence[Score], rows: Iterable[str]) -> list[str]:
    """The scores as lines of text."""
    widths = (56, *(20 for _ in scores))
    lines = [("endpoint", *(score.source for score in scores))]
    lines += [(row, *(str(score.tallies.get(row, Tally())) for score in scores)) for row in rows]
    lines += [("all", *(str(score.whole) for score in scores))]
    return [
        "".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    ]
