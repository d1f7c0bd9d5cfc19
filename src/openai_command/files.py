"""The words ``files.…``: uploaded files."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from openai_command.clients import client_for
from openai_command.printing import show, show_list, speak
from openai_command.words import add_words
from openai_data.errors import LessonError


def register(commands: argparse._SubParsersAction) -> None:
    """Add the words to ``openai api``."""
    create = commands.add_parser("files.create", help="upload a file")
    create.add_argument("-f", "--file", type=Path, required=True, help="the file")
    create.add_argument("-p", "--purpose", required=True, help="what it is for: fine-tune")
    create.set_defaults(run=_create)
    commands.add_parser("files.list", help="the uploaded files").set_defaults(run=_list)
    words = (
        ("files.get", _get, "what is known of one file"),
        ("files.retrieve", _get, "the same as files.get"),
        ("files.content", _content, "print what is in a file"),
        ("files.delete", _delete, "delete a file"),
    )
    add_words(commands, "the file's id: file-…", words)


def _create(arguments: argparse.Namespace) -> int:
    from openai_command.uploading import send

    if not arguments.file.is_file():
        raise LessonError(f"There is no file {arguments.file} in {Path.cwd()}.")
    return show(send(client_for(arguments), arguments.file, purpose=arguments.purpose))


def _list(arguments: argparse.Namespace) -> int:
    return show_list(client_for(arguments).files.list())


def _get(arguments: argparse.Namespace) -> int:
    return show(client_for(arguments).files.retrieve(arguments.id))


def _content(arguments: argparse.Namespace) -> int:
    sys.stdout.flush()
    with client_for(arguments).files.with_streaming_response.content(arguments.id) as answer:
        if sys.stdout.isatty():
            for text in answer.iter_text():
                speak(text)
            return 0
        for piece in answer.iter_bytes():
            sys.stdout.buffer.write(piece)
    sys.stdout.buffer.flush()
    return 0


def _delete(arguments: argparse.Namespace) -> int:
    return show(client_for(arguments).files.delete(arguments.id))
