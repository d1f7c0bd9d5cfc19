"""Reading JSON: one record per line, an array (indented or not), or columns."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from openai_data.columns import choose
from openai_data.encoding import find_encoding
from openai_data.errors import LessonError
from openai_data.table import Table

_Numbered = tuple[int, Any]


def read_json(path: Path, prompt: str | None, completion: str | None) -> Table:
    """Read records from a JSON or JSONL file, whichever of the two its name says.

    Raises:
        LessonError: it is not valid JSON (the message names the line), or its records can't be used.
    """
    encoding = find_encoding(path)
    lines = path.suffix.lower() != ".json"
    try:
        records = list(_by_line(path, encoding)) if lines else _whole(path, encoding)
        notes = []
    except _OtherForm:
        records = _whole(path, encoding) if lines else list(_by_line(path, encoding))
        forms = ("JSONL", "JSON") if lines else ("JSON", "JSONL")
        notes = [f"Your {forms[0]} file appears to be in a {forms[1]} format. Both are read"]
    table = _table(path, records, lines and not notes, prompt, completion, notes)
    if not encoding.startswith("utf-8"):  # a training file has to be
        table.changes.insert(0, f"Write the text as UTF-8; now it is {encoding}")
    return table


class _OtherForm(Exception):  # noqa: N818 (no error: the file is read in the other way then)
    """The file is a whole where lines were expected, or lines where a whole was."""


def _by_line(path: Path, encoding: str) -> Iterator[_Numbered]:
    with path.open(encoding=encoding) as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                record = json.loads(line)
            except RecursionError:
                raise _too_deep(path, f"Line {number} of") from None
            except json.JSONDecodeError as error:
                if number == 1 and line.lstrip()[0] in "[{":
                    _require_whole(path, encoding, error)
                raise _invalid(path, number, error) from None
            except ValueError as error:  # a number with thousands of digits
                raise LessonError(f"Line {number} of {path} can't be read: {error}.") from None
            if number == 1 and (isinstance(record, list) or _has_columns(record)):
                raise _OtherForm
            yield number, record


def _require_whole(path: Path, encoding: str, error: json.JSONDecodeError) -> None:
    """Line 1 may be the beginning of one large JSON value. Raises `_OtherForm` if it is."""
    text = path.read_text(encoding=encoding)
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        if error.pos < len(text.splitlines()[0].rstrip()):
            return  # wrong within the line, so it is no beginning either
    raise _OtherForm


def _whole(path: Path, encoding: str) -> list[_Numbered]:
    """One value, or several values one after the other, as indented JSON files have them."""
    text = path.read_text(encoding=encoding)
    try:
        return _records(path, json.loads(text))
    except RecursionError:
        raise _too_deep(path, "") from None
    except json.JSONDecodeError as error:
        if error.msg != "Extra data":
            raise LessonError(
                f"{path} is not valid JSON: {error.msg} in line {error.lineno}, character {error.colno}. "
                "Mend it there, and try again."
            ) from None
    except ValueError as error:  # a number with thousands of digits
        raise LessonError(f"{path} can't be read: {error}.") from None
    return list(_one_after_the_other(path, text))


def _one_after_the_other(path: Path, text: str) -> Iterator[_Numbered]:
    decoder, position, number = json.JSONDecoder(), 0, 0
    while position < len(text):
        if text[position].isspace():
            position += 1
            continue
        number += 1
        try:
            record, position = decoder.raw_decode(text, position)
        except RecursionError:
            raise _too_deep(path, f"Record {number} of") from None
        except json.JSONDecodeError as error:
            raise _invalid(path, error.lineno, error) from None
        except ValueError as error:  # a number with thousands of digits
            raise LessonError(f"Record {number} of {path} can't be read: {error}.") from None
        yield number, record


def _invalid(path: Path, line: int, error: json.JSONDecodeError) -> LessonError:
    return LessonError(
        f"Line {line} of {path} is not valid JSON: {error.msg} at character {error.colno}. "
        "Mend that line, or delete it."
    )


def _records(path: Path, value: Any) -> list[_Numbered]:
    """An array of records as it is; columns (``{"prompt": […], "completion": […]}``) turned into records."""
    if isinstance(value, list):
        return list(enumerate(value, 1))
    if _has_columns(value):
        columns = [list(column.values()) if isinstance(column, dict) else column for column in value.values()]
        if len({len(column) for column in columns}) > 1:
            raise LessonError(f"The columns in {path} are not of the same length.")
        return [(i, dict(zip(value, cells, strict=True))) for i, cells in enumerate(zip(*columns, strict=True), 1)]
    return [(1, value)]


def _has_columns(value: Any) -> bool:
    """Whether this is ``{"prompt": […], "completion": […]}``, and no conversation."""
    if not isinstance(value, dict) or len(value) < 2:
        return False
    return all(isinstance(column, (list, dict)) for column in value.values())


def _table(
    path: Path,
    records: list[_Numbered],
    lines: bool,
    prompt: str | None,
    completion: str | None,
    notes: list[str],
) -> Table:
    unit = "line" if lines else "record"
    if not records:
        raise LessonError(f"{path} holds no records. Put one example into each line.")
    header = _header(path, records, unit)
    if header == ["messages"]:
        return _conversations(path, records, lines)
    choice = choose(header, path.name, prompt, completion)
    wanted = header[choice.prompt], header[choice.completion]
    first, second = (
        [_text(record.get(key), path, unit, number, key) for number, record in records] for key in wanted
    )
    numbers = [number for number, _ in records]
    form = "JSONL" if lines else "JSON"
    return Table(first, second, numbers, path.name, form, unit, notes + choice.notes, choice.changes)


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


def _conversations(path: Path, records: list[_Numbered], lines: bool) -> Table:
    """Chat examples with one question and one answer each. Those in lines may be trained on as they are."""
    unit, form = ("line", "chat") if lines else ("record", "JSON")
    prompts: list[str] = []
    completions: list[str] = []
    for number, record in records:
        messages = record.get("messages")
        messages = messages if isinstance(messages, list) else []
        roles = [message.get("role") if isinstance(message, dict) else None for message in messages]
        if roles != ["user", "assistant"]:
            raise LessonError(
                f"{unit.capitalize()} {number} of {path} is a conversation that is not just one message of the "
                "user and one of the assistant. It can't be made into a prompt and a completion. Such a file "
                "needs no preparation: train with it as it is."
            )
        for message, texts in zip(messages, (prompts, completions), strict=True):
            texts.append(_text(message.get("content"), path, unit, number, "content"))
    note = "Your file holds conversations; each has one question and one answer"
    numbers = [number for number, _ in records]
    return Table(prompts, completions, numbers, path.name, form, unit, [note])


def _text(value: Any, path: Path, unit: str, number: int, key: str) -> str:
    """A value as text. What is absent or null is empty."""
    if isinstance(value, str):
        if not value.isascii() and any("\ud800" <= character <= "\udfff" for character in value):
            raise LessonError(
                f"{unit.capitalize()} {number} of {path} has half a character (a lone surrogate) in {key!r}. "
                "Delete it, or write the character whole."
            )
        if "\x00" in value:
            raise LessonError(f"{unit.capitalize()} {number} of {path} has a NUL character in {key!r}. Delete it.")
        return value
    if value is None or value != value:
        return ""
    if isinstance(value, (list, dict)):
        raise LessonError(
            f"{unit.capitalize()} {number} of {path} has a list or an object in {key!r}, where a text is needed."
        )
    return str(value)


def _too_deep(path: Path, place: str) -> LessonError:
    return LessonError(f"{place} {path} is nested too deeply to be training data.".strip())
