"""The words ``files.…`` and ``models.…`` of ``openai api``, and what all its words have in common.

That is the client that they ask with, and how they print: answers go to standard output as JSON, notes for the
person to standard error. Names and messages come from others. What a terminal would obey in them is shown as a
code (`openai_figures.visible`).
"""

import argparse
import json
import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from openai_data.errors import LessonError
from openai_figures import visible

if TYPE_CHECKING:
    import openai

Ask = Callable[["openai.OpenAI", argparse.Namespace], Any]


def register(commands: argparse._SubParsersAction) -> None:
    """Add the words to ``openai api``."""
    name, id_ = "the model's name", "the file's id: file-…"
    words: tuple[tuple[str, str, str, Ask], ...] = (
        ("models.list", "the models that there are", "", lambda at, _: list(at.models.list())),
        ("models.get", "one model", name, lambda at, given: at.models.retrieve(given.id)),
        ("models.retrieve", "the same as models.get", name, lambda at, given: at.models.retrieve(given.id)),
        ("models.delete", "delete a fine-tuned model", name, lambda at, given: at.models.delete(given.id)),
        ("files.list", "the uploaded files", "", lambda at, _: list(at.files.list())),
        ("files.get", "what is known of one file", id_, lambda at, given: at.files.retrieve(given.id)),
        ("files.retrieve", "the same as files.get", id_, lambda at, given: at.files.retrieve(given.id)),
        ("files.content", "print what is in a file", id_, _print_content),
        ("files.delete", "delete a file", id_, lambda at, given: at.files.delete(given.id)),
    )
    for word, what, of, ask in words:
        add_word(commands, word, what, ask, of)
    create = commands.add_parser("files.create", help="upload a file")
    create.add_argument("-f", "--file", type=Path, required=True, help="the file")
    create.add_argument("-p", "--purpose", required=True, help="what it is for: fine-tune")
    create.set_defaults(run=_upload)


def add_word(
    commands: argparse._SubParsersAction, word: str, help_: str, ask: Ask, of: str = ""
) -> argparse.ArgumentParser:
    """Add a word, such as ``models.get``, that asks a host for something and prints that. Returns its parser.

    `ask` is called with the client and the arguments, and returns what `show` prints, or None. `of` is what the
    option ``-i`` names, for the help (nothing: there is no such option).
    """

    def run(arguments: argparse.Namespace) -> None:
        if (found := ask(client_for(arguments), arguments)) is not None:
            show(found)

    parser = commands.add_parser(word, help=help_)
    parser.set_defaults(run=run)
    if of:
        parser.add_argument("-i", "--id", required=True, help=of)
    return parser


def _upload(arguments: argparse.Namespace) -> None:
    from openai_command.training_files import send

    if not arguments.file.is_file():
        raise LessonError(f"There is no file {arguments.file} in {Path.cwd()}.")
    show(send(client_for(arguments), arguments.file, purpose=arguments.purpose))


def _print_content(client: "openai.OpenAI", arguments: argparse.Namespace) -> None:
    with client.files.with_streaming_response.content(arguments.id) as answer:  # it may be larger than the memory
        if not sys.stdout.isatty():
            sys.stdout.buffer.writelines(answer.iter_bytes())
            return
        for text in answer.iter_text():
            speak(text)


def client_for(arguments: argparse.Namespace) -> "openai.OpenAI":
    """The client for one run of the command. Says in one line where it goes, unless that was named.

    The key that is used is left in `arguments.secret`, so that no error shows it. If the service on this machine
    can't be started, or there is no key for the host, that is a `LessonError`.
    """
    import openai

    from openai_command.destination import for_command

    of_azure = (arguments.api_version, arguments.azure_endpoint, arguments.azure_ad_token)
    if arguments.api_type == "azure" or any(of_azure):
        raise LessonError(
            "This command does not speak to Azure. In Python,  from openai import AzureOpenAI  does. "
            "Leave out --api-type, --api-version and --azure-…"
        )
    if arguments.verbose:
        # Once: each request in a line. Twice: what the client knows of it, which masks keys by itself.
        logging.basicConfig(format="[%(asctime)s] %(message)s")
        logging.getLogger("httpx2").setLevel(logging.INFO)
        logging.getLogger("openai").setLevel(logging.DEBUG if arguments.verbose > 1 else logging.INFO)
    if arguments.api_key and arguments.api_key.startswith("sk-"):
        variable = "set" if sys.platform == "win32" else "export"
        note(
            "Others on this computer can read a key that is typed into a command. "
            f"Safer:  {variable} OPENAI_API_KEY=…"
        )
    found = for_command(arguments.api_base, arguments.api_key)
    arguments.secret = found.key
    for remark in found.remarks:
        note(remark)
    return openai.OpenAI(
        base_url=found.url,
        api_key=found.key,
        organization=arguments.organization or os.environ.get("OPENAI_ORGANIZATION"),
        http_client=_through(arguments.proxy),
    )


def _through(proxies: list[str] | None) -> Any:
    """A connection through a proxy, or None. One that begins with https is for addresses that do, as in 2022."""
    if not proxies:
        return None
    import httpx2
    import openai

    mounts = {
        "https://" if proxy.startswith("https") else "http://": httpx2.HTTPTransport(proxy=proxy)
        for proxy in proxies
    }
    return openai.DefaultHttpx2Client(mounts=mounts)


def show(found: Any) -> None:
    """Print an object of the client's, a dict, or a list of such as JSON."""
    plain = {"object": "list", "data": list(map(_plain, found))} if isinstance(found, list) else _plain(found)
    readable = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    print(visible.json_text(json.dumps(plain, indent=2, ensure_ascii=not readable)))


def _plain(found: Any) -> dict[str, Any]:
    return found if isinstance(found, dict) else found.to_dict(mode="json", warnings=False)


def note(text: str) -> None:
    """Tell the person something that is not the answer."""
    print(visible.sentence(text), file=sys.stderr, flush=True)


def say(text: str) -> None:
    """Tell the person how it goes, among the answers."""
    print(visible.sentence(text), flush=True)


def speak(text: str) -> None:
    """Print a piece of what a model wrote or a file holds: as it is, but to a terminal nothing that it obeys."""
    print(visible.answer(text) if sys.stdout.isatty() else text, end="", flush=True)
