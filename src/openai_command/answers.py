"""What completions and conversations have in common: their options, and how their answers are printed."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from openai_command.printing import note, speak
from openai_data.errors import LessonError

_OPTIONS: tuple[tuple[tuple[str, ...], dict[str, Any]], ...] = (
    (("-M", "--max-tokens"), {"type": int, "help": "how long an answer may become"}),
    (("-t", "--temperature"), {"type": float, "help": "0 for the likeliest answer, up to 2 for surprises"}),
    (("-P", "--top_p"), {"type": float, "help": "choose among the tokens that have this share of probability"}),
    (("-n", "--n"), {"type": int, "help": "how many answers"}),
    (("--stop",), {"help": "a text that ends an answer"}),
    (("--stream",), {"action": "store_true", "help": "show the answer as it comes"}),
)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that both have."""
    model = parser.add_mutually_exclusive_group(required=True)
    model.add_argument("-m", "--model", help="the model to ask")
    model.add_argument("-e", "--engine", help="the same, as it was called before 2022")
    for names, details in _OPTIONS:
        parser.add_argument(*names, **details)


def chosen(arguments: argparse.Namespace, *names: str) -> dict[str, Any]:
    """The model, and those of the options that were given.

    Raises:
        LessonError: several answers can't be shown as they come.
    """
    if arguments.stream and (arguments.n or 1) > 1:
        raise LessonError("Only one answer can be streamed. Leave out --stream, or -n.")
    found = {name: getattr(arguments, name) for name in ("temperature", "top_p", "n", "stop", *names)}
    given = {name: value for name, value in found.items() if value is not None}
    return {"model": arguments.model or arguments.engine, **given}


def show_texts(texts: Sequence[str], title: str) -> None:
    """Print one answer, or several below their numbers."""
    for number, text in enumerate(texts):
        if len(texts) > 1:
            print(f"===== {title} {number} =====")
        speak(text if text.endswith("\n") else f"{text}\n")


def remark_on_end(arguments: argparse.Namespace, finish: str | None) -> None:
    """Say so when an answer was cut off and nobody had asked for that."""
    if finish == "length" and arguments.max_tokens is None:
        note("The answer was cut off: it may have 16 tokens unless you say more, for example  -M 100")
