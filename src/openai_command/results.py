"""The table of a fine-tune's results, as text."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Any

from openai_data.errors import LessonError

if TYPE_CHECKING:
    import openai


def results(client: openai.OpenAI, fine_tune: dict[str, Any]) -> str:
    """The first result file of a fine-tune or of a job: a CSV table, a row for each step.

    Raises:
        LessonError: there is none.
    """
    files = fine_tune.get("result_files") or []
    if not files:
        raise LessonError(
            f"No results file available for fine-tune {fine_tune['id']}: it is {fine_tune['status']}. "
            "There is one when it has succeeded."
        )
    id_ = files[0]["id"] if isinstance(files[0], dict) else files[0]
    return _plain(client.files.content(id_).content)


def _plain(content: bytes) -> str:
    """OpenAI sends such files in base64."""
    try:
        decoded = base64.b64decode(content, validate=True)
    except binascii.Error:
        decoded = content
    return decoded.decode("utf-8", "replace")
