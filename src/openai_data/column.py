"""What can be said of all texts of a column at once, in few passes over them.

A million texts are joined into blocks of a few megabytes, and each block is looked at as a whole: that takes a
small part of the time that a look at each text takes.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property

import numpy as np
import pandas as pd

_BLOCK = 20_000
_BETWEEN = "\x00"  # no text holds it: reading refuses it
_UPPER, _LOWER = bytes(range(65, 91)), bytes(range(97, 123))
_LETTERS_AND_DIGITS = _UPPER + _LOWER + bytes(range(48, 58)) + b"\x00"
_OTHER = bytes(sorted(set(range(128)) - set(_LETTERS_AND_DIGITS)))
_TO_LOWER = bytes.maketrans(_UPPER, _LOWER)


class Column:
    """The texts of a column.

    Args:
        texts: one per row.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        self.texts = texts

    def _blocks(self) -> Iterator[str]:
        for start in range(0, len(self.texts), _BLOCK):
            yield _BETWEEN.join(self.texts[start : start + _BLOCK])

    @cached_property
    def lengths(self) -> np.ndarray:
        """The number of characters of each text."""
        return np.fromiter(map(len, self.texts), dtype=np.int64, count=len(self.texts))

    @cached_property
    def hashes(self) -> np.ndarray:
        """A number of 64 bits for each text; equal texts have equal ones."""
        return np.fromiter(map(hash, self.texts), dtype=np.int64, count=len(self.texts))

    @cached_property
    def plain_hashes(self) -> np.ndarray:
        """The same for the text in small letters, without anything but letters and digits."""
        found = np.empty(len(self.texts), dtype=np.int64)
        position = 0
        for block in self._blocks():
            texts = plain(block).split(_BETWEEN)
            found[position : position + len(texts)] = list(map(hash, texts))
            position += len(texts)
        return found

    def holding(self, signs: Iterable[str]) -> set[str]:
        """Those of the signs that some text holds."""
        left, found = set(signs), set()
        for block in self._blocks():
            now = set(_held(block, left))
            found |= now
            left -= now
            if not left:
                break
        return found

    def rows_holding(self, signs: Sequence[str]) -> Iterator[int]:
        """The positions of the texts that hold at least one of the signs."""
        for start, block in zip(range(0, len(self.texts), _BLOCK), self._blocks(), strict=True):
            if here := _held(block, signs):
                for position, text in enumerate(self.texts[start : start + _BLOCK], start):
                    if any(sign in text for sign in here):
                        yield position

    def hold_twice(self, sign: str) -> bool:
        """Whether some text holds the sign twice, if all hold it once."""
        return sum(block.count(sign) for block in self._blocks()) > len(self.texts)

    @cached_property
    def different(self) -> int:
        """How many different texts there are."""
        return len(pd.unique(self.hashes))

    @cached_property
    def identical(self) -> bool:
        """Whether all texts are the same."""
        return all(text == self.texts[0] for text in self.texts)

    @cached_property
    def letters(self) -> tuple[int, int]:
        """How many letters are upper-case, and how many lower-case."""
        upper = lower = 0
        for block in self._blocks():
            data = block.encode("utf-8")
            upper += len(data) - len(data.translate(None, _UPPER))
            lower += len(data) - len(data.translate(None, _LOWER))
            if not block.isascii():
                others = Counter(re.sub(r"[\x00-\x7f]+", "", block))
                upper += sum(count for letter, count in others.items() if letter.isalpha() and letter.isupper())
                lower += sum(count for letter, count in others.items() if letter.isalpha() and letter.islower())
        return upper, lower

    @cached_property
    def prefix(self) -> str:
        """The longest beginning that all texts share."""
        first, last = min(self.texts), max(self.texts)  # what these two share, all between them share
        length = next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))
        return first[:length]

    @cached_property
    def suffix(self) -> str:
        """The longest ending that all texts share."""
        shared = self.texts[0]
        for text in self.texts:
            if not text.endswith(shared):
                shared = _shared_end(shared, text)
            if not shared:
                break
        return shared


def _shared_end(one: str, other: str) -> str:
    """The longest ending of two texts, by halving: a look at each length would take its square."""
    least, most = 0, min(len(one), len(other))
    while least < most:
        middle = (least + most + 1) // 2
        if one[len(one) - middle :] == other[len(other) - middle :]:
            least = middle
        else:
            most = middle - 1
    return one[len(one) - least :]


def _held(block: str, signs: Iterable[str]) -> list[str]:
    """The signs in a block. Those with a character that is not in it at all are quickly told."""
    signs = list(signs)
    absent = {character for character in {*"".join(signs)} if character not in block}
    return [sign for sign in signs if absent.isdisjoint(sign) and sign in block]


def plain(text: str) -> str:
    """Small letters and digits only, so that texts that differ in case, spaces or punctuation become equal."""
    if text.isascii():
        return text.encode().translate(_TO_LOWER, _OTHER).decode()
    return re.sub(r"[^\w\x00]+|_", "", text.casefold())
