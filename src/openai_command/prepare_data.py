"""``openai tools fine_tunes.prepare_data``: look at a file of examples, ask what to do, write it for training.

It reads as it did in 2022. What it advises holds today.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from openai_command.dialog import Dialog
from openai_data.errors import LessonError


def register(tools: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the word to the parser of ``openai tools``."""
    word = tools.add_parser("fine_tunes.prepare_data", help="make a training file out of a table, and check it")
    word.add_argument(
        "-f",
        "--file",
        required=True,
        help="CSV, TSV, XLSX, JSON, JSONL, TXT or HTML file, or a web page's address",
    )
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


def run(arguments: argparse.Namespace) -> int:
    """Run the word. Returns the exit code.

    Raises:
        LessonError: the file can't be read or written; nothing was changed.
    """
    if arguments.system and arguments.format != "chat":
        raise LessonError("--system needs --format chat: only conversations have a message of the system.")
    import openai_data as prepare  # pandas takes half a second, which the other words do not need
    from openai_command.preparing import Preparation, findings

    dialog = Dialog(quiet=arguments.quiet or arguments.json, silent=arguments.json)
    dialog.say("Analyzing...\n")
    report = prepare.analyse(
        arguments.file,
        form=arguments.format,
        prompt_column=arguments.prompt_column,
        completion_column=arguments.completion_column,
    )
    for line in findings(report):
        dialog.say(line)
    try:
        files = Preparation(report, arguments, dialog).write()
    except EOFError:
        raise LessonError(
            "There was no answer, so nothing was written. Take the recommended ones with:  -q"
        ) from None
    if arguments.json:
        print(json.dumps({**report.as_dict(), "files": list(map(str, files))}, ensure_ascii=False, indent=2))
    return 0
