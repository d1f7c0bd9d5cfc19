"""Reading JSON: one record per line, an array (indented or not), or columns."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from openai_data.errors import LessonError
from openai_data.table import Choice, Choose, Table
from openai_data.text_files import find_encoding

_NOT_SPACE = re.compile(r"\S")
_Numbered = tuple[int, Any]


def read_json(path: Path, choose: Choose) -> Table:
    """Read records from a JSON or JSONL file, whichever of the two its name says.

    Raises:
        LessonError: it is not valid JSON (the message names the line), or its records can't be used.
    """
    encoding, notes = find_encoding(path), []
    if lines := path.suffix.lower() != ".json":
        try:
            records = list(_by_line(path, encoding))
        except _NoLines:
            lines, notes = False, ["Your JSONL file appears to be in a JSON format. Both are read"]
    if not lines:
        records = _whole(path, encoding)
    table = _table(path, records, lines, notes, choose)
    if not encoding.startswith("utf-8"):  # a training file has to be
        table.changes.insert(0, f"Write the text as UTF-8; now it is {encoding}")
    return table


class _NoLines(Exception):  # noqa: N818 (no error: the file is read in the other way then)
    """The file is a whole where lines were expected."""


def _by_line(path: Path, encoding: str) -> Iterator[_Numbered]:
    with path.open(encoding=encoding) as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                record = _decoded(f"Line {number} of {path}", json.loads, line)
            except json.JSONDecodeError as error:
                if number == 1 and line.lstrip()[0] in "[{" and error.pos >= len(line.rstrip()):
                    raise _NoLines from None  # the beginning of one large value
                raise _invalid(path, number, error) from None
            if number == 1 and (isinstance(record, list) or _has_columns(record)):
                raise _NoLines
            yield number, record


def _decoded(place: str, decode: Callable[..., Any], *given: Any) -> Any:
    """What a JSON decoder makes of a text at a place. Raises `json.JSONDecodeError` too."""
    try:
        return decode(*given)
    except RecursionError:
        raise LessonError(f"{place} is nested too deeply to be training data.") from None
    except json.JSONDecodeError:
        raise
    except ValueError as error:  # a number with thousands of digits
        raise LessonError(f"{place} can't be read: {error}.") from None


def _invalid(path: Path, line: int, error: json.JSONDecodeError) -> LessonError:
    return LessonError(
        f"Line {line} of {path} is not valid JSON: {error.msg} at character {error.colno}. "
        "Mend that line, or delete it."
    )


def _whole(path: Path, encoding: str) -> list[_Numbered]:
    """One value, or several values one after the other, as indented JSON files have them."""
    text = path.read_text(encoding=encoding)
    try:
        return _records(path, _decoded(str(path), json.loads, text))
    except json.JSONDecodeError as error:
        if error.msg != "Extra data":
            raise LessonError(
                f"{path} is not valid JSON: {error.msg} in line {error.lineno}, character {error.colno}. "
                "Mend it there, and try again."
            ) from None
    return list(_one_after_the_other(path, text))


def _one_after_the_other(path: Path, text: str) -> Iterator[_Numbered]:
    decode, position, number = json.JSONDecoder().raw_decode, 0, 0
    while begins := _NOT_SPACE.search(text, position):
        number += 1
        try:
            record, position = _decoded(f"Record {number} of {path}", decode, text, begins.start())
        except json.JSONDecodeError as error:
            raise _invalid(path, error.lineno, error) from None
        yield number, record


def _records(path: Path, value: Any) -> list[_Numbered]:
    """An array of records as it is; columns (``{"prompt": […], "completion": […]}``) turned into records."""
    if isinstance(value, list):
        return list(enumerate(value, 1))
    if not _has_columns(value):
        return [(1, value)]
    columns = [list(column.values()) if isinstance(column, dict) else column for column in value.values()]
    if len({len(column) for column in columns}) > 1:
        raise LessonError(f"The columns in {path} are not of the same length.")
    return [(i, dict(zip(value, cells, strict=True))) for i, cells in enumerate(zip(*columns, strict=True), 1)]


def _has_columns(value: Any) -> bool:
    """Whether this is ``{"prompt": […], "completion": […]}``, and no conversation."""
    columns = value.values() if isinstance(value, dict) else ()
    return len(columns) > 1 and all(isinstance(column, (list, dict)) for column in columns)


def _table(path: Path, records: list[_Numbered], lines: bool, notes: list[str], choose: Choose) -> Table:
    unit, form = ("line", "JSONL") if lines else ("record", "JSON")
    if not records:
        raise LessonError(f"{path} holds no records. Put one example into each line.")
    header = _header(path, records, unit)
    if conversations := header == ["messages"]:
        form = "chat" if lines else form  # such lines may be trained on as they are
        choice = Choice(header, 0, 0)
        notes = ["Your file holds conversations; each has one question and one answer"]
    else:
        choice = choose(header)
    keys = header[choice.prompt], header[choice.completion]
    columns: tuple[list[str], list[str]] = [], []
    for number, record in records:
        try:
            cells = _conversation(record) if conversations else [(key, record.get(key)) for key in keys]
            for texts, (key, value) in zip(columns, cells, strict=True):
                texts.append(_text(key, value))
        except ValueError as error:
            raise LessonError(f"{unit.capitalize()} {number} of {path} {error}") from None
    numbers = [number for number, _ in records]
    changes = [] if conversations else choice.changes()
    return Table(*columns, numbers, path.name, form, unit, notes + choice.notes, changes)


def _header(path: Path, records: list[_Numbered], unit: str) -> list[str]:
    """All keys, in the order in which they come."""
    found: dict[str, None] = {}
    for number, record in records:
        if not isinstance(record, dict):
            raise LessonError(
                f"{unit.capitalize()} {number} of {path} is not an object. Each example has to look like this:  "
                '{"prompt": "…", "completion": "…"}'
            )
        found |= dict.fromkeys(record)
    return list(found)


def _conversation(record: dict[str, Any]) -> list[tuple[str, Any]]:
    """The question and the answer of a conversation that is no longer."""
    messages = record.get("messages")
    messages = messages if isinstance(messages, list) else []
    roles = [message.get("role") if isinstance(message, dict) else None for message in messages]
    if roles != ["user", "assistant"]:
        raise ValueError(
            "is a conversation that is not just one message of the user and one of the assistant. It can't "
            "be made into a prompt and a completion. Such a file needs no preparation: train with it as it is."
        )
    return [("content", message.get("content")) for message in messages]


def _text(key: str, value: Any) -> str:
    """A value as text. What is absent or null is empty."""
    if isinstance(value, str):
        if not value.isascii() and any("\ud800" <= character <= "\udfff" for character in value):
            raise ValueError(
                f"has half a character (a lone surrogate) in {key!r}. Delete it, or write the character whole."
            )
        if "\x00" in value:
            raise ValueError(f"has a NUL character in {key!r}. Delete it.")
        return value
    if value is None or value != value:
        return ""
    if isinstance(value, (list, dict)):
        raise ValueError(f"has a list or an object in {key!r}, where a text is needed.")
    return str(value)
