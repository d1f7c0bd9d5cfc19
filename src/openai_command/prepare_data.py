"""``openai tools fine_tunes.prepare_data``: look at a file of examples, ask what to do, write it for training.

It reads as it did in 2022. What it advises holds today.
"""

import argparse
import json
import os
import re
import shlex
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from openai_data.errors import LessonError
from openai_figures import visible

if TYPE_CHECKING:
    from openai_data.report import Examples, Report

_EPOCHS_OF_2022 = 4
_MOST_VALID = 1000
_CHAT_MODEL = "gpt-4.1-nano"


def register(tools: argparse._SubParsersAction) -> None:
    """Add the word to the parser of ``openai tools``."""
    word = tools.add_parser("fine_tunes.prepare_data", help="make a training file out of a table, and check it")
    file = "CSV, TSV, XLSX, JSON, JSONL, TXT or HTML file, or a web page's address"
    word.add_argument("-f", "--file", required=True, help=file)
    word.add_argument("-q", "--quiet", action="store_true", help="take all recommended answers without asking")
    word.add_argument("--format", choices=("completion", "chat"), default="completion", help="the examples' form")
    word.add_argument("--system", metavar="TEXT", help="for --format chat: a message that opens each conversation")
    word.add_argument("--prompt-column", metavar="NAME", help="the column with the questions")
    word.add_argument("--completion-column", metavar="NAME", help="the column with the answers")
    word.add_argument("--valid", type=_share, metavar="SHARE", help="keep a part for validation, such as 0.2")
    word.add_argument("--seed", type=int, default=42, help="which examples are kept (default: %(default)s)")
    word.add_argument("--to", type=Path, metavar="FILE", help="the file to write (default: …_prepared.jsonl)")
    word.add_argument("--json", action="store_true", help="print the report as JSON; implies -q")
    word.set_defaults(run=run)


def _share(text: str) -> float:
    share = float(text)
    if not 0 <= share < 1:
        raise argparse.ArgumentTypeError("must be from 0 to below 1")
    return share


def run(arguments: argparse.Namespace) -> None:
    """Run the word. If the file can't be read or written, that is a `LessonError`."""
    if arguments.system and arguments.format != "chat":
        raise LessonError("--system needs --format chat: only conversations have a message of the system.")
    from openai_data.report import analyse  # pandas takes half a second, which the other words do not need

    dialog = Dialog(quiet=arguments.quiet or arguments.json, silent=arguments.json)
    dialog.say("Analyzing...\n")
    columns = {"prompt_column": arguments.prompt_column, "completion_column": arguments.completion_column}
    report = analyse(arguments.file, form=arguments.format, **columns)
    dialog.say(*_findings(report))
    try:
        files = _Preparation(report, arguments, dialog).write()
    except EOFError:
        raise LessonError(
            "There was no answer, so nothing was written. Take the recommended ones with:  -q"
        ) from None
    if arguments.json:
        print(json.dumps(as_data(report, files), ensure_ascii=False, indent=2))


def as_data(report: "Report", files: list[Path]) -> dict[str, Any]:
    """A report, and the files that were written, as plain data for `json`."""
    from openai_data import costs

    lengths, names = report.lengths, ("from", "to", "examples")
    return {
        "file": report.table.name,
        "format": report.table.format,
        "rows": report.read_rows,
        "task": report.kind,
        "form": report.form,
        "notes": [*report.table.notes, *report.table.changes],
        "findings": [
            {
                "code": finding.code,
                "what": finding.what,
                "rows": list(finding.rows),
                "remedy": finding.remedy or None,
                "necessary": finding.necessary,
            }
            for finding in report.findings
        ],
        "tokens": {
            "total": lengths.total,
            "counted_examples": len(lengths.counted),
            "exact": lengths.exact,
            "histogram": [dict(zip(names, found, strict=True)) for found in lengths.histogram()],
        },
        "training_seconds_here": round(report.machine.seconds(lengths.total)),
        "training_dollars_at_openai": costs.price(lengths.total),
        "prices_of": costs.PRICES_OF,
        "files": list(map(str, files)),
    }


def can_ask() -> bool:
    """Whether a person sits at a terminal and can answer a question.

    A command after ``!`` in a notebook gets a terminal too, but nobody can type into it: the kernel's environment
    gives it away. So does that of a service that runs tests.
    """
    nobody = os.environ.get("JPY_PARENT_PID") or os.environ.get("CI")
    return bool(not nobody and sys.stdin and sys.stdin.isatty() and sys.stdout.isatty())


@dataclass
class Dialog:
    """Says things and asks questions. Where nobody can answer, or with `quiet`, each answer is yes.

    With `silent`, it does so without a word.
    """

    quiet: bool
    silent: bool = False
    _told: bool = field(default=False, init=False)

    def say(self, *lines: str) -> None:
        """Print lines."""
        for line in [] if self.silent else lines:
            print(visible.sentence(line))

    def accepts(self, question: str) -> bool:
        """Ask; an empty answer is yes."""
        if self.quiet or not can_ask():
            if not self.quiet and not self._told:
                self.say("(Nobody can answer here, so the recommended answers are taken, as with -q.)")
                self._told = True
            self.say(f"{question} [Y/n]: Y")
            return True
        return input(f"{visible.sentence(question)} [Y/n]: ").strip().lower() not in ("n", "no")


def _findings(report: "Report") -> Iterator[str]:
    """What was found, a line each."""
    table, lengths = report.table, report.lengths
    if table.format not in ("JSONL", "chat"):
        named = {"XLSX": "an Excel", "TXT": "a text", "HTML": "an HTML"}.get(table.format, f"a {table.format}")
        yield f"- Based on your file extension, your file is formatted as {named} file"
    yield from (f"- {note}" for note in table.notes)
    yield f"- Your file contains {report.read_rows} prompt-completion pairs"
    if report.kind == "classification":
        yield f"- Based on your data it seems like you're trying to fine-tune a model for {report.kind}"
    for finding in report.findings:
        where = f". These are {table.unit}s: {finding.places()}" if finding.rows else ""
        yield f"- {finding.what}{where}"
    about, low, high = "about " * (not lengths.exact), lengths.counted.min(), lengths.counted.max()
    yield f"- Your examples have {about}{lengths.total:,} tokens in all; one has {about}{low:,} to {high:,}:"
    yield from (f"    {bar}" for bar in lengths.bars())


class _Preparation:
    """Asks what to do and does it."""

    def __init__(self, report: "Report", arguments: argparse.Namespace, dialog: Dialog) -> None:
        self.report, self.arguments, self.dialog = report, arguments, dialog
        self.classes = report.kind == "classification"
        self.necessary = report.table.changes + [found.remedy for found in report.findings if found.necessary]
        if report.table.format != {"completion": "JSONL", "chat": "chat"}[report.form]:
            self.necessary.insert(0, f"Your format `{report.table.format}` will be converted to `JSONL`")

    def write(self) -> list[Path]:
        """The files that were written, or the given one if there is nothing to do; none if the person said no."""
        say = self.dialog.say
        declined = self._ask_about_remedies()
        examples = self.report.examples(declined=declined)
        split = self._ask_about_split()
        if not (self.necessary or split or len(declined) < len(self.report.remedies)):
            say("\nYou can use your file for fine-tuning:")
            return self._advise(examples, [Path(self.arguments.file)])
        if not self.dialog.accepts("\n\nYour data will be written to a new JSONL file. Proceed"):
            say("Aborting... did not write the file")
            return []
        files = self._names(split)
        parts = divided(examples, self.arguments.valid, self.arguments.seed) if split else [examples]
        for name, part in zip(files, parts, strict=True):
            part.write(name, self.arguments.system)
        named = "` and `".join(map(str, files))
        say(f"\nWrote modified file{'s' * split} to `{named}`\nFeel free to take a look!")
        say("\nNow use that file when fine-tuning:")
        return self._advise(examples, files)

    def _ask_about_remedies(self) -> list[str]:
        """The codes of those that are declined."""
        if not self.necessary and not self.report.remedies:
            self.dialog.say("\n\nNo remediations found.")
            return []
        self.dialog.say("\n\nBased on the analysis we will perform the following actions:")
        self.dialog.say(*(f"- [Necessary] {words}" for words in self.necessary))
        ask = self.dialog.accepts
        return [found.code for found in self.report.remedies if not ask(f"- [Recommended] {found.remedy}")]

    def _ask_about_split(self) -> bool:
        if self.arguments.valid is not None:
            return self.arguments.valid > 0
        question = "- [Recommended] Would you like to split into training and validation set?"
        return self.classes and self.dialog.accepts(question)

    def _names(self, split: bool) -> list[Path]:
        """The names of the files: those that are wished for, or beside the source some that no file has."""
        suffixes = ("_train", "_valid") if split else ("",)
        if to := self.arguments.to:
            names = [to.with_name(f"{to.stem}{suffix}{to.suffix or '.jsonl'}") for suffix in suffixes]
            if there := [name for name in names if name.exists()]:
                raise LessonError(f"{there[0]} exists already. Choose another name, or delete it.")
            return names
        source = Path(self.report.table.name if "://" in self.arguments.file else self.arguments.file)
        usual = names = [source.with_name(f"{source.stem}_prepared{suffix}.jsonl") for suffix in suffixes]
        number = 0
        while any(name.exists() for name in names):
            number += 1
            names = [name.with_stem(f"{name.stem} ({number})") for name in usual]
        if number:
            self.dialog.say(f"\n`{usual[0]}` exists already and is left as it is. The new file gets another name.")
        return names

    def _advise(self, examples: "Examples", files: list[Path]) -> list[Path]:
        """Say the next command, what to keep in mind, how long and how dear. Returns the files."""
        say, report = self.dialog.say, self.report
        training, *rest = map(_typed, map(str, files))
        valid = f" -v {rest[0]}" if rest else ""
        if report.form == "chat":
            say(f"> openai api fine_tuning.job.create -t {training}{valid} -m {_CHAT_MODEL}\n")
        else:
            measured = _metrics(examples) if rest and self.classes else ""
            say(f"> openai api fine_tunes.create -t {training}{valid} -m ada{measured}\n")
            say(*_reminders(report, examples))
        say(*_costs(report))
        return files


def divided(examples: "Examples", share: float | None, seed: int) -> "tuple[Examples, Examples]":
    """The examples to train on, in random order, and those to keep for validation, in the file's order.

    They are those that pandas' ``sample`` gives with this seed, which the tool of 2022 used. `share` is the part
    for validation, between 0 and 1; nothing for a fifth, at most 1,000, as in 2022.
    """
    import pandas as pd

    count, positions = len(examples), pd.Series(examples.positions)
    n_train = max(count - _MOST_VALID, int(count * 0.8)) if share is None else count - round(count * share)
    training = positions.sample(n=n_train, random_state=seed)
    valid = positions.drop(training.index)
    return replace(examples, positions=training.tolist()), replace(examples, positions=valid.tolist())


def _typed(text: str) -> str:
    """A word of a command to copy: in double quotes as in 2022, or so that the shell obeys nothing in it."""
    return shlex.quote(text) if re.search(r'["$`!\x00-\x1f]|\\\Z', text) else f'"{text}"'


def _metrics(examples: "Examples") -> str:
    """The options with which a classification of 2022 was measured."""
    classes = examples.frame().completion.value_counts()
    told = f"positive_class {_typed(classes.index[0])}" if len(classes) == 2 else f"n_classes {len(classes)}"
    return f" --compute_classification_metrics --classification_{told}"


def _reminders(report: "Report", examples: "Examples") -> Iterator[str]:
    """With what a prompt has to end, and where an answer ends, when the model is asked later."""
    from openai_data.findings import shown

    added = {finding.column: finding.change("") for finding in examples.remedies if finding.adds}
    if ending := added.get("prompt", report.ending):
        yield (
            "After you've fine-tuned a model, remember that your prompt has to end with the indicator string "
            f"`{shown(ending)}`, as all the examples do. Then the model answers, and does not go on asking."
        )
    if ending := added.get("completion", ""):
        yield f'Include `stop=["{shown(ending)}"]`, so that the answer comes without the ending.'


def _costs(report: "Report") -> Iterator[str]:
    from openai_data import costs

    machine, total = report.machine, report.lengths.total
    old, auto = (costs.duration(machine.seconds(total, epochs)) for epochs in (_EPOCHS_OF_2022, None))
    time = f"{auto} on this machine"
    if report.form == "completion":
        time = f"{old} on this machine for {_EPOCHS_OF_2022} epochs, as in 2022, and {auto} for {machine.epochs} "
        time += f"(--n_epochs {machine.epochs}), which teach more"
    yield f"Once your model starts training, it'll approximately take {time}."
    model, dollars = next(iter(costs.price(total).items()))
    yield (
        f"({machine.measured[0].upper()}{machine.measured[1:]}.) At OpenAI, {costs.EPOCHS_AT_OPENAI} epochs "
        f"would cost about ${max(dollars, 0.01):,.2f} with {model}, by its prices of {costs.PRICES_OF}. It takes "
        "no new customers."
    )
