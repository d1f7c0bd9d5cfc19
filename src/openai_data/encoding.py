"""Finding out how a file's characters are written: UTF-8, UTF-16 or cp1252."""

from __future__ import annotations

import codecs
from pathlib import Path

from openai_data.errors import LessonError

_BLOCK = 1 << 20
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# Bytes that no character of cp1252 has.
_UNUSED = bytes([0x81, 0x8D, 0x8F, 0x90, 0x9D])


def find_encoding(path: Path) -> str:
    """How the text in a file is written.

    A mark at the beginning tells UTF-8 and UTF-16. Otherwise it is UTF-8 if all of it is, and cp1252 (what Excel
    writes on Windows) if no part of it can be meant as UTF-8.

    Returns:
        A name that `open` takes: ``utf-8``, ``utf-8-sig``, ``utf-16``, ``utf-16-le``, ``utf-16-be`` or ``cp1252``.

    Raises:
        LessonError: it is no text, or is written in two ways at once.
    """
    with path.open("rb") as file:
        head = file.read(4096)
    for mark, name in _BYTE_ORDER_MARKS:
        if head.startswith(mark):
            return name
    if guess := _unmarked_utf16(head):
        return guess
    if b"\x00" in head:
        raise _no_text(path)
    return _utf8_or_cp1252(path)


def _unmarked_utf16(head: bytes) -> str | None:
    """In UTF-16, every other byte of western text is zero."""
    even, odd = head[0::2].count(0), head[1::2].count(0)
    if len(head) >= 8 and max(even, odd) > 0.4 * len(head) / 2 and min(even, odd) == 0:
        return "utf-16-le" if odd else "utf-16-be"
    return None


def _utf8_or_cp1252(path: Path) -> str:
    decoder = codecs.getincrementaldecoder("utf-8")()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            if b"\x00" in block:
                raise _no_text(path)
            try:
                decoder.decode(block)
            except UnicodeDecodeError:
                return _cp1252(path)
    try:
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return _cp1252(path)
    return "utf-8"


def _cp1252(path: Path) -> str:
    """``cp1252``, unless some lines are UTF-8 all the same: then neither reading is right."""
    foreign, other = 0, 0
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if b"\x00" in line:
                raise _no_text(path)
            if line.isascii():
                continue
            try:
                line.decode("utf-8")
                other = other or number
            except UnicodeDecodeError:
                foreign = foreign or number
                if line.translate(None, _UNUSED) != line:
                    raise _no_text(path) from None
    if other:
        raise LessonError(
            f"{path} is written in two ways: line {other} is UTF-8, but line {foreign} is not. It was put "
            "together from two files, it seems. Open both in an editor, save each as UTF-8, and join them again."
        )
    return "cp1252"


def _no_text(path: Path) -> LessonError:
    return LessonError(
        f"{path} is not a text file: it holds bytes that no text has. Does it come from a spreadsheet? Then "
        "save it as CSV."
    )
