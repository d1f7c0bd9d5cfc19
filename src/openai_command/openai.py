"""The command ``openai`` of 2022, brought back: ``openai api …`` and ``openai tools …``.

A thin layer over the helper module and the official client, which has no command any more. Each group of words is
a module beside this one. Answers go to standard output, everything else to standard error. Words that are not ours
are handed to the next program called `openai`, if there is one.

Exit codes: 0 when it was done, 1 after a sentence, 2 for words that can't be understood, 130 after Ctrl-C.
"""

import argparse
import difflib
import importlib.metadata
import io
import os
import shutil
import subprocess
import sys
import sysconfig
import traceback
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from openai_command import api_words, completions, fine_tunes, prepare_data
from openai_command.api_words import note
from openai_data.errors import LessonError

_EXAMPLES = """
the lesson, line by line:
  openai tools fine_tunes.prepare_data -f Westminster_Catechism.csv
  openai api fine_tunes.create -t Westminster_Catechism_prepared.jsonl -m ada
  openai api completions.create -m ada:ft-personal-… -p "What is sin?"

Without an address and a key, everything stays on this machine: the service there is started when it is needed.
"""
_ASKED = "OPENAI_LESSON_HANDED_ON_BY"
_GONE = {
    "image": (
        "made and changed pictures. In Python,  client.images.generate(…)  does that at OpenAI; "
        "the service on this machine makes no pictures."
    ),
    "audio": (
        "turned speech into text. In Python,  client.audio.transcriptions.create(…)  does that at OpenAI; "
        "the service on this machine hears nothing."
    ),
    "engines": (
        "listed and asked models; OpenAI switched engines off in December 2022. "
        "Today:  openai api models.list  and  openai api completions.create"
    ),
    "deployments": (
        "managed models at Microsoft's Azure, which this command does not speak to. "
        "Azure's own portal and its command  az  do that."
    ),
    "wandb": (
        "sent the results of fine-tunes to Weights & Biases. Today: write them to a file with  "
        "openai api fine_tunes.results -i ID > results.csv  and log that file with the package wandb."
    ),
    "migrate": (
        "changed programs for the package openai 0.x into programs for 1.x. Today it is done by hand, "
        "with the guide at https://github.com/openai/openai-python/discussions/742"
    ),
}
_GONE |= {"images": _GONE["image"], "grit": _GONE["migrate"]}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command with some arguments (nothing: those that the process got). Returns the exit code."""
    argv = list(sys.argv[1:] if argv is None else argv)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a question mark for what a terminal can't show
    parser, ours = _parser()
    arguments, words = _words(argv)
    try:
        known = len(words) < 2 or words[1].startswith("-") or " ".join(words[:2]) in ours
        if words and not (known and words[0] in ("api", "tools")):
            return _hand_on(argv, words, ours)
        try:
            arguments, unknown = parser.parse_known_args(argv)
            if unknown:
                arguments.parser.error(f"unrecognized arguments: {' '.join(unknown)}")
            arguments.run(arguments)
        finally:
            sys.stdout.flush()  # also when the parser ends the program after its help
        return 0
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nothing is left to say at the exit
        return 1
    except KeyboardInterrupt:
        print(file=sys.stderr)
        return 130
    except Exception as error:
        from openai_lesson.other_hosts import sentence  # late: it brings the client, which takes a second

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
    for kind, groups in ((api, (completions, api_words, fine_tunes)), (tools, (prepare_data,))):
        words = kind.add_subparsers(metavar="WORD", title="words", help=f"{kind.prog} WORD --help tells more")
        for group in groups:
            group.register(words)
        for name, word in words.choices.items():
            word.set_defaults(parser=word)
            ours.append(f"{kind.prog.removeprefix('openai ')} {name}")
    for each in (parser, api, tools):
        each.set_defaults(run=lambda given: given.parser.print_help(), parser=each)
    return parser, ours


def _global_options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(add_help=False)
    parser.set_defaults(secret=None)
    ours, client = (importlib.metadata.version(name) for name in ("openai-lesson", "openai"))
    version = f"openai {ours} (openai-lesson, with the client openai {client})"
    parser.add_argument("-V", "--version", action="version", version=version)
    parser.add_argument("-v", "--verbose", action="count", default=0, help="tell of each request; -vv tells more")
    where = "where to go: local (this machine), openai, or an address"
    parser.add_argument("-b", "--api-base", metavar="URL", help=where)
    parser.add_argument("-k", "--api-key", metavar="KEY", help="the key (better: set OPENAI_API_KEY)")
    parser.add_argument("-p", "--proxy", action="append", metavar="URL", help="go through a proxy")
    parser.add_argument("-o", "--organization", metavar="ORG", help="which organization pays, at OpenAI")
    parser.add_argument("-t", "--api-type", choices=("openai", "azure"), help=argparse.SUPPRESS)
    for name in ("--api-version", "--azure-endpoint", "--azure-ad-token"):
        parser.add_argument(name, help=argparse.SUPPRESS)
    return parser


def _hand_on(argv: Sequence[str], words: Sequence[str], ours: Sequence[str]) -> int:
    """Let the next `openai` on PATH have the whole command, or explain the words if there is none.

    Others are called `openai` too: older Python packages, and OpenAI's program in Go. On Linux and macOS the next
    one takes this process's place. Two installations of this command could hand words to each other for ever; so
    a variable tells who has had them already, and those are passed over.
    """
    this = (shutil.which(path) for path in (sys.argv[0], str(Path(sysconfig.get_path("scripts")) / "openai")))
    asked = {path for path in os.environ.get(_ASKED, "").split(os.pathsep) if path} | set(map(_real, this))
    folders = filter(None, os.environ.get("PATH", "").split(os.pathsep))
    programs = (shutil.which("openai", path=folder) for folder in folders)
    other = next((path for path in programs if path and _real(path) not in asked), None)
    if other is None:
        raise LessonError(explain(words, ours))
    os.environ[_ASKED] = os.pathsep.join([*asked, _real(other)])
    if words[0] in ("api", "tools"):
        note(f"This command has no '{' '.join(words[:2])}'. It is handed on to {other}")
    if sys.platform == "win32":
        return subprocess.run([other, *argv]).returncode
    sys.stdout.flush()
    os.execv(other, [other, *argv])  # noqa: S606 - the other command `openai` on the PATH


def _real(path: str | None) -> str:
    return os.path.normcase(os.path.realpath(path)) if path else ""


def explain(words: Sequence[str], ours: Sequence[str]) -> str:
    """What became of a word, or which one was probably meant."""
    kind, word = (words[0], words[1]) if words[0] in ("api", "tools") and len(words) > 1 else ("", words[0])
    typed = f"{kind} {word}".strip()
    if gone := _GONE.get(word.split(".")[0]):
        return f"This command has no '{typed}'. It {gone}"
    near = difflib.get_close_matches(typed if kind else f"api {word}", ours, n=1, cutoff=0.7)
    advice = f"Did you mean:  openai {near[0]}" if near else "See what there is:  openai api --help"
    return f"This command has no '{typed}', and there is no other program openai to ask. {advice}"


if __name__ == "__main__":
    sys.exit(main())
