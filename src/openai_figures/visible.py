"""Texts that somebody else wrote, as a terminal may show them.

A file's name, a message or an answer may hold what a terminal obeys (escape sequences), or what turns the text
around it (bidirectional controls). Here such characters become codes that one can read, as Python writes them.
"""

import re

_OBEYED = "\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f"
_TURNING = "\\u061c\\u200e\\u200f\\u2028-\\u202e\\u2066-\\u2069"
_IN_ANSWERS = re.compile(f"[{_OBEYED}]")
_IN_SENTENCES = re.compile(f"[{_OBEYED}{_TURNING}]")
_IN_LINES = re.compile(f"[{_OBEYED}{_TURNING}\n\t]")
_IN_JSON = re.compile(f"[\\x7f-\\x9f{_TURNING}]")


def sentence(text: str) -> str:
    """A sentence with names in it. New lines and tabs stay."""
    return _IN_SENTENCES.sub(_code, text)


def line(text: str) -> str:
    """What must stay on one line: a name, a message in a list of messages."""
    return _IN_LINES.sub(_code, text)


def answer(text: str) -> str:
    """What a model wrote. Signs that turn the text stay: Arabic and Hebrew need them."""
    return _IN_ANSWERS.sub(_code, text)


def json_text(text: str) -> str:
    """A document in JSON, with the same meaning. (`json.dumps` has done so with what is below 32.)"""
    return _IN_JSON.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _code(found: re.Match[str]) -> str:
    return repr(found[0])[1:-1]
