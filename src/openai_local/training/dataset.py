"""Training data: the lines of a JSONL file, checked without a model. The service calls this, too.

Two forms, told apart by the first line's keys, as at OpenAI: ``{"prompt": …, "completion": …}`` and
``{"messages": [{"role": …, "content": …}, …]}``.

Left out: tool calls, images, and the preference pairs of other fine-tuning methods.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from openai_local.errors import LocalError

MINIMUM = 10
MOST_LINE = 1_000_000
"""Bytes of a line, at most: hundreds of times as much as is trained of an example. A file is checked inside the
service, where a line without end would hold everybody up, and fill the memory."""
ROLES = ("system", "developer", "user", "assistant")
_UNEXPECTED = "Unexpected file format, expected either prompt/completion pairs or chat messages."


class DataError(LocalError):
    """A file that can't be trained on. `code` is OpenAI's, the message names the line, `param` the parameter."""

    def __init__(self, message: str, *, code: str = "invalid_training_file", param: str = "training_file") -> None:
        super().__init__(message)
        self.code, self.param = code, param


def read(path: Path, param: str = "training_file") -> list[dict[str, Any]]:
    """Read and check a file to train on or, with the `param` ``validation_file``, to validate with.

    Returns:
        One record per non-empty line, all of the same form, with what counts of it: prompt and completion, or the
        messages' roles, contents and weights.

    Raises:
        DataError: with OpenAI's code (``invalid_training_file``, ``invalid_n_examples``) and the line.
    """
    return [record for _, record in checked(path, param)]


def count(path: Path, param: str = "training_file") -> int:
    """Check a file as `read` does, and count its examples. No more of it is in memory than a line."""
    return sum(1 for _ in checked(path, param))


def checked(path: Path, param: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """The records that `read` returns, each with the number of its line."""
    found, chat = 0, False
    try:
        for number, line in _lines(path):
            record = _parse(line, number)
            if not found:
                chat = "messages" in record
                if not chat and "prompt" not in record and "completion" not in record:
                    raise DataError(f"{_UNEXPECTED} Line {number} has neither.")
            yield number, _kept(record, chat, number, line)
            found += 1
    except DataError as error:
        error.param = param
        raise
    least = MINIMUM if param == "training_file" else 1
    if found < least:
        raise DataError(
            f"{param.capitalize().replace('_', ' ')} has {found} example(s), but must have at least "
            f"{least} example{'s' * (least > 1)}.",
            code="invalid_n_examples",
            param=param,
        )


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    with path.open("rb") as file:
        for number, raw in enumerate(iter(partial(file.readline, MOST_LINE + 1), b""), start=1):
            if len(raw) > MOST_LINE:
                message = f"Line {number} has more than {MOST_LINE:,} bytes. Make it shorter, or several of it."
                raise DataError(message)
            try:
                line = raw.decode("utf-8-sig" if number == 1 else "utf-8").strip()
            except UnicodeDecodeError as error:
                message = f"Line {number} is not UTF-8 text (byte {error.start}). Save the file as UTF-8."
                raise DataError(message) from None
            if line:
                yield number, line


def _parse(line: str, number: int) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        message = f"Line {number} is not valid JSON ({_why(error)}). Each line must hold one whole example."
        raise DataError(message) from None
    if not isinstance(record, dict):
        raise DataError(f"{_UNEXPECTED} Line {number} is no JSON object.")
    return record


def _why(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg}, column {error.colno}"
    return "nested too deep" if isinstance(error, RecursionError) else "a number with thousands of digits"


def _kept(record: dict[str, Any], chat: bool, number: int, line: str) -> dict[str, Any]:
    """What counts of a record. Raises `DataError` if something is wrong with it."""
    if problem := _chat_problem(record) if chat else _pair_problem(record):
        raise DataError(f"Line {number}: {problem}")
    if chat:
        keys, messages = ("role", "content", "weight"), record["messages"]
        kept: dict[str, Any] = {"messages": [{key: m[key] for key in keys if key in m} for m in messages]}
    else:
        kept = {key: record[key] for key in ("prompt", "completion")}
    if "\\ud" in line.lower():
        try:
            json.dumps(kept, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            message = f"Line {number} holds half a character (such as \\ud83d alone). Write the whole character."
            raise DataError(message) from None
    return kept


def _pair_problem(record: dict[str, Any]) -> str | None:
    for key in ("prompt", "completion"):
        if not isinstance(record.get(key), str):
            return f"{key!r} is missing or no text."
    return None if record["completion"] else "'completion' is empty, so there is nothing to learn from it."


def _chat_problem(record: dict[str, Any]) -> str | None:
    messages = record.get("messages")
    if not isinstance(messages, list) or not messages:
        return "'messages' is missing or no list."
    for position, message in enumerate(messages):
        if not isinstance(message, dict) or message.get("role") not in ROLES:
            return f"messages[{position}] needs a role, one of {', '.join(ROLES)}."
        if not isinstance(message.get("content"), str):
            return f"messages[{position}] needs a text as content."
        weight = message.get("weight", 1)
        if weight not in (0, 1):
            shown = repr(weight)[:40] if isinstance(weight, (int, float, str)) else "no number"
            return f"messages[{position}] has the weight {shown}; only 0 and 1 are possible."
    return None if any(map(is_learned, messages)) else "there is no assistant's message to learn from."


def is_learned(message: dict[str, Any]) -> bool:
    """Whether a message is one that the model should learn to say."""
    return message["role"] == "assistant" and message.get("weight", 1) == 1 and bool(message["content"].strip())
