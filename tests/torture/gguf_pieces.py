"""A GGUF file taken apart, so that each of its pieces can be made another before it is put together anew."""

import hashlib
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gguf

from openai_local.models.adapter import SHA256

KINDS = {int: 4, float: 6, bool: 7, str: 8}


def text(value: bytes | str) -> bytes:
    value = value.encode() if isinstance(value, str) else value
    return struct.pack("<Q", len(value)) + value


def value(told: Any) -> bytes:
    """A value of an entry with its type, as Python's types have it."""
    if isinstance(told, list):
        kind = KINDS[type(told[0])] if told else 8
        return struct.pack("<IIQ", 9, kind, len(told)) + b"".join(value(item)[4:] for item in told)
    packed = (
        text(told)
        if isinstance(told, str)
        else struct.pack({int: "<I", float: "<f", bool: "<?"}[type(told)], told)
    )
    return struct.pack("<I", KINDS[type(told)]) + packed


@dataclass
class Tensor:
    name: bytes
    dimensions: list[int]
    kind: int
    offset: int


@dataclass
class File:
    """A GGUF file in pieces: each entry's key, and its type and value as bytes; the tensors; their numbers."""

    entries: list[tuple[bytes, bytes]] = field(default_factory=list)
    tensors: list[Tensor] = field(default_factory=list)
    data: bytes = b""
    alignment: int = 32
    version: int = 3
    n_entries: int | None = None
    n_tensors: int | None = None

    @classmethod
    def read(cls, path: Path) -> "File":
        """Take a sound file apart."""
        reader = gguf.GGUFReader(path)
        file = cls(data=path.read_bytes()[reader.data_offset :])
        for name, entry in reader.fields.items():
            if not name.startswith("GGUF."):
                file.entries.append((name.encode(), b"".join(part.tobytes() for part in entry.parts[2:])))
        for tensor in reader.tensors:
            place = tensor.data_offset - reader.data_offset
            sides = [int(side) for side in tensor.shape]
            file.tensors.append(Tensor(tensor.name.encode(), sides, int(tensor.tensor_type), place))
        return file

    def bytes(self) -> bytes:
        counts = (self.n_tensors, len(self.tensors)), (self.n_entries, len(self.entries))
        head = b"GGUF" + struct.pack("<I", self.version)
        head += b"".join(struct.pack("<Q", real if told is None else told) for told, real in counts)
        head += b"".join(text(key) + told for key, told in self.entries)
        for tensor in self.tensors:
            head += text(tensor.name) + struct.pack("<I", len(tensor.dimensions))
            head += struct.pack(f"<{len(tensor.dimensions)}Q", *tensor.dimensions)
            head += struct.pack("<IQ", tensor.kind, tensor.offset)
        return head + bytes(-len(head) % self.alignment) + self.data

    def put(self, key: str, told: Any) -> None:
        """Give an entry another value, or add it."""
        raw = told if isinstance(told, bytes) else value(told)
        known = [number for number, entry in enumerate(self.entries) if entry[0] == key.encode()]
        if known:
            self.entries[known[0]] = (key.encode(), raw)
        else:
            self.entries.append((key.encode(), raw))

    def sign(self) -> None:
        """Write the SHA-256 of an adapter's matrices into it, as who forges one can."""
        for number, (key, _) in enumerate(self.entries):
            if key == SHA256.encode():
                self.entries[number] = (key, value(hashlib.sha256(self.data).hexdigest()))
