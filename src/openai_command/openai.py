"""The command ``openai`` of 2022, brought back: ``openai api …`` and ``openai tools …``.

A thin layer over the helper module and the official client, which has no command any more. Each group of words is
a module beside this one. Answers go to standard output, everything else to standard error. Words that are not ours
are handed to the next program called `openai`, if there is one.

Exit codes: 0 when it was done, 1 after a sentence, 2 for words that can't be understood, 130 after Ctrl-C.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import io
import os
import sys
import traceback
from collections.abc import Sequence
from functools import partial

from openai_command import completions, files_and_models, fine_tunes, prepare_data, unknown_words

_EXAMPLES = """
the lesson, line by line:
  openai tools fine_tunes.prepare_data -f Westminster_Catechism.csv
  openai api fine_tunes.create -t Westminster_Catechism_prepared.jsonl -m ada
  openai api completions.create -m ada:ft-personal-… -p "What is sin?"

Without an address and a key, everything stays on this machine: the service there is started when it is needed.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        argv: the arguments (nothing: those that the process got).

    Returns:
        The exit code.
    """
    argv = list(sys.argv[1:] if argv is None else argv)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a question mark for what a terminal can't show
    parser, ours = _parser()
    arguments, words = _words(argv)
    try:
        if words and not _is_ours(words, ours):
            return unknown_words.hand_on(argv, words, ours)
        arguments, unknown = parser.parse_known_args(argv)
        if unknown:
            arguments.parser.error(f"unrecognized arguments: {' '.join(unknown)}")
        code = arguments.run(arguments)
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nothing is left to say at the exit
        return 1
    except KeyboardInterrupt:
        print(file=sys.stderr)
        return 130
    except Exception as error:
        from openai_lesson.connection import sentence  # late: it brings the client, which takes a second

        if arguments.verbose > 1:
            traceback.print_exc()
        print(f"Error: {sentence(error, arguments.api_key, arguments.secret)}", file=sys.stderr)
        return 1


def _words(argv: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    """The global options, and the words behind them."""
    parser = argparse.ArgumentParser(prog="openai", parents=[_global_options()], add_help=False)
    parser.add_argument("words", nargs=argparse.REMAINDER)
    given, _ = parser.parse_known_args(argv)
    return given, given.words


def _is_ours(words: Sequence[str], ours: Sequence[str]) -> bool:
    if words[0] not in ("api", "tools"):
        return False
    return len(words) == 1 or words[1].startswith("-") or f"{words[0]} {words[1]}" in ours


def _parser() -> tuple[argparse.ArgumentParser, list[str]]:
    """The parser, and all words that it knows, such as ``api models.list``."""
    parser = argparse.ArgumentParser(
        prog="openai",
        parents=[_global_options()],
        description="Fine-tune language models and ask them, with the commands of 2022.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    wide = partial(argparse.HelpFormatter, max_help_position=36)  # room for long words on the left
    kinds = parser.add_subparsers(metavar="{api,tools}")
    api = kinds.add_parser("api", help="models, files, fine-tunes and answers", formatter_class=wide)
    tools = kinds.add_parser("tools", help="prepare data for training")
    ours = []
    for kind, groups in ((api, (completions, files_and_models, fine_tunes)), (tools, (prepare_data,))):
        words = kind.add_subparsers(metavar="WORD", title="words", help=f"{kind.prog} WORD --help tells more")
        for group in groups:
            group.register(words)
        for name, word in words.choices.items():
            word.set_defaults(parser=word)
            ours.append(f"{kind.prog.removeprefix('openai ')} {name}")
    for each in (parser, api, tools):
        each.set_defaults(run=_print_help, parser=each)
    return parser, ours


def _print_help(arguments: argparse.Namespace) -> int:
    arguments.parser.print_help()
    return 0


def _global_options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(add_help=False)
    parser.set_defaults(secret=None)
    parser.add_argument("-V", "--version", action="version", version=_version())
    parser.add_argument("-v", "--verbose", action="count", default=0, help="tell of each request; -vv tells more")
    parser.add_argument(
        "-b", "--api-base", metavar="URL", help="where to go: local (this machine), openai, or an address"
    )
    parser.add_argument("-k", "--api-key", metavar="KEY", help="the key (better: set OPENAI_API_KEY)")
    parser.add_argument("-p", "--proxy", action="append", metavar="URL", help="go through a proxy")
    parser.add_argument("-o", "--organization", metavar="ORG", help="which organization pays, at OpenAI")
    parser.add_argument("-t", "--api-type", choices=("openai", "azure"), help=argparse.SUPPRESS)
    for name in ("--api-version", "--azure-endpoint", "--azure-ad-token"):
        parser.add_argument(name, help=argparse.SUPPRESS)
    return parser


def _version() -> str:
    ours, client = (importlib.metadata.version(name) for name in ("openai-lesson", "openai"))
    return f"openai {ours} (openai-lesson, with the client openai {client})"


if __name__ == "__main__":
    sys.exit(main())
