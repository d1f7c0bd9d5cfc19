"""A cell with a literal key in it does not run: its source would be saved with the notebook.

The cell is replaced, as the first thing that happens to it, by one line that raises a sentence.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

from openai_command.redaction import Secrets
from openai_data.errors import LessonError

Transform = Callable[[list[str]], list[str]]

_INSTEAD = f"__import__({__name__!r}, fromlist=['refuse']).refuse()\n"


def stop_keys(secrets: Secrets) -> Transform:
    """What IPython does to each cell first."""

    def transform(lines: list[str]) -> list[str]:
        secrets.refresh()
        return [_INSTEAD] if secrets.typed("".join(lines)) else lines

    return transform


def refuse() -> NoReturn:
    """Say why a cell did not run.

    Raises:
        LessonError: always.
    """
    raise LessonError(
        "This cell has a key in it, so it was not run: whoever gets the notebook gets the key.\n"
        "1. Delete the key from the cell.\n"
        "2. Enter it in a hidden prompt instead:  %key   (or: from openai_lesson import keys; keys.ask())\n"
        "   It is kept in a file that only you can read.\n"
        '3. Use it:  client = openai_lesson.connect("openai")\n'
        "If the notebook was shared or uploaded with the key, make a new key and switch the old one off."
    )
