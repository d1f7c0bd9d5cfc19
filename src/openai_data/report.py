"""The report on a table: what was found, what can be done, and the training file that comes of it."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from openai_data import rows, shape, tokens, writing
from openai_data.column import Column
from openai_data.errors import LessonError
from openai_data.finding import Finding, Form, Remedy
from openai_data.reading import read
from openai_data.table import COLUMNS, Table, from_frame
from openai_data.tokens import Lengths, Machine
from openai_figures import text_table

MINIMUM = 10
FEW = 100
_BLOCK = 10_000


@dataclass(frozen=True)
class Report:
    """What `analyse` found in a table.

    Args:
        table: the rows, without those that no example can be made of.
        read_rows: how many rows the file has.
        findings: what was seen, each with its remedy if there is one.
        kind: what the data seems to be for, in the words of 2022: ``"conditional generation"``,
            ``"classification"`` or ``"open-ended generation"``.
        ending: what all prompts end with; empty if they don't end alike.
        form: what the findings and the remedies are meant for: ``"completion"`` or ``"chat"``.
        lengths: the examples' lengths in tokens.
        machine: what training on this machine is like.
    """

    table: Table
    read_rows: int
    findings: list[Finding]
    kind: str
    ending: str
    form: Form
    lengths: Lengths
    machine: Machine

    @property
    def remedies(self) -> list[tuple[str, Remedy]]:
        """What is done if it is accepted, with the code of its finding, in the order in which it is done."""
        found = [(finding.code, finding.remedy) for finding in self.findings if finding.remedy]
        return [(code, remedy) for code, remedy in found if not remedy.necessary]

    def examples(self, *, declined: Collection[str] = ()) -> Examples:
        """The examples with all remedies applied but those declined, by the codes of their findings."""
        accepted = [remedy for code, remedy in self.remedies if code not in declined]
        dropped = {position for remedy in accepted for position in remedy.drop}
        rows = range(len(self.table))
        kept = [position for position in rows if position not in dropped] if dropped else rows
        if not kept:
            raise LessonError(f"No row of {self.table.name} is left to train on.")
        return Examples(self.table, kept, accepted)

    def write(
        self,
        path: str | Path,
        *,
        system: str | None = None,
        declined: Collection[str] = (),
        overwrite: bool = True,
    ) -> Path:
        """Write the examples as JSONL, whole or not at all.

        Args:
            path: the file.
            system: for ``"chat"``, a message that opens every conversation.
            declined: codes of findings whose remedy is not wanted.
            overwrite: whether an older file is replaced.

        Returns:
            The path.

        Raises:
            LessonError: nothing is left to write, the file exists, or the folder can't be written to.
        """
        path, examples = Path(path), self.examples(declined=declined)
        if path.exists() and not overwrite:
            raise LessonError(f"{path} exists already. Choose another name, or delete it.")
        writing.write_blocks(path, self.jsonl(examples, system))
        return path

    def jsonl(self, examples: Examples, system: str | None = None) -> Iterator[str]:
        """Examples as JSONL in the report's form, some thousand lines at a time."""
        for block in examples.blocks():
            yield writing.chat_lines(block, system) if self.form == "chat" else writing.completion_lines(block)

    def summary(self) -> pd.DataFrame:
        """The findings as a table: what was found, in how many rows, which ones, and what is done."""
        cells = [
            (
                f.what,
                len(f.rows) or "all",
                f.places(),
                f.remedy.words if f.remedy else "nothing; look at them yourself",
            )
            for f in self.findings
            if f.rows or f.remedy
        ]
        return pd.DataFrame(cells, columns=["found", "rows", "where", "what is done"])

    def as_dict(self) -> dict[str, Any]:
        """The report as plain data, for `json`."""
        return {
            "file": self.table.name,
            "format": self.table.format,
            "rows": self.read_rows,
            "task": self.kind,
            "form": self.form,
            "notes": [*self.table.notes, *self.table.changes],
            "findings": [
                {
                    "code": finding.code,
                    "what": finding.what,
                    "rows": list(finding.rows),
                    "remedy": finding.remedy.words if finding.remedy else None,
                    "necessary": bool(finding.remedy and finding.remedy.necessary),
                }
                for finding in self.findings
            ],
            "tokens": {
                "total": self.lengths.total,
                "counted_examples": len(self.lengths.counted),
                "exact": self.lengths.exact,
                "histogram": [
                    {"from": low, "to": high, "examples": count} for low, high, count in self.lengths.histogram()
                ],
            },
            "training_seconds_here": round(self.machine.seconds(self.lengths.total)),
            "training_dollars_at_openai": tokens.price(self.lengths.total),
            "prices_of": tokens.PRICES_OF,
        }

    def to_json(self) -> str:
        """The report as JSON text."""
        return json.dumps(self.as_dict(), ensure_ascii=False, indent=2)

    def _repr_html_(self) -> str:
        with pd.option_context("display.max_colwidth", None):
            return self.summary().to_html(index=False, justify="left")

    def __repr__(self) -> str:
        """The findings as a table of plain text."""
        return text_table(self.summary().astype(str), (40, 5, 18, 38))


@dataclass(frozen=True)
class Examples:
    """Prompts and completions after the remedies, made anew each time that one goes through them.

    Args:
        table: where they come from.
        positions: which rows of it, in which order.
        remedies: what is done to each.
    """

    table: Table
    positions: Sequence[int]
    remedies: list[Remedy]

    def __len__(self) -> int:
        """How many examples there are."""
        return len(self.positions)

    def at(self, indices: Sequence[int]) -> Examples:
        """Some of these examples."""
        return Examples(self.table, [self.positions[index] for index in indices], self.remedies)

    def blocks(self) -> Iterator[writing.Block]:
        """All of them, some thousand prompts and completions at a time."""
        for start in range(0, len(self.positions), _BLOCK):
            chosen = self.positions[start : start + _BLOCK]
            prompts = self._changed("prompt", [self.table.prompts[position] for position in chosen])
            yield prompts, self._changed("completion", [self.table.completions[position] for position in chosen])

    def _changed(self, column: str, texts: list[str]) -> list[str]:
        for remedy in self.remedies:
            if remedy.column == column and remedy.change:
                texts = list(map(remedy.change, texts))
        return texts

    def frame(self) -> pd.DataFrame:
        """The examples as a data frame with the columns ``prompt`` and ``completion``."""
        columns: tuple[list[str], list[str]] = [], []
        for block in self.blocks():
            for column, texts in zip(columns, block, strict=True):
                column.extend(texts)
        return pd.DataFrame(dict(zip(COLUMNS, columns, strict=True)), dtype="object")


def analyse(
    source: str | Path | pd.DataFrame,
    *,
    form: Form = "completion",
    prompt_column: str | None = None,
    completion_column: str | None = None,
) -> Report:
    """Look at questions and answers: what is wrong with them, and what should be done before training?

    Args:
        source: a file (see `prepare.read`), a web page's address, or a data frame with the columns ``prompt`` and
            ``completion``.
        form: ``"completion"`` for pairs of prompt and completion, ``"chat"`` for conversations.
        prompt_column: the name of the column with the questions (nothing: found out).
        completion_column: the same for the answers.

    Returns:
        The report. In a notebook it shows as a table; ``report.write(path)`` writes the training file.

    Raises:
        LessonError: it can't be read, or no example can be made of it.
    """
    if isinstance(source, pd.DataFrame):
        table = from_frame(source)
    else:
        table = read(source, prompt_column=prompt_column, completion_column=completion_column)
    count = len(table)
    necessary = list(rows.empty_answers(table, form))
    if necessary:
        empty = set(necessary[0].remedy.drop if necessary[0].remedy else ())
        table = table.keep([position not in empty for position in range(count)])
    if not len(table):
        raise LessonError(f"None of the {count} rows in {table.name} has an answer. Fill in the second column.")
    return _look(table, count, necessary, form)


def _look(table: Table, count: int, necessary: list[Finding], form: Form) -> Report:
    prompts, completions = Column(table.prompts), Column(table.completions)
    kind = shape.task(prompts, completions)
    if form == "chat" and kind == shape.OPEN_ENDED:
        raise LessonError(f"{table.name} has answers only. A conversation needs a question for each.")
    about = tokens.machine(len(table))
    lengths = tokens.measure(table, prompts, completions, about)
    findings = [
        *_few(count),
        *necessary,
        *rows.duplicates(table, prompts, completions),
        *(rows.long(table, prompts, completions) if kind != shape.OPEN_ENDED else ()),
        *shape.upper_case("prompt", prompts),
        *shape.upper_case("completion", completions),
        *(_shapes(prompts, completions, kind) if form == "completion" else ()),
        *rows.near_duplicates(table, prompts, completions),
        *rows.conflicts(table, prompts, completions),
        *rows.boilerplate(table, completions),
        *rows.private(table, prompts, completions),
        *tokens.over_the_window(table, lengths, about),
    ]
    return Report(table, count, findings, kind, prompts.suffix, form, lengths, about)


def _few(count: int) -> Iterator[Finding]:
    if count < MINIMUM:
        yield Finding("too_few", f"A fine-tune takes at least {MINIMUM} examples. Add some")
    elif count < FEW:
        yield Finding("few", "A few hundred examples are better: twice as many help about as much each time")


def _shapes(prompts: Column, completions: Column, kind: str) -> Iterator[Finding]:
    yield from shape.prompt_ending(prompts, kind)
    yield from shape.prompt_beginning(prompts)
    yield from shape.completion_beginning(completions)
    yield from shape.completion_ending(completions, kind)
    yield from shape.space_first(completions)
