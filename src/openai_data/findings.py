"""What an analysis finds in single rows and in whole columns, and what can be done about it.

In 2022 a model was taught by an ending where a prompt stops and where a completion stops, and a completion began
with a space because most tokens begin with one. The tool of that time looked for all of this; so do these, with
the same remedies. A remedy that is taken leaves the very bytes that the tool of 2022 left.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from openai_data import Form
from openai_data.column import Column, plain
from openai_data.errors import LessonError
from openai_data.table import Table

OPEN_ENDED, CLASSIFICATION, CONDITIONAL = "open-ended generation", "classification", "conditional generation"
_CLASS_SIZE = 3  # examples per class, on average, from which on it looks like a classification

_MINIMUM, _FEW = 10, 100
_LONG = 10_000
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

_LONG_SUFFIX, _LONG_PROMPT_PREFIX, _COMPLETION_PREFIX = 10, 12, 5
_LONGEST_SHOWN = 500


@dataclass(frozen=True)
class Finding:
    """Something that an analysis saw, and what can be done about it.

    Args:
        code: its name, for programs.
        what: what was seen, in a sentence.
        rows: where, as numbers in the file.
        remedy: what is done, in a sentence that begins with a verb; empty where only a person can tell.
        drop: positions of rows to leave out.
        column: ``"prompt"`` or ``"completion"``, if each text of it changes.
        change: from the text as it is to the text as it should be.
        necessary: it is done without asking.
        adds: an ending is put to each text, which has to be known when the model is asked later.
    """

    code: str
    what: str
    rows: Sequence[int] = ()
    remedy: str = ""
    drop: Sequence[int] = ()
    column: str = ""
    change: Callable[[str], str] = str
    necessary: bool = False
    adds: bool = False

    def places(self) -> str:
        """The first few of the rows, as text."""
        return ", ".join(map(str, self.rows[:5])) + ", …" * (len(self.rows) > 5)


def task(prompts: Column, completions: Column) -> str:
    """What the data seems to be for: one of the three tasks that the tool of 2022 knew."""
    if not prompts.lengths.any():
        return OPEN_ENDED
    return CLASSIFICATION if completions.different < len(completions.texts) / _CLASS_SIZE else CONDITIONAL


def few(count: int) -> Iterator[Finding]:
    """Fewer rows than a model needs to learn well."""
    if count < _MINIMUM:
        yield Finding("too_few", f"A fine-tune takes at least {_MINIMUM} examples. Add some")
    elif count < _FEW:
        yield Finding("few", "A few hundred examples are better: twice as many help about as much each time")


def empty_answers(table: Table, form: Form) -> Iterator[Finding]:
    """Rows without a completion: nothing can be learned from them.

    In a conversation, one of spaces is none: messages are written without the spaces around them.
    """
    texts = table.completions
    found = [position for position, text in enumerate(texts) if not text or (form == "chat" and text.isspace())]
    what = "`completion` column/key should not contain empty strings"
    return in_rows(table, found, "empty_completion", what, "Remove {} rows with empty completions", necessary=True)


def in_texts(table: Table, prompts: Column, completions: Column, kind: str, form: Form) -> Iterator[Finding]:
    """What is found in a table whose rows all have a completion, in the order in which remedies are applied.

    Raises:
        LessonError: all prompts or all completions are the same.
    """
    repeated = _repeated(prompts.hashes, completions.hashes)
    what = "There are {} duplicated prompt-completion sets"
    yield from in_rows(table, repeated.nonzero()[0], "duplicate_rows", what, "Remove {} duplicate rows")
    if kind != OPEN_ENDED:
        long = (prompts.lengths + completions.lengths > _LONG).nonzero()[0]
        what = f"There are {{}} examples that are very long (more than {_LONG:,} characters)"
        yield from in_rows(table, long, "long_examples", what, "Remove {} long examples")
    yield from _upper_case("prompt", prompts)
    yield from _upper_case("completion", completions)
    if form == "completion":  # a conversation needs no endings and beginnings
        if kind != OPEN_ENDED:
            yield from _ending("prompt", prompts)
        yield from _beginning("prompt", prompts)
        yield from _beginning("completion", completions)
        if kind == CONDITIONAL:
            yield from _ending("completion", completions)
        yield from _space_first(completions)
    alike = (_repeated(prompts.plain_hashes, completions.plain_hashes) & ~repeated).nonzero()[0]
    what = "{} rows repeat an earlier one but for capital letters, spaces or punctuation"
    yield from in_rows(table, alike, "near_duplicates", what)
    yield from _conflicts(table, prompts, completions)
    yield from _boilerplate(table, completions)
    yield from _private(table, prompts, completions)


def in_rows(
    table: Table, positions: Iterable[int], code: str, what: str, remedy: str = "", *, necessary: bool = False
) -> Iterator[Finding]:
    """A finding about some rows, if there are any, whose remedy is to leave them out. ``{}`` is their number."""
    if found := [int(position) for position in positions]:
        what, remedy = (sentence.replace("{}", str(len(found)), 1) for sentence in (what, remedy))
        numbers = [table.numbers[position] for position in found]
        yield Finding(code, what, numbers, remedy, found if remedy else (), necessary=necessary)


def _repeated(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Which pairs of numbers stand further up already.

    Two numbers of 64 bits are made one; in a million rows, two different pairs share it once in 37 million times.
    """
    with np.errstate(over="ignore"):
        return pd.Series(first * np.int64(1_000_003) ^ second).duplicated().to_numpy()


def _conflicts(table: Table, prompts: Column, completions: Column) -> Iterator[Finding]:
    """One question with several answers: a model learns a mixture of them."""
    if prompts.lengths.any():
        frame = pd.DataFrame({"question": prompts.plain_hashes, "answer": completions.plain_hashes})
        frame = frame[frame.question.duplicated(keep=False)]  # most are not, and grouping takes long
        frame = frame[frame.groupby("question").answer.transform("nunique") > 1]
        count = frame.question.nunique()
        what = f"{count} question{'s have' if count > 1 else ' has'} several different answers"
        yield from in_rows(table, frame.index, "conflicting_answers", what)


def _boilerplate(table: Table, completions: Column) -> Iterator[Finding]:
    """Answers that say nothing."""
    texts = table.completions
    short = (completions.lengths <= 24).nonzero()[0].tolist()
    found = [position for position in short if plain(texts[position]) in _EMPTY_WORDS]
    found += completions.rows_holding(_PHRASES)
    if found:
        what = f"{{}} answers say nothing ({texts[found[0]].strip()[:30]!r} …). A model learns that too"
        yield from in_rows(table, sorted(set(found)), "boilerplate_answers", what)


def _private(table: Table, prompts: Column, completions: Column) -> Iterator[Finding]:
    """Texts that look like keys or e-mail addresses."""
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
        what = f"{{}} rows hold {name}. What a model has learned, it may tell to anyone"
        yield from in_rows(table, sorted(found), code, what)


def _upper_case(name: str, column: Column) -> Iterator[Finding]:
    """More than a third of the letters are upper-case."""
    upper, lower = column.letters
    if upper * 2 > lower:
        what = (
            f"More than a third of your `{name}` column/key is uppercase. A model knows ordinary writing best. "
            "We recommend to lower case the data if that makes sense here"
        )
        remedy = f"Lowercase all your data in column/key `{name}`"
        yield Finding(f"upper_case_{name}", what, remedy=remedy, column=name, change=str.lower)


# Where texts end differently: the finding's code, what an ending is to the model, what it is good for, what to do
# if all texts are identical, and the endings to choose from.
_ENDINGS = {
    "prompt": (
        *("prompt_separator", "separator"),
        "One makes it clear to the fine-tuned model where the completion begins. Ask the model with the same "
        "separator later",
        "Leave them empty if there is nothing to ask, or make them different.",
        (" ->", *(f"\n\n{sign}\n\n" for sign in ("###", "===", "---", "===>", "--->", "### =>"))),
    ),
    "completion": (
        *("completion_end", "ending"),
        "At hosts that cut an answer at a `stop` sign, it shows where to cut",
        "A model would only repeat that. Make them different.",
        ("\n", ".", " END", "***", "+++", "&&&", "$$$", "@@@", "%%%", " [END]"),
    ),
}


def _ending(name: str, column: Column) -> Iterator[Finding]:
    """Whether all texts end alike, so that a model sees where they stop.

    Raises:
        LessonError: all texts are the same.
    """
    (code, word, why, identical, signs), shared = _ENDINGS[name], column.suffix
    if column.different == 1:
        raise LessonError(f"All {name}s are identical: `{shown(column.texts[0])}`. {identical}")
    signs = signs[1:] if column.holding("\n") else signs  # " ->" is for prompts of one line
    used = column.holding(signs)
    wanted = next((sign for sign in signs if sign not in used), signs[-1])
    if not shared:
        what = f"Your data does not contain a common {word} at the end of your {name}s. {why}"
        remedy = f"Add a suffix {word} `{shown(wanted)}` to all {name}s"
        yield Finding(code, what, remedy=remedy, column=name, change=lambda text: text + wanted, adds=True)
        return
    what = f"All {name}s end with suffix `{shown(shared)}`"
    if len(shared) > _LONG_SUFFIX:
        what += f". This suffix seems very long. A shorter one would do, such as `{shown(wanted)}`"
    yield Finding(f"{name}_ending", what)
    if column.hold_twice(shared):
        what = f"Some of your {name}s contain the suffix `{shown(shared)}` more than once"
        yield Finding(f"{name}_ending_inside", what)


def _beginning(name: str, column: Column) -> Iterator[Finding]:
    """A long beginning that all texts share teaches nothing."""
    shared, kept = column.prefix, ""
    what = f"All {name}s start with prefix `{shown(shared)}`"
    if name == "prompt":
        told, removed = bool(shared), len(shared) > _LONG_PROMPT_PREFIX
        if removed:
            what += ". A fine-tuned model needs no instruction that is always the same; "
            what += "it learns the task from the examples"
    else:
        told = len(shared) >= _COMPLETION_PREFIX and column.different > 1
        removed = column.lengths.min() > len(shared)  # else nothing would be left of one
        what += ". Mostly only what differs should be learned"
        kept = " " if shared.startswith(" ") else ""
    if told and removed:
        remedy = f"Remove prefix `{shown(shared)}` from all {name}s"
        change = lambda text: kept + text[len(shared) :]  # noqa: E731
        yield Finding(f"{name}_beginning", what, (), remedy, column=name, change=change)
    elif told:
        yield Finding(f"{name}_beginning", what)


def _space_first(completions: Column) -> Iterator[Finding]:
    """Completions should begin with a space."""
    if not completions.prefix.startswith(" "):
        yield Finding(
            "completion_space",
            "The completion should start with a whitespace character (` `). In most models a token is a word with "
            "the space before it",
            remedy="Add a whitespace character to the beginning of the completion",
            column="completion",
            change=lambda text: text if text[:1] == " " else " " + text,
        )


def shown(text: str) -> str:
    """A text in one line, as far as somebody would read it."""
    brief = text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"
    return brief.replace("\n", "\\n")
