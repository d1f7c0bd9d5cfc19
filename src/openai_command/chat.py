"""The words ``chat_completions.create`` (of 0.28) and ``chat.completions.create``: an answer in a conversation."""

from __future__ import annotations

import argparse
from typing import Any

from openai_command.answers import add_options, chosen, show_texts
from openai_command.clients import client_for
from openai_command.printing import speak


def register(commands: argparse._SubParsersAction) -> None:
    """Add the words to ``openai api``."""
    for word in ("chat.completions.create", "chat_completions.create"):
        parser = commands.add_parser(word, help="ask a model in a conversation")
        parser.add_argument(
            "-g",
            "--message",
            action="append",
            nargs=2,
            metavar=("ROLE", "CONTENT"),
            required=True,
            help="a message, such as  -g user 'Who are you?'  (once for each)",
        )
        add_options(parser)
        parser.set_defaults(run=_create)


def _create(arguments: argparse.Namespace) -> int:
    request: dict[str, Any] = chosen(arguments)
    request["messages"] = [{"role": role, "content": content} for role, content in arguments.message]
    if arguments.max_tokens is not None:
        request["max_completion_tokens"] = arguments.max_tokens
    completions = client_for(arguments).chat.completions
    if arguments.stream:
        _stream(completions.create(**request, stream=True))
        return 0
    answer = completions.create(**request)
    choices = sorted(answer.choices, key=lambda choice: choice.index)
    show_texts([choice.message.content or "" for choice in choices], "Chat Completion")
    return 0


def _stream(pieces: Any) -> None:
    text = ""
    for piece in pieces:
        for choice in piece.choices:
            text = choice.delta.content or ""
            speak(text)
    print(end="" if text.endswith("\n") else "\n")
