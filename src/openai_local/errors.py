"""The one family of errors that this package shows to a person, and texts of others as a person may see them.

The message of an error says what happened, where, and what to type next. The command line prints it without a
traceback; the service puts it into OpenAI's error envelope.

A name may hold what a terminal obeys (escape sequences), what begins a new line, or what turns the text around it
(bidirectional controls). Before a terminal or a log shows it, such characters become codes that one can read, as
Python writes them.
"""

import re

_HIDDEN = "\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f\\u061c\\u200e\\u200f\\u2028-\\u202e\\u2066-\\u2069"
_IN_SENTENCES = re.compile(f"[{_HIDDEN}]")
_IN_LINES = re.compile(f"[{_HIDDEN}\n\t]")


class LocalError(Exception):
    """Something a person can mend. ``str(error)`` is the sentence to show."""


def visible(sentence: str) -> str:
    """A sentence with names in it. New lines and tabs stay."""
    return _IN_SENTENCES.sub(_code, sentence)


def visible_line(text: str) -> str:
    """What must stay on one line."""
    return _IN_LINES.sub(_code, text)


def bare(text: str) -> str:
    """A name without such characters, for where they can only be there by mistake or malice."""
    return _IN_LINES.sub("", text)


def _code(found: re.Match[str]) -> str:
    return repr(found[0])[1:-1]
