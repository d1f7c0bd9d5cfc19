"""What can be said of all texts of a column at once, in few passes over them.

A million texts are joined into blocks of a few megabytes, and each block is looked at as a whole: that takes a
small part of the time that a look at each text takes.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain

import numpy as np
import pandas as pd

_BLOCK = 20_000
_BETWEEN = "\x00"  # no text holds it: reading refuses it
_UPPER, _LOWER = bytes(range(65, 91)), bytes(range(97, 123))
_NOT_PLAIN = bytes(code for code in range(1, 128) if not chr(code).isalnum())


@dataclass
class Column:
    """The texts of a column, one per row."""

    texts: Sequence[str]

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
        texts = chain.from_iterable(plain(block).split(_BETWEEN) for block in self._blocks())
        return np.fromiter(map(hash, texts), dtype=np.int64, count=len(self.texts))

    def holding(self, signs: Sequence[str]) -> set[str]:
        """Those of the signs that some text holds."""
        return {sign for block in self._blocks() for sign in _held(block, signs)}

    def rows_holding(self, signs: Sequence[str]) -> Iterator[int]:
        """The positions of the texts that hold at least one of the signs."""
        for number, block in enumerate(self._blocks()):
            if here := _held(block, signs):
                for position, text in enumerate(block.split(_BETWEEN), number * _BLOCK):
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
    def letters(self) -> tuple[int, int]:
        """How many letters are upper-case, and how many lower-case."""
        upper = lower = 0
        for block in self._blocks():
            data = block.encode("utf-8")
            upper += len(data) - len(data.translate(None, _UPPER))
            lower += len(data) - len(data.translate(None, _LOWER))
            others = Counter("" if block.isascii() else re.sub(r"[\x00-\x7f]+", "", block))
            upper += sum(count for letter, count in others.items() if letter.isalpha() and letter.isupper())
            lower += sum(count for letter, count in others.items() if letter.isalpha() and letter.islower())
        return upper, lower

    @cached_property
    def prefix(self) -> str:
        """The longest beginning that all texts share."""
        first, last = min(self.texts), max(self.texts)  # what these two share, all between them share
        return first[: _alike(first, last)]

    @cached_property
    def suffix(self) -> str:
        """The longest ending that all texts share."""
        shared = self.texts[0]
        for text in self.texts:
            if not text.endswith(shared):
                shared = shared[len(shared) - _alike(shared[::-1], text[::-1]) :]
            if not shared:
                break
        return shared


def _alike(one: str, other: str) -> int:
    """How many characters two texts begin with alike."""
    pairs = zip(one, other, strict=False)
    return next((place for place, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))


def _held(block: str, signs: Iterable[str]) -> list[str]:
    """The signs in a block. A single character is found, or not, much faster than several."""
    return [sign for sign in signs if sign[-1] in block and sign in block]


def plain(text: str) -> str:
    """Small letters and digits only, so that texts that differ in case, spaces or punctuation become equal."""
    if text.isascii():
        return text.encode().lower().translate(None, _NOT_PLAIN).decode()
    return re.sub(r"[^\w\x00]+|_", "", text.casefold())
