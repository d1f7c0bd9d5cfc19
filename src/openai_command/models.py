"""The words ``models.…``: what models there are."""

from __future__ import annotations

import argparse

from openai_command.clients import client_for
from openai_command.printing import show, show_list
from openai_command.words import add_words


def register(commands: argparse._SubParsersAction) -> None:
    """Add the words to ``openai api``."""
    commands.add_parser("models.list", help="the models that there are").set_defaults(run=_list)
    words = (
        ("models.get", _get, "one model"),
        ("models.retrieve", _get, "the same as models.get"),
        ("models.delete", _delete, "delete a fine-tuned model"),
    )
    add_words(commands, "the model's name", words)


def _list(arguments: argparse.Namespace) -> int:
    return show_list(client_for(arguments).models.list())


def _get(arguments: argparse.Namespace) -> int:
    return show(client_for(arguments).models.retrieve(arguments.id))


def _delete(arguments: argparse.Namespace) -> int:
    return show(client_for(arguments).models.delete(arguments.id))
