"""Findings about how all texts of a column are written: case, beginnings, endings, separators.

In 2022 a model was taught by an ending where a prompt stops and where a completion stops, and a completion began
with a space because most tokens begin with one. The tool of that time looked for all of this; so do these, with
the same remedies. A remedy that is taken leaves the very bytes that the tool of 2022 left.
"""

from __future__ import annotations

from collections.abc import Iterator

from openai_data.column import Column
from openai_data.errors import LessonError
from openai_data.finding import Finding, Remedy

OPEN_ENDED, CLASSIFICATION, CONDITIONAL = "open-ended generation", "classification", "conditional generation"

_CLASS_SIZE = 3  # examples per class, on average, from which on it looks like a classification
_LONG_SUFFIX = 10
_LONGEST_SHOWN = 500
_LONG_PROMPT_PREFIX = 12
_COMPLETION_PREFIX = 5
_SEPARATORS = (" ->", "\n\n###\n\n", "\n\n===\n\n", "\n\n---\n\n", "\n\n===>\n\n", "\n\n--->\n\n")
_LAST_SEPARATOR = "\n\n### =>\n\n"
_ENDINGS = ("\n", ".", " END", "***", "+++", "&&&", "$$$", "@@@", "%%%")
_LAST_ENDING = " [END]"


def task(prompts: Column, completions: Column) -> str:
    """What the data seems to be for: one of the three tasks that the tool of 2022 knew."""
    if not prompts.lengths.any():
        return OPEN_ENDED
    return CLASSIFICATION if completions.different < len(completions.texts) / _CLASS_SIZE else CONDITIONAL


def upper_case(name: str, column: Column) -> Iterator[Finding]:
    """More than a third of the letters are upper-case."""
    upper, lower = column.letters
    if upper * 2 > lower:
        what = (
            f"More than a third of your `{name}` column/key is uppercase. A model knows ordinary writing best. "
            "We recommend to lower case the data if that makes sense here"
        )
        remedy = Remedy(f"Lowercase all your data in column/key `{name}`", column=name, change=str.lower)
        yield Finding(f"upper_case_{name}", what, remedy=remedy)


def prompt_ending(prompts: Column, kind: str) -> Iterator[Finding]:
    """Whether all prompts end alike, so that a model sees where its completion begins.

    Raises:
        LessonError: all prompts are the same.
    """
    if kind == OPEN_ENDED:
        return
    if prompts.identical:
        raise LessonError(
            f"All prompts are identical: `{shown(prompts.texts[0])}`. Leave them empty if there is nothing to "
            "ask, or make them different."
        )
    candidates = _SEPARATORS[1:] if prompts.holding("\n") else _SEPARATORS
    wanted = _unused(prompts, candidates, _LAST_SEPARATOR)
    missing = (
        "Your data does not contain a common separator at the end of your prompts. One makes it clear to the "
        "fine-tuned model where the completion begins. Ask the model with the same separator later"
    )
    words = f"Add a suffix separator `{shown(wanted)}` to all prompts"
    yield from _ending("prompt", prompts, wanted, "prompt_separator", missing, words)


def prompt_beginning(prompts: Column) -> Iterator[Finding]:
    """A long beginning that all prompts share teaches nothing."""
    shared = prompts.prefix
    if not shared or prompts.identical:
        return
    what = f"All prompts start with prefix `{shown(shared)}`"
    if len(shared) <= _LONG_PROMPT_PREFIX:
        yield Finding("prompt_beginning", what)
        return
    what += (
        ". A fine-tuned model needs no instruction that is always the same; it learns the task from the examples"
    )
    remedy = Remedy(
        f"Remove prefix `{shown(shared)}` from all prompts",
        column="prompt",
        change=lambda text: text[len(shared) :],
    )
    yield Finding("prompt_beginning", what, remedy=remedy)


def completion_beginning(completions: Column) -> Iterator[Finding]:
    """A beginning that all completions share."""
    shared = completions.prefix
    if len(shared) < _COMPLETION_PREFIX or completions.identical:
        return
    kept = " " if shared[0] == " " else ""
    what = f"All completions start with prefix `{shown(shared)}`. Mostly only what differs should be learned"
    if min(completions.lengths) == len(shared):  # nothing would be left of one
        yield Finding("completion_beginning", what)
        return
    remedy = Remedy(
        f"Remove prefix `{shown(shared)}` from all completions",
        column="completion",
        change=lambda text: kept + text[len(shared) :],
    )
    yield Finding("completion_beginning", what, remedy=remedy)


def completion_ending(completions: Column, kind: str) -> Iterator[Finding]:
    """Whether all completions end alike.

    Raises:
        LessonError: all completions are the same.
    """
    if kind != CONDITIONAL:
        return
    if completions.identical:
        raise LessonError(
            f"All completions are identical: `{shown(completions.texts[0])}`. A model would only repeat that. "
            "Make them different."
        )
    wanted = _unused(completions, _ENDINGS, _LAST_ENDING)
    missing = (
        "Your data does not contain a common ending at the end of your completions. At hosts that cut an answer "
        "at a `stop` sign, it shows where to cut"
    )
    words = f"Add a suffix ending `{shown(wanted)}` to all completions"
    yield from _ending("completion", completions, wanted, "completion_end", missing, words)


def _ending(name: str, column: Column, wanted: str, code: str, missing: str, words: str) -> Iterator[Finding]:
    """What is to be said of the texts' common ending, or the remedy if there is none."""
    if not (shared := column.suffix):
        remedy = Remedy(words, column=name, change=lambda text: text + wanted, adds=True)
        yield Finding(code, missing, remedy=remedy)
        return
    yield Finding(f"{name}_ending", f"All {name}s end with suffix `{shown(shared)}`" + _long(shared, wanted))
    if column.hold_twice(shared):
        what = f"Some of your {name}s contain the suffix `{shown(shared)}` more than once"
        yield Finding(f"{name}_ending_inside", what)


def space_first(completions: Column) -> Iterator[Finding]:
    """Completions should begin with a space."""
    if all(text[:1] == " " for text in completions.texts):
        return
    what = (
        "The completion should start with a whitespace character (` `). In most models a token is a word with the "
        "space before it"
    )
    remedy = Remedy(
        "Add a whitespace character to the beginning of the completion",
        column="completion",
        change=lambda text: text if text[:1] == " " else " " + text,
    )
    yield Finding("completion_space", what, remedy=remedy)


def shown(text: str) -> str:
    """A text in one line, as far as somebody would read it."""
    brief = text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"
    return brief.replace("\n", "\\n")


def _unused(column: Column, candidates: tuple[str, ...], last: str) -> str:
    used = column.holding(candidates)
    return next((sign for sign in candidates if sign not in used), last)


def _long(shared: str, wanted: str) -> str:
    if len(shared) <= _LONG_SUFFIX:
        return ""
    return f". This suffix seems very long. A shorter one would do, such as `{shown(wanted)}`"
