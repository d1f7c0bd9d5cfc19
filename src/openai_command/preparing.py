"""What ``prepare_data`` says of a report, what it asks, writes and advises."""

from __future__ import annotations

import argparse
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

from openai_command.dialog import Dialog
from openai_data import shape, tokens, writing
from openai_data.errors import LessonError
from openai_data.report import Examples, Report

_EPOCHS_OF_2022 = 4
_CHAT_MODEL = "gpt-4.1-nano"


def findings(report: Report) -> Iterator[str]:
    """What was found, a line each."""
    table = report.table
    named = {"XLSX": "an Excel", "TXT": "a text", "HTML": "an HTML"}.get(table.format, f"a {table.format}")
    if table.format not in ("JSONL", "chat"):
        yield f"- Based on your file extension, your file is formatted as {named} file"
    yield from (f"- {note}" for note in table.notes)
    yield f"- Your file contains {report.read_rows} prompt-completion pairs"
    if report.kind == shape.CLASSIFICATION:
        yield f"- Based on your data it seems like you're trying to fine-tune a model for {report.kind}"
    for finding in report.findings:
        where = f". These are {table.unit}s: {finding.places()}" if finding.rows else ""
        yield f"- {finding.what}{where}"
    lengths = report.lengths
    about = "" if lengths.exact else "about "
    low, high = int(lengths.counted.min()), int(lengths.counted.max())
    yield f"- Your examples have {about}{lengths.total:,} tokens in all; one has {about}{low:,} to {high:,}:"
    yield from (f"    {bar}" for bar in lengths.bars())


class Preparation:
    """Asks what to do and does it."""

    def __init__(self, report: Report, arguments: argparse.Namespace, dialog: Dialog) -> None:
        self.report, self.arguments, self.dialog = report, arguments, dialog
        table = report.table
        self.necessary = [
            finding.remedy.words for finding in report.findings if finding.remedy and finding.remedy.necessary
        ]
        self.necessary = table.changes + self.necessary
        if table.format != {"completion": "JSONL", "chat": "chat"}[report.form]:
            self.necessary.insert(0, f"Your format `{table.format}` will be converted to `JSONL`")

    def write(self) -> list[Path]:
        """The files that were written, or the given one if there is nothing to do; none if the person said no."""
        say = self.dialog.say
        declined = self._ask_about_remedies()
        examples = self.report.examples(declined=declined)
        applied = bool(self.necessary) or len(declined) < len(self.report.remedies)
        split = self._ask_about_split()
        if not applied and not split:
            say("\nYou can use your file for fine-tuning:")
            self._advise(examples, [Path(self.arguments.file)], [])
            return [Path(self.arguments.file)]
        if not self.dialog.accepts("\n\nYour data will be written to a new JSONL file. Proceed"):
            say("Aborting... did not write the file")
            return []
        files = self._write(examples, split)
        say(
            f"\nWrote modified file{'s' * split} to `{'` and `'.join(map(str, files))}`\nFeel free to take a look!"
        )
        say("\nNow use that file when fine-tuning:")
        self._advise(examples, files, self._metrics(examples) if split else [])
        return files

    def _ask_about_remedies(self) -> list[str]:
        say = self.dialog.say
        if not self.necessary and not self.report.remedies:
            say("\n\nNo remediations found.")
            return []
        say("\n\nBased on the analysis we will perform the following actions:")
        for words in self.necessary:
            say(f"- [Necessary] {words}")
        return [
            code
            for code, remedy in self.report.remedies
            if not self.dialog.accepts(f"- [Recommended] {remedy.words}")
        ]

    def _ask_about_split(self) -> bool:
        if self.arguments.valid is not None:
            return self.arguments.valid > 0
        question = "- [Recommended] Would you like to split into training and validation set?"
        return self.report.kind == shape.CLASSIFICATION and self.dialog.accepts(question)

    def _names(self, split: bool) -> list[Path]:
        suffixes = ("_train", "_valid") if split else ("",)
        if to := self.arguments.to:
            names = [to.with_name(f"{to.stem}{suffix}{to.suffix or '.jsonl'}") for suffix in suffixes]
            if there := [name for name in names if name.exists()]:
                raise LessonError(f"{there[0]} exists already. Choose another name, or delete it.")
            return names
        remote = "://" in self.arguments.file
        source = Path(self.report.table.name) if remote else Path(self.arguments.file)
        usual = source.with_name(f"{source.stem}_prepared{suffixes[0]}.jsonl")
        names = writing.free_names(source, suffixes)
        if names[0] != usual:
            self.dialog.say(f"\n`{usual}` exists already and is left as it is. The new file gets another name.")
        return names

    def _write(self, examples: Examples, split: bool) -> list[Path]:
        names, parts = self._names(split), [examples]
        if split:
            chosen = writing.split(len(examples), self.arguments.valid, self.arguments.seed)
            parts = [examples.at(indices) for indices in chosen]
        for name, part in zip(names, parts, strict=True):
            writing.write_blocks(name, self.report.jsonl(part, self.arguments.system))
        return names

    def _metrics(self, examples: Examples) -> list[str]:
        """The options with which a classification of 2022 was measured."""
        if self.report.kind != shape.CLASSIFICATION or self.report.form == "chat":
            return []
        classes = examples.frame().completion.value_counts()
        if len(classes) == 2:
            return [
                "--compute_classification_metrics",
                f"--classification_positive_class {_typed(classes.index[0])}",
            ]
        return ["--compute_classification_metrics", f"--classification_n_classes {len(classes)}"]

    def _advise(self, examples: Examples, files: list[Path], options: list[str]) -> None:
        """The next command, what to keep in mind, how long and how dear."""
        say, report = self.dialog.say, self.report
        training, *rest = map(_typed, map(str, files))
        valid = f" -v {rest[0]}" if rest else ""
        if report.form == "chat":
            say(f"> openai api fine_tuning.job.create -t {training}{valid} -m {_CHAT_MODEL}\n")
        else:
            say(" ".join([f"> openai api fine_tunes.create -t {training}{valid} -m ada", *options]) + "\n")
            for line in _reminders(report, examples):
                say(line)
        for line in _costs(report):
            say(line)


def _typed(text: str) -> str:
    """A word of a command to copy: in double quotes as in 2022, or so that the shell obeys nothing in it."""
    return shlex.quote(text) if re.search(r'["$`!\x00-\x1f]|\\\Z', text) else f'"{text}"'


def _reminders(report: Report, examples: Examples) -> Iterator[str]:
    """With what a prompt has to end, and where an answer ends, when the model is asked later."""
    added = {remedy.column: remedy.change("") for remedy in examples.remedies if remedy.change and remedy.adds}
    if ending := added.get("prompt", report.ending):
        yield (
            "After you've fine-tuned a model, remember that your prompt has to end with the indicator string "
            f"`{shape.shown(ending)}`, as all the examples do. Then the model answers, and does not go on asking."
        )
    if ending := added.get("completion", ""):
        yield f'Include `stop=["{shape.shown(ending)}"]`, so that the answer comes without the ending.'


def _costs(report: Report) -> Iterator[str]:
    machine, total = report.machine, report.lengths.total
    old = tokens.duration(machine.seconds(total, _EPOCHS_OF_2022))
    auto = tokens.duration(machine.seconds(total))
    if report.form == "completion":
        yield (
            f"Once your model starts training, it'll approximately take {old} on this machine for "
            f"{_EPOCHS_OF_2022} epochs, as in 2022, and {auto} for "
            f"{machine.epochs} (--n_epochs {machine.epochs}), which teach more."
        )
    else:
        yield f"Once your model starts training, it'll approximately take {auto} on this machine."
    model, dollars = next(iter(tokens.price(total).items()))
    yield (
        f"({machine.measured[0].upper()}{machine.measured[1:]}.) At OpenAI, {tokens.EPOCHS_AT_OPENAI} epochs "
        f"would cost about ${max(dollars, 0.01):,.2f} with {model}, by its prices of {tokens.PRICES_OF}. It takes "
        "no new customers."
    )
