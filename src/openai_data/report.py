"""The report on a table: what was found, what can be done, and the training file that comes of it."""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from openai_data import Form, findings, tokens
from openai_data.atomic_write import write_whole
from openai_data.column import Column
from openai_data.errors import LessonError
from openai_data.findings import Finding
from openai_data.reading import checked, read
from openai_data.table import Table, from_frame
from openai_data.tokens import Lengths, Machine

_BLOCK = 10_000
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


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
    def remedies(self) -> list[Finding]:
        """The findings about which something is done if it is accepted, in the order in which it is done."""
        return [finding for finding in self.findings if finding.remedy and not finding.necessary]

    def examples(self, *, declined: Collection[str] = ()) -> "Examples":
        """The examples with all remedies applied but those declined, by the codes of their findings."""
        accepted = [finding for finding in self.remedies if finding.code not in declined]
        dropped = {position for finding in accepted for position in finding.drop}
        kept = [position for position in range(len(self.table)) if position not in dropped]
        if not kept:
            raise LessonError(f"No row of {self.table.name} is left to train on.")
        return Examples(self.table, kept, accepted, self.form)

    def write(self, path: str | Path, *, system: str | None = None, declined: Collection[str] = ()) -> Path:
        """Write the examples as JSONL, whole or not at all. An older file is replaced. Returns the path.

        Args:
            path: the file.
            system: for ``"chat"``, a message that opens every conversation.
            declined: codes of findings whose remedy is not wanted.

        Raises:
            LessonError: nothing is left to write, or the folder can't be written to.
        """
        return self.examples(declined=declined).write(Path(path), system)

    def summary(self) -> pd.DataFrame:
        """The findings as a table: what was found, in how many rows, which ones, and what is done."""
        nothing = "nothing; look at them yourself"
        found = [finding for finding in self.findings if finding.rows or finding.remedy]
        cells = [(f.what, len(f.rows) or "all", f.places(), f.remedy or nothing) for f in found]
        return pd.DataFrame(cells, columns=["found", "rows", "where", "what is done"])

    def _repr_html_(self) -> str:
        return self._listing()._repr_html_()

    def __repr__(self) -> str:
        """The findings as a table of plain text."""
        return repr(self._listing())

    def _listing(self) -> Any:
        from openai_figures.tables import Listing  # only who looks at it needs it

        return Listing(self.summary(), (40, 5, 18, 38))


@dataclass(frozen=True)
class Examples:
    """Prompts and completions after the remedies, made anew each time that one goes through them.

    Args:
        table: where they come from.
        positions: which rows of it, in which order.
        remedies: the findings whose remedy is applied.
        form: what they are written as.
    """

    table: Table
    positions: Sequence[int]
    remedies: list[Finding]
    form: Form

    def __len__(self) -> int:
        """How many examples there are."""
        return len(self.positions)

    def write(self, path: Path, system: str | None = None) -> Path:
        """Write them as `Report.write` does."""
        blocks = (self._block(self.positions[start : start + _BLOCK]) for start in range(0, len(self), _BLOCK))
        as_lines = completion_lines if self.form == "completion" else partial(chat_lines, system=system)
        instead = "Name a file in another folder:  --to FOLDER/NAME.jsonl"
        write_whole(path, map(as_lines, blocks), instead=instead)
        return path

    def frame(self) -> pd.DataFrame:
        """The examples as a data frame with the columns ``prompt`` and ``completion``."""
        return self._block(self.positions)

    def _block(self, positions: Sequence[int]) -> pd.DataFrame:
        columns = {"prompt": self.table.prompts, "completion": self.table.completions}
        texts = {name: [column[position] for position in positions] for name, column in columns.items()}
        for finding in self.remedies:
            if finding.column:
                texts[finding.column] = list(map(finding.change, texts[finding.column]))
        return pd.DataFrame(texts, dtype="object")


def completion_lines(frame: pd.DataFrame) -> str:
    r"""Examples of 2022: ``{"prompt":"…","completion":"…"}``, a line each.

    The tool of 2022 let pandas write them, too, so the files agree byte for byte. pandas writes a slash as ``\/``,
    which means the same.
    """
    return frame.to_json(orient="records", lines=True, force_ascii=False)


def chat_lines(frame: pd.DataFrame, system: str | None = None) -> str:
    """Examples of today: a question and its answer as a conversation, opened by the system's message if given."""
    opening = [{"role": "system", "content": system}] if system else []
    turns = (
        [{"role": "user", "content": prompt.strip()}, {"role": "assistant", "content": completion.strip()}]
        for prompt, completion in zip(frame.prompt, frame.completion, strict=True)
    )
    return "".join([_encode({"messages": opening + messages}) + "\n" for messages in turns])


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
        table = checked(from_frame(source))
    else:
        table = read(source, prompt_column=prompt_column, completion_column=completion_column)
    count = len(table)
    found = [*findings.few(count), *findings.empty_answers(table, form)]
    empty = {position for finding in found for position in finding.drop}
    table = table.keep([position not in empty for position in range(count)]) if empty else table
    if not len(table):
        raise LessonError(f"None of the {count} rows in {table.name} has an answer. Fill in the second column.")
    prompts, completions = Column(table.prompts), Column(table.completions)
    kind = findings.task(prompts, completions)
    if form == "chat" and kind == findings.OPEN_ENDED:
        raise LessonError(f"{table.name} has answers only. A conversation needs a question for each.")
    about = tokens.machine(len(table))
    lengths = tokens.measure(table, prompts, completions, about)
    found += findings.in_texts(table, prompts, completions, kind, form)
    what = f"{{}} examples have more than {about.window:,} tokens. Training on this machine cuts them there"
    found += findings.in_rows(table, lengths.too_long, "over_the_window", what)
    return Report(table, count, found, kind, prompts.suffix, form, lengths, about)
