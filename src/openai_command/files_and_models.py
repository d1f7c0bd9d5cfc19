"""The words ``files.…`` and ``models.…``: what lies at the host."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from openai_command.api_words import add_word, client_for, show, speak
from openai_data.errors import LessonError

if TYPE_CHECKING:
    import openai

    from openai_command.api_words import Ask


def register(commands: argparse._SubParsersAction) -> None:
    """Add the words to ``openai api``."""
    models: tuple[tuple[str, str, Ask], ...] = (
        ("models.get", "one model", lambda client, given: client.models.retrieve(given.id)),
        ("models.retrieve", "the same as models.get", lambda client, given: client.models.retrieve(given.id)),
        ("models.delete", "delete a fine-tuned model", lambda client, given: client.models.delete(given.id)),
    )
    files: tuple[tuple[str, str, Ask], ...] = (
        ("files.get", "what is known of one file", lambda client, given: client.files.retrieve(given.id)),
        ("files.retrieve", "the same as files.get", lambda client, given: client.files.retrieve(given.id)),
        ("files.content", "print what is in a file", _print_content),
        ("files.delete", "delete a file", lambda client, given: client.files.delete(given.id)),
    )
    add_word(commands, "models.list", "the models that there are", lambda client, _: list(client.models.list()))
    for word, what, ask in models:
        add_word(commands, word, what, ask, "the model's name")
    create = commands.add_parser("files.create", help="upload a file")
    create.add_argument("-f", "--file", type=Path, required=True, help="the file")
    create.add_argument("-p", "--purpose", required=True, help="what it is for: fine-tune")
    create.set_defaults(run=_upload)
    add_word(commands, "files.list", "the uploaded files", lambda client, _: list(client.files.list()))
    for word, what, ask in files:
        add_word(commands, word, what, ask, "the file's id: file-…")


def _upload(arguments: argparse.Namespace) -> int:
    from openai_lesson.training import send

    if not arguments.file.is_file():
        raise LessonError(f"There is no file {arguments.file} in {Path.cwd()}.")
    return show(send(client_for(arguments), arguments.file, purpose=arguments.purpose))


def _print_content(client: openai.OpenAI, arguments: argparse.Namespace) -> None:
    answer = client.files.content(arguments.id)
    if sys.stdout.isatty():
        speak(answer.text)
    else:
        sys.stdout.buffer.write(answer.content)
