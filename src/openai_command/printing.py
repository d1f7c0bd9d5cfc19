"""What the command prints: answers as JSON on standard output, notes for the person on standard error.

Names and messages come from others. What a terminal would obey in them is shown as a code
(`openai_figures.visible`).
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from openai_figures import visible

if TYPE_CHECKING:
    from openai import BaseModel


def show(found: BaseModel | dict[str, Any]) -> int:
    """Print an object as JSON. Returns the exit code 0."""
    readable = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    print(visible.json_text(json.dumps(_plain(found), indent=2, ensure_ascii=not readable)))
    return 0


def show_list(found: Iterable[BaseModel]) -> int:
    """Print objects, of all pages that there are, as one list. Returns the exit code 0."""
    return show({"object": "list", "data": [_plain(item) for item in found]})


def note(text: str) -> None:
    """Tell the person something that is not the answer."""
    print(visible.sentence(text), file=sys.stderr, flush=True)


def say(text: str) -> None:
    """Tell the person how it goes, among the answers."""
    print(visible.sentence(text), flush=True)


def speak(text: str) -> None:
    """Print a piece of what a model wrote or a file holds: as it is, but to a terminal nothing that it obeys."""
    print(visible.answer(text) if sys.stdout.isatty() else text, end="", flush=True)


def tell(created_at: float, message: str) -> None:
    """Print an event of a fine-tune as in 2022: ``[2022-12-07 17:10:04] Fine-tune started``."""
    print(
        f"[{time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(created_at))}] {visible.line(message)}", flush=True
    )


def _plain(found: BaseModel | dict[str, Any]) -> dict[str, Any]:
    return found if isinstance(found, dict) else found.to_dict(mode="json", warnings=False)
