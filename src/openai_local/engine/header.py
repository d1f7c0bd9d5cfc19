"""The head of a GGUF file, checked before anything maps the file or believes what it says of itself.

A file that was cut short, or that lies about counts, sizes and offsets, is refused with a sentence. The format is
described in ggml's repository (docs/gguf.md).

Left out: what the values mean (`convert` checks that), big-endian files, and version 1 of the format.
"""

from __future__ import annotations

import math
import struct
from pathlib import Path
from typing import BinaryIO

from gguf import GGML_QUANT_SIZES, GGMLQuantizationType

from openai_local.errors import LocalError

_SCALARS = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}  # bytes by type of value
_STRING, _ARRAY = 8, 9
_MOST_KEYS, _MOST_TENSORS, _LONGEST_NAME, _MOST_DIMENSIONS = 65_536, 65_536, 65_535, 4


def check_header(path: Path) -> None:
    """Read the head of a GGUF file and compare what it says with the size of the file.

    Raises:
        LocalError: it is no GGUF file, or not a sound one.
    """
    try:
        with path.open("rb") as file:
            _Head(file, path.stat().st_size).check()
    except OSError as error:
        raise LocalError(f"{path} can't be read: {error.strerror}.") from None
    except _UnsoundError as error:
        raise LocalError(f"{path} is no GGUF file that can be used: {error}. Copy or fetch it again.") from None


class _UnsoundError(Exception):
    """What is wrong, as the middle of a sentence."""


class _Head:
    """Reads from the beginning to where the tensors' data starts. Nothing is read that the file can't hold."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self.file, self.size, self.place, self.alignment = file, size, 0, 32

    def check(self) -> None:
        if self.size < 24 or self._take(4) != b"GGUF":
            raise _UnsoundError("it does not begin as one")
        version, n_tensors, n_keys = self._unpack("<IQQ")
        if version not in (2, 3):
            raise _UnsoundError(f"its version is {version}, and only 2 and 3 are known")
        if n_keys > _MOST_KEYS or n_tensors > _MOST_TENSORS:
            raise _UnsoundError(f"it claims {n_keys:,} entries and {n_tensors:,} tensors")
        keys: set[bytes] = set()
        for _ in range(n_keys):
            self._entry(keys)
        names: set[bytes] = set()
        ends = [self._tensor(names) for _ in range(n_tensors)]
        start = -(-self.place // self.alignment) * self.alignment
        if start + max(ends, default=0) > self.size:
            raise _UnsoundError(
                f"its tensors need {start + max(ends):,} bytes, and it has {self.size:,} (was it cut short?)"
            )

    def _entry(self, keys: set[bytes]) -> None:
        key = self._name(keys)
        (kind,) = self._unpack("<I")
        if key == b"general.alignment":
            (self.alignment,) = self._unpack("<I") if kind == 4 else (0,)
            if self.alignment not in (1 << power for power in range(3, 17)):
                raise _UnsoundError("its alignment is no power of two from 8 to 65,536")
        elif kind == _ARRAY:
            inner, count = self._unpack("<IQ")
            self._skip_values(inner, count)
        else:
            self._skip_values(kind, 1)

    def _skip_values(self, kind: int, count: int) -> None:
        if kind in _SCALARS:
            self._skip(count * _SCALARS[kind])
        elif kind == _STRING:
            if count * 8 > self.size - self.place:
                raise _UnsoundError(f"it claims {count:,} texts in a row")
            for _ in range(count):
                self._skip(self._unpack("<Q")[0])
        else:
            raise _UnsoundError(f"it has a value of the unknown type {kind}")

    def _tensor(self, names: set[bytes]) -> int:
        """The end of one tensor's data, in bytes from the start of all data."""
        name = self._name(names).decode("utf-8", "replace")
        (n_dimensions,) = self._unpack("<I")
        if not 1 <= n_dimensions <= _MOST_DIMENSIONS:
            raise _UnsoundError(f"the tensor {name} has {n_dimensions} dimensions")
        shape = self._unpack(f"<{n_dimensions}Q")
        kind, offset = self._unpack("<IQ")
        try:
            block, block_bytes = GGML_QUANT_SIZES[GGMLQuantizationType(kind)]
        except (ValueError, KeyError):
            raise _UnsoundError(f"the tensor {name} has the unknown type {kind}") from None
        if not all(shape) or shape[0] % block or offset % self.alignment:
            raise _UnsoundError(f"the tensor {name} has a shape or a place that can't be")
        return offset + math.prod(shape) // block * block_bytes

    def _name(self, known: set[bytes]) -> bytes:
        (length,) = self._unpack("<Q")
        if not 1 <= length <= _LONGEST_NAME:
            raise _UnsoundError(f"it has a name of {length:,} bytes")
        name = self._take(length)
        if name in known:
            raise _UnsoundError(f"it has {name.decode('utf-8', 'replace')} twice")
        known.add(name)
        return name

    def _unpack(self, form: str) -> tuple[int, ...]:
        return struct.unpack(form, self._take(struct.calcsize(form)))

    def _take(self, count: int) -> bytes:
        self._advance(count)
        return self.file.read(count)

    def _skip(self, count: int) -> None:
        self._advance(count)
        self.file.seek(self.place)

    def _advance(self, count: int) -> None:
        self.place += count
        if self.place > self.size:
            raise _UnsoundError("it ends within its own head (was it cut short?)")
