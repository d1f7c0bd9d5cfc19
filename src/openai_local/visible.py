"""Texts that somebody else wrote, as a terminal or a log may show them.

A name may hold what a terminal obeys (escape sequences), what begins a new line, or what turns the text around it
(bidirectional controls). Here such characters become codes that one can read, as Python writes them.
"""

from __future__ import annotations

import re

_HIDDEN = "\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f\\u061c\\u200e\\u200f\\u2028-\\u202e\\u2066-\\u2069"
_IN_SENTENCES = re.compile(f"[{_HIDDEN}]")
_IN_LINES = re.compile(f"[{_HIDDEN}\n\t]")


def sentence(text: str) -> str:
    """A sentence with names in it. New lines and tabs stay."""
    return _IN_SENTENCES.sub(_code, text)


def line(text: str) -> str:
    """What must stay on one line."""
    return _IN_LINES.sub(_code, text)


def bare(text: str) -> str:
    """A name without them, for where they can only be there by mistake or malice."""
    return _IN_LINES.sub("", text)


def _code(found: re.Match[str]) -> str:
    return repr(found[0])[1:-1]
