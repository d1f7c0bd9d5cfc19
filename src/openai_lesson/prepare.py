"""From a table of questions and answers to the JSONL file that a fine-tune takes.

`read_table` reads a CSV file, `check` looks at the table and says what it found and what should be done about
it, `write_jsonl` does that and writes one example per line: in the form of 2022,
``{"prompt": "…?", "completion": " …"}``, or in today's, a conversation of messages.

Left out: other file formats and the further analyses of the tool of 2022.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pandas as pd

from openai_lesson.errors import LessonError
from openai_lesson.files import write_whole

COLUMNS = ["prompt", "completion"]
MINIMUM = 10
Form = Literal["completion", "chat"]


@dataclass(frozen=True)
class Finding:
    """Something that `check` saw: what, in which rows (as in the file: the header is row 1), what to do."""

    what: str
    rows: tuple[int, ...]
    remedy: str


def read_table(path: str | Path) -> pd.DataFrame:
    """Read a CSV file with the columns ``prompt`` and ``completion``.

    Raises:
        LessonError: there is no such file, it is no CSV, or it lacks a column.
    """
    path = Path(path)
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, skip_blank_lines=False)
    except FileNotFoundError:
        raise LessonError(f"There is no file {path} in {Path.cwd()}. Write it with:  openai-lesson data") from None
    except IsADirectoryError:
        raise LessonError(f"{path} is a folder, not a CSV file.") from None
    except UnicodeDecodeError as error:
        message = f"{path} is not UTF-8 text (byte {error.start:,}). Save it again as 'CSV UTF-8'."
        raise LessonError(message) from None
    except (pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise LessonError(f"{path} can't be read as CSV: {error}") from None
    if missing := [column for column in COLUMNS if column not in table.columns]:
        found = ", ".join(map(str, table.columns))
        message = f"{path} has no column {' and no column '.join(missing)}. Its columns are: {found}. Rename them."
        raise LessonError(message)
    return table[COLUMNS]


def check(table: pd.DataFrame) -> list[Finding]:
    """Look at a table of prompts and completions. Returns what was found, worst first."""
    text = _stripped(table)
    empty = (text == "").any(axis=1)
    found = [
        (empty, "prompt or completion is empty", "the row is left out"),
        (text.duplicated() & ~empty, "the row repeats an earlier one", "the row is left out"),
        (
            text.prompt.duplicated(keep=False) & ~text.duplicated(keep=False) & ~empty,
            "the prompt has several completions",
            "nothing; a model learns a mixture",
        ),
        (
            ~table.completion.str.startswith(" ") & ~empty,
            "the completion does not begin with a space",
            "a space is put before it: most words are tokens that begin with one",
        ),
    ]
    findings = [Finding(what, _rows(mask), remedy) for mask, what, remedy in found if mask.any()]
    if len(usable(table)) < MINIMUM:
        what = f"only {len(usable(table))} usable rows"
        findings.insert(0, Finding(what, (), f"add some: a fine-tune takes at least {MINIMUM} examples"))
    return findings


def findings_table(findings: list[Finding]) -> pd.DataFrame:
    """The findings as a table that JupyterLab shows well."""
    rows = [
        (f.what, len(f.rows), ", ".join(map(str, f.rows[:5])) + (", …" if len(f.rows) > 5 else ""), f.remedy)
        for f in findings
    ]
    return pd.DataFrame(rows, columns=["found", "how many", "rows", "what is done"])


def usable(table: pd.DataFrame) -> pd.DataFrame:
    """The rows to train on: without empty and repeated ones, without spaces at the ends."""
    text = _stripped(table)
    return text[(text != "").all(axis=1)].drop_duplicates(ignore_index=True)


def write_jsonl(
    table: pd.DataFrame, path: str | Path, *, form: Form = "completion", system: str | None = None
) -> Path:
    """Write the usable rows of a table as JSONL, whole or not at all.

    Args:
        table: with the columns ``prompt`` and ``completion``.
        path: the file to write; an older one is replaced.
        form: ``"completion"`` for prompt/completion pairs, ``"chat"`` for messages.
        system: for ``"chat"``, a message that opens every conversation.

    Returns:
        The path.

    Raises:
        LessonError: there are fewer than ten usable rows, or the folder can't be written to.
    """
    path, rows = Path(path), usable(table)
    if len(rows) < MINIMUM:
        raise LessonError(
            f"Only {len(rows)} usable rows; a fine-tune takes at least {MINIMUM} examples. Add some."
        )
    examples = (_example(row.prompt, row.completion, form, system) for row in rows.itertuples())
    lines = (json.dumps(example, ensure_ascii=False, separators=(",", ":")) + "\n" for example in examples)
    write_whole(path, "".join(lines))
    return path


def _example(prompt: str, completion: str, form: Form, system: str | None) -> dict[str, object]:
    if form == "completion":
        return {"prompt": prompt, "completion": f" {completion}"}
    opening = [{"role": "system", "content": system}] if system else []
    said = [{"role": "user", "content": prompt}, {"role": "assistant", "content": completion}]
    return {"messages": opening + said}


def _stripped(table: pd.DataFrame) -> pd.DataFrame:
    return table[COLUMNS].apply(lambda column: column.str.strip())


def _rows(mask: pd.Series) -> tuple[int, ...]:
    return tuple(int(number) + 2 for number in mask.to_numpy().nonzero()[0])
