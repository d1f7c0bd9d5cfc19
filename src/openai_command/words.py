"""Adding words to the command that are about one thing, named by its id."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable

Run = Callable[[argparse.Namespace], int]


def add_words(
    commands: argparse._SubParsersAction, what: str, words: Iterable[tuple[str, Run, str]]
) -> dict[str, argparse.ArgumentParser]:
    """Add words with the option ``-i``.

    Args:
        commands: where to add them.
        what: what is named by ``-i``, for the help.
        words: each word, the function that runs it, and its help.

    Returns:
        The parser of each word, for options of its own.
    """
    parsers = {}
    for word, run, help_ in words:
        parsers[word] = parser = commands.add_parser(word, help=help_)
        parser.add_argument("-i", "--id", required=True, help=what)
        parser.set_defaults(run=run)
    return parsers
