"""The command ``openai-local``: how its commands are typed. What they do is in `openai_local.command`."""

import argparse
import os
import sqlite3
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from openai_local import __version__, disk
from openai_local.errors import LocalError, visible
from openai_local.home import default_home


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command. Returns the exit code: 0, or 1 after a sentence on stderr."""
    before = os.umask(0o077)  # whatever is written into the home is the user's alone
    arguments = argparse.Namespace()
    try:
        try:
            arguments = _parser().parse_args(argv)
            module, name = arguments.run
            # Others may read a base model, and what is taken home, but not change it.
            if name in ("fetch", "export"):
                os.umask(before | 0o022)
            # Only now, as some of what the commands need takes a second to load.
            import_module(f"openai_local.command.{module}").COMMANDS[name](arguments)
        finally:
            sys.stdout.flush()  # also when the parser ends the program after its help
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nothing is left to say at the exit
        return 1
    except (LocalError, OSError, sqlite3.Error) as error:
        where = getattr(arguments, "home", None) or default_home()
        said = str(error) if isinstance(error, LocalError) else disk.sentence(error, where)
        if said is None:
            raise
        print(f"openai-local: {visible(said)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    finally:
        os.umask(before)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="openai-local", description="OpenAI's fine-tuning API on your own machine."
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    home, as_json, model = (argparse.ArgumentParser(add_help=False) for _ in range(3))
    home.add_argument("--home", type=Path, metavar="DIR", help="where the service keeps its state")
    as_json.add_argument("--json", action="store_true", help="as JSON")
    model.add_argument("--model", metavar="NAME", default="ada", help="the base model (default: the built-in one)")

    _add_serve(_add(commands, "serve", "serve", "start the service", home))
    keys = commands.add_parser("keys", help="who may call")
    _add_keys(keys.add_subparsers(required=True, metavar="ACTION"), home, as_json)
    bases = commands.add_parser("bases", help="base models")
    _add_bases(bases.add_subparsers(required=True, metavar="ACTION"), home, as_json)
    _add(commands, "where", "status", "in which folders state and base models are kept", as_json)
    _add(commands, "status", "status", "whether a service runs, and where", home, as_json)

    likely = "what training on so many examples will be like"
    estimate = _add(commands, "estimate", "local_models", likely, home, model, as_json)
    estimate.add_argument("--examples", type=int, required=True, metavar="N", help="how many examples there are")

    seen = "what training sees: an example or a text as tokens"
    tokens = _add(commands, "tokens", "local_models", seen, home, model)
    what = tokens.add_mutually_exclusive_group(required=True)
    what.add_argument("file", nargs="?", type=Path, metavar="FILE", help="a JSONL training file")
    what.add_argument("--text", help="a text instead of a file")
    tokens.add_argument("--line", type=int, default=1, metavar="N", help="which line (default: %(default)s)")
    tokens.add_argument("--json", action="store_true", help="as JSON: a list of token, text, counts")

    export = _add(commands, "export", "local_models", "take a fine-tuned model home, as a folder", home)
    export.add_argument("model", metavar="MODEL", help="its name, or that of a checkpoint")
    export.add_argument(
        "--format",
        choices=("gguf", "peft", "merged"),
        default="gguf",
        help="gguf: for Ollama and llama.cpp; peft: a LoRA adapter, for transformers and vLLM; merged: one whole "
        "model (default: %(default)s)",
    )
    export.add_argument("--to", type=Path, required=True, metavar="DIR", help="the folder to make")
    export.add_argument("--replace", action="store_true", help="replace DIR if an earlier export made it")
    _add(commands, "stop", "status", "stop the running service", home)
    return parser


def _add(
    commands: Any, name: str, module: str, said: str, *options: argparse.ArgumentParser
) -> argparse.ArgumentParser:
    """A command that stands among the `COMMANDS` of a module of `openai_local.command`."""
    parser = commands.add_parser(name, parents=options, help=said)
    parser.set_defaults(run=(module, name))
    return parser


def _add_serve(serve: argparse.ArgumentParser) -> None:
    serve.add_argument("--host", help="address to listen on (default: 127.0.0.1, which is this machine alone)")
    serve.add_argument("--port", type=int, help="port (default: 8765; 0 picks a free one)")
    serve.add_argument("--idle-timeout", type=float, metavar="SECONDS", help="stop when nobody called for so long")
    said = "for programs: print the address of the service that runs, or be it, and write to its log"
    serve.add_argument("--detached", action="store_true", help=said)
    group = serve.add_argument_group("a class")
    who = group.add_mutually_exclusive_group()
    who.add_argument("--class", dest="roster", type=Path, metavar="FILE", help="make keys for a roster in CSV")
    who.add_argument("--learners", type=_count, metavar="N", help="make keys for learner-01 to learner-N")
    group.add_argument("--instructor", metavar="NAME", default="instructor", help="name of the key that sees all")
    group.add_argument("--url", help="the address that others type, if it is not this machine's")
    for name, what in (
        ("jobs", "jobs that are not over"),
        ("megabytes", "megabytes of files and models"),
        ("requests", "requests in a minute"),
        ("minutes", "minutes of training for one job"),
    ):
        said = f"{what}, for each learner; 0 is no limit"
        group.add_argument(f"--most-{name}", type=_count, metavar="N", help=said)
    beyond = serve.add_argument_group("for other machines")
    beyond.add_argument("--certificate", type=Path, metavar="FILE", help="TLS: the certificate, in PEM")
    beyond.add_argument("--private-key", type=Path, metavar="FILE", help="TLS: its private key, in PEM")
    beyond.add_argument("--prefix", metavar="PATH", help="the path under which a proxy has the service: /lesson")
    beyond.add_argument("--jupyterhub", action="store_true", help="a JupyterHub starts it and knows the keys")
    runner = serve.add_argument_group("where jobs are trained")
    runner.add_argument("--runner", choices=("local", "slurm"), default="local", help="default: %(default)s")
    runner.add_argument("--site", type=Path, metavar="FILE", help="for Slurm: the site's settings, site.toml")


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 up")
    return int(text)


def _add_keys(keys: Any, home: argparse.ArgumentParser, as_json: argparse.ArgumentParser) -> None:
    new = _add(keys, "new", "access_keys", "make a key and print it", home)
    new.add_argument("name", help="whose key it is: letters, digits, - and _")
    new.add_argument("--instructor", action="store_true", help="it sees what everybody does")
    _add(keys, "list", "access_keys", "which keys there are; a key itself is never shown again", home, as_json)
    renew = _add(keys, "renew", "access_keys", "a new key for a name, in place of those that it has", home)
    renew.add_argument("name", help="whose key it is")
    revoke = _add(keys, "revoke", "access_keys", "make a key worthless, or all of a name", home)
    revoke.add_argument("which", metavar="NAME|ID", help="a name, or the id of one key as 'keys list' shows it")


def _add_bases(bases: Any, home: argparse.ArgumentParser, as_json: argparse.ArgumentParser) -> None:
    _add(bases, "fetch", "local_models", "fetch and check the base model, once")
    _add(bases, "check", "local_models", "whether the base model's files are as they should be", as_json)
    add = _add(bases, "add", "local_models", "register a model of your own as a base model", home)
    add.add_argument("name", metavar="NAME", help="what jobs will call it: small letters, digits, dots, - and _")
    add.add_argument("path", metavar="PATH", type=Path, help="a .gguf file or a Hugging Face folder")
    add.add_argument("--title", help="what people call it (default: NAME)")
    add.add_argument("--licence", help="the name of its licence")
    _add(bases, "list", "local_models", "which base models there are", home, as_json)
    remove = _add(bases, "remove", "local_models", "remove a base model that you registered", home)
    remove.add_argument("name", metavar="NAME", help="its name")
