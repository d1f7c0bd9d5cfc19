"""The command ``openai-lesson``: write the data, run the notebooks."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from openai_lesson.errors import LessonError


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command. Returns the exit code: 0, or 1 after a sentence on stderr."""
    arguments = _parser().parse_args(argv)
    try:
        return arguments.run(arguments)
    except LessonError as error:
        print(f"openai-lesson: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(
            "\nInterrupted. A training that had begun goes on in the background until it is done.", file=sys.stderr
        )
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="openai-lesson",
        description="Fine-tune a language model on your own machine, in Jupyter notebooks.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    data = commands.add_parser("data", help="write the lesson's questions and answers as a CSV file")
    data.add_argument("--larger", action="store_true", help="the Larger Catechism (196 questions)")
    data.add_argument("--modern", action="store_true", help="the wording in modern English")
    data.add_argument(
        "--to", type=Path, metavar="FILE", help="the file (default: Westminster_Catechism….csv here)"
    )
    data.add_argument("--overwrite", action="store_true", help="replace a file that has another content")
    data.set_defaults(run=_data)

    run = commands.add_parser("run", help="run the notebooks from top to bottom, without a browser")
    run.add_argument(
        "--to", type=Path, default=Path("lesson-run"), metavar="DIR", help="where (default: %(default)s)"
    )
    run.add_argument("--notebooks", type=Path, metavar="DIR", help="the notebooks (default: the lesson's own)")
    run.add_argument("--kernel", default="openai", help="the kernel to run them with (default: %(default)s)")
    run.set_defaults(run=_run)
    return parser


def _data(arguments: argparse.Namespace) -> int:
    from openai_lesson import catechism

    which: catechism.Which = "larger" if arguments.larger else "shorter"
    path = catechism.write(
        arguments.to or catechism.file_name(which, modern=arguments.modern),
        which,
        modern=arguments.modern,
        overwrite=arguments.overwrite,
    )
    print(f"{path}: {len(catechism.load(which))} questions and answers")
    return 0


def _run(arguments: argparse.Namespace) -> int:
    from openai_lesson.running import run_lesson

    run_lesson(arguments.to, notebooks=arguments.notebooks, kernel=arguments.kernel)
    return 0
