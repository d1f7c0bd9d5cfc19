"""The command ``openai-lesson``: look at the machine, write data and notebooks, run them, install the kernel."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from openai_data.errors import LessonError
from openai_figures import visible


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command. Returns the exit code: 0, or 1 after a sentence on stderr."""
    try:
        try:
            arguments = _parser().parse_args(argv)
            return arguments.run(arguments) or 0
        finally:
            sys.stdout.flush()  # also when the parser ends the program after its help
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nothing is left to say at the exit
        return 1
    except LessonError as error:
        print(f"openai-lesson: {visible.sentence(str(error))}", file=sys.stderr)
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

    doctor = commands.add_parser("doctor", help="look whether this machine is ready for the lesson")
    doctor.add_argument("--report", type=Path, metavar="FILE", help="also write what the instructor should see")
    doctor.set_defaults(run=_doctor)

    data = commands.add_parser("data", help="write the lesson's questions and answers as a CSV file")
    data.add_argument("--larger", action="store_true", help="the Larger Catechism (196 questions)")
    data.add_argument("--modern", action="store_true", help="the wording in modern English")
    usual = "Westminster_Catechism….csv here"
    data.add_argument("--to", type=Path, metavar="FILE", help=f"the file (default: {usual})")
    data.add_argument("--overwrite", action="store_true", help="replace a file that has another content")
    data.set_defaults(run=_data)

    run = commands.add_parser("run", help="run the notebooks from top to bottom, without a browser")
    run.add_argument(
        "--to", type=Path, default=Path("lesson-run"), metavar="DIR", help="where (default: %(default)s)"
    )
    run.add_argument("--notebooks", type=Path, metavar="DIR", help="the notebooks (default: the lesson's own)")
    run.set_defaults(run=_run)

    notebooks = commands.add_parser("notebooks", help="write the notebooks without solutions, for learners")
    notebooks.add_argument("--to", type=Path, required=True, metavar="DIR", help="where")
    notebooks.add_argument("--overwrite", action="store_true", help="replace notebooks that are there")
    notebooks.set_defaults(run=_notebooks)

    kernel = commands.add_parser("kernel", help='the kernel "OpenAI", for a Jupyter in another environment')
    actions = kernel.add_subparsers(required=True, metavar="ACTION")
    for word, what in (("install", "let other Jupyters use this environment"), ("remove", "take that away")):
        action = actions.add_parser(word, help=what)
        where = action.add_mutually_exclusive_group()
        where.add_argument("--user", action="store_true", help="for the user's every Jupyter (default)")
        where.add_argument("--sys-prefix", action="store_true", help="in this environment")
        where.add_argument(
            "--prefix", type=Path, metavar="DIR", help="in another environment, whose folder is DIR"
        )
        action.set_defaults(run=_kernel, action=word)
    return parser


def _doctor(arguments: argparse.Namespace) -> int:
    from openai_command.doctor import examine, write_report
    from openai_command.doctor.remedies import State

    findings = []
    for finding in examine():
        print(finding, flush=True)
        findings.append(finding)
    if arguments.report:
        write_report(arguments.report, findings)
        print(
            f"\nThe report is in {arguments.report}. It holds no keys. Read it, then send it to your instructor."
        )
    return int(any(finding.state is State.WRONG for finding in findings))


def _kernel(arguments: argparse.Namespace) -> None:
    from openai_command import kernelspec

    prefix = Path(sys.prefix) if arguments.sys_prefix else arguments.prefix
    if arguments.action == "remove":
        print(f'The kernel "OpenAI" is no longer in {kernelspec.remove(prefix=prefix)}')
    else:
        print(f'The kernel "OpenAI" is in {kernelspec.install(prefix=prefix)}')
        print(f"It starts {sys.executable}. Load the page of Jupyter again to see it.")


def _data(arguments: argparse.Namespace) -> None:
    from openai_lesson import catechism

    which: catechism.Which = "larger" if arguments.larger else "shorter"
    parts = ("Westminster", "Larger" * arguments.larger, "Catechism", "modern" * arguments.modern)
    path = arguments.to or "_".join(filter(None, parts)) + ".csv"
    catechism.write(path, which, modern=arguments.modern, overwrite=arguments.overwrite)
    print(f"{path}: {len(catechism.load(which))} questions and answers")


def _notebooks(arguments: argparse.Namespace) -> None:
    from openai_command.notebooks import write_for_learners

    written = write_for_learners(arguments.to, overwrite=arguments.overwrite)
    print(f"{arguments.to}: {written} notebooks without solutions")


def _run(arguments: argparse.Namespace) -> None:
    from openai_command.notebooks import run_lesson

    run_lesson(arguments.to, notebooks=arguments.notebooks)


if __name__ == "__main__":
    sys.exit(main())
