"""Findings about single rows: empty, repeated, too long, contradictory, private."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

import numpy as np
import pandas as pd

from openai_data.column import Column, plain
from openai_data.finding import Finding, Form, Remedy
from openai_data.table import Table

LONG = 10_000
"""Characters in prompt and completion together above which the tool of 2022 called an example very long."""
_EMPTY_WORDS = frozenset(
    plain(text)
    for text in "|n/a|none|null|nan|nil|todo|tbd|tba|to be done|not available|not applicable|no answer|unknown|"
    "see above|same as above|answer|completion|lorem ipsum|xxx|i don't know|i do not know|no comment".split("|")
)
_PHRASES = ("s an AI language model", "s an ai language model", "s a large language model", "orem ipsum dolor")
_SIGNS_OF_KEYS = ("sk-", "AKIA", "ghp_", "github_pat_", "xoxb-", "xoxp-", "AIza", "hf_", "PRIVATE KEY-----")
_KEY = re.compile(
    r"\bsk-[A-Za-z0-9_-]{16,}|\bAKIA[A-Z0-9]{16}\b|\bghp_[A-Za-z0-9]{30,}|\bgithub_pat_\w{30,}|\bxox[bp]-[\w-]{20,}"
    r"|\bAIza[\w-]{30,}|\bhf_[A-Za-z0-9]{30,}|-----BEGIN [A-Z ]*PRIVATE KEY-----"
)
_MAIL = re.compile(r"[\w.+-]@[\w-]{1,63}\.[\w-]{2}")  # that there is one, not all of it: else it would take long


def empty_answers(table: Table, form: Form) -> Iterator[Finding]:
    """Rows without a completion: nothing can be learned from them.

    In a conversation, one of spaces is none: messages are written without the spaces around them.
    """
    texts = table.completions
    empty = [position for position, text in enumerate(texts) if not text or (form == "chat" and text.isspace())]
    if empty:
        remedy = Remedy(f"Remove {len(empty)} rows with empty completions", drop=empty, necessary=True)
        yield Finding(
            "empty_completion",
            "`completion` column/key should not contain empty strings",
            _numbers(table, empty),
            remedy,
        )


def duplicates(table: Table, prompts: Column, completions: Column) -> Iterator[Finding]:
    """Rows that repeat an earlier one word for word."""
    found = _repeated(prompts.hashes, completions.hashes).nonzero()[0].tolist()
    if found:
        remedy = Remedy(f"Remove {len(found)} duplicate rows", drop=found)
        what = f"There are {len(found)} duplicated prompt-completion sets"
        yield Finding("duplicate_rows", what, _numbers(table, found), remedy)


def long(table: Table, prompts: Column, completions: Column) -> Iterator[Finding]:
    """Very long rows."""
    found = (prompts.lengths + completions.lengths > LONG).nonzero()[0].tolist()
    if found:
        remedy = Remedy(f"Remove {len(found)} long examples", drop=found)
        what = f"There are {len(found)} examples that are very long (more than {LONG:,} characters)"
        yield Finding("long_examples", what, _numbers(table, found), remedy)


def near_duplicates(table: Table, prompts: Column, completions: Column) -> Iterator[Finding]:
    """Rows that repeat an earlier one but for case, spaces and punctuation."""
    alike = _repeated(prompts.plain_hashes, completions.plain_hashes)
    if not alike.any():
        return
    found = (alike & ~_repeated(prompts.hashes, completions.hashes)).nonzero()[0].tolist()
    if found:
        what = f"{len(found)} rows repeat an earlier one but for capital letters, spaces or punctuation"
        yield Finding("near_duplicates", what, _numbers(table, found))


def conflicts(table: Table, prompts: Column, completions: Column) -> Iterator[Finding]:
    """One question with several answers: a model learns a mixture of them."""
    questions, answers = prompts.plain_hashes, completions.plain_hashes
    repeated = pd.Series(questions).duplicated(keep=False).to_numpy().nonzero()[0]
    if not len(repeated) or not prompts.lengths.any():
        return
    frame = pd.DataFrame({"question": questions[repeated], "answer": answers[repeated], "row": repeated})
    several = frame.groupby("question")["answer"].transform("nunique") > 1
    found = frame.row[several].tolist()
    if found:
        count = frame.question[several].nunique()
        what = f"{count} question{'s have' if count > 1 else ' has'} several different answers"
        yield Finding("conflicting_answers", what, _numbers(table, found))


def boilerplate(table: Table, completions: Column) -> Iterator[Finding]:
    """Answers that say nothing."""
    candidates = (completions.lengths <= 24).nonzero()[0].tolist()
    texts = table.completions
    found = [position for position in candidates if plain(texts[position]) in _EMPTY_WORDS and texts[position]]
    short = set(found)
    found += [position for position in completions.rows_holding(_PHRASES) if position not in short]
    if found:
        what = f"{len(found)} answers say nothing ({_shown(texts[found[0]])!r} …). A model learns that too"
        yield Finding("boilerplate_answers", what, _numbers(table, sorted(found)))


def private(table: Table, prompts: Column, completions: Column) -> Iterator[Finding]:
    """Texts that look like keys or e-mail addresses. What a model has learned, it may tell."""
    for code, name, pattern, signs in (
        ("keys", "what looks like a secret key", _KEY, _SIGNS_OF_KEYS),
        ("mail_addresses", "an e-mail address", _MAIL, ("@",)),
    ):
        found = {
            position
            for column in (prompts, completions)
            for position in column.rows_holding(signs)
            if pattern.search(column.texts[position])
        }
        if found:
            what = f"{len(found)} rows hold {name}. What a model has learned, it may tell to anyone"
            yield Finding(code, what, _numbers(table, sorted(found)))


def _repeated(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Which pairs of numbers stand further up already.

    Two numbers of 64 bits are made one; in a million rows, two different pairs share it once in 37 million times.
    """
    with np.errstate(over="ignore"):
        return pd.Series(first * np.int64(1_000_003) ^ second).duplicated().to_numpy()


def _numbers(table: Table, positions: Iterable[int]) -> list[int]:
    return [table.numbers[position] for position in positions]


def _shown(text: str) -> str:
    return text.strip()[:30]
