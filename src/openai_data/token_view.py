"""A text, or an example of a training file, as the model sees it: cut into tokens.

The tokens are those of the base model on this machine; the command ``openai-local tokens`` cuts the text and says
what counts, with the same code as training. How long examples are is counted in `prepare.tokens`.
"""

import json
from pathlib import Path
from typing import Any

from openai_data.errors import LessonError
from openai_data.local_cli import output
from openai_figures.boxes import Box, figure
from openai_figures.figure import Figure

LONGEST = 8_000
"""Characters of a text that is shown. Windows takes no more than about 32,000 in a command."""
_WHOSE = "The tokens are those of the base model on this machine."


def show_tokens(text: str) -> Figure:
    """A text in boxes, one for each token.

    Args:
        text: up to 8,000 characters.

    Returns:
        The figure. In a notebook, point at a box to see its token's number.

    Raises:
        LessonError: the text is too long or holds what is no text, or the base model is not on this machine.
    """
    if len(text) > LONGEST:
        raise LessonError(f"The text has {len(text):,} characters. Show at most {LONGEST:,} at once.")
    if "\0" in text:
        raise LessonError("The text holds a null character, which a command can't take. Leave it out.")
    try:
        found = _ask(f"--text={text}")
    except UnicodeEncodeError:
        raise LessonError("The text holds half a character (a lone surrogate). Write it anew.") from None
    return figure(_boxes(found), f"{_tokens(len(found))}. {_WHOSE}", legend=False)


def show_example(path: str | Path, line: int = 1) -> Figure:
    """An example as training sees it: its tokens in boxes, and which of them count towards the loss.

    Args:
        path: a training file (JSONL).
        line: which line of it, counted from 1.

    Returns:
        The figure. In a notebook, point at a box to see its token's number.

    Raises:
        LessonError: there is no such file or line, the file can't be trained on, or the base model is not on this
            machine.
    """
    found = _ask(f"--line={line}", "--", str(path))
    counted = sum(token["counts"] for token in found)
    said = f"Line {line} of {Path(path).name}: {_tokens(len(found))}. The loss counts {counted:,} of them."
    return figure(_boxes(found), f"{said} {_WHOSE}", legend=True)


def _ask(*words: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(output("tokens", "--json", *words))
    return found


def _tokens(count: int) -> str:
    return f"{count:,} token{'s' * (count != 1)}"


def _boxes(found: list[dict[str, Any]]) -> list[Box]:
    """A box for each token, or for several that have one piece of text together."""
    boxes, waiting = list[Box](), tuple[int, ...]()
    for token in found:
        waiting += (token["token"],)
        if token["text"]:
            boxes.append(Box(token["text"], waiting, token["counts"]))
            waiting = ()
    return boxes
