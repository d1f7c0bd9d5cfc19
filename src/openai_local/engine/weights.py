"""The files of a Hugging Face folder: its JSON and its weights, read with a sentence for what is wrong.

Weights are read from safetensors only: files that Python has to unpickle can run programs. The format is
described in the safetensors package's README. Its head is checked against the file's size before a number is
read, and nothing is mapped. A link counts only if it leads to a file of the same folder, or of the same download
in Hugging Face's cache: else somebody else's folder could make a private file of the user part of a model.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from openai_local.errors import LocalError

_TYPES = {"F32": "<f4", "F16": "<f2", "BF16": "<u2"}
_LONGEST_NAME = 255
_LONGEST_HEAD = 1 << 25  # bytes; the largest models have some hundred thousand
_LONGEST_JSON = 1 << 27


def find(folder: Path, name: str) -> Path:
    """The file called `name` in a folder, whether it is there or not.

    Raises:
        LocalError: it leads out of the folder, or is no file.
    """
    path, inside = folder / name, folder.resolve()
    try:
        real = path.resolve()
    except (OSError, ValueError, RuntimeError):  # a name that can't be, links that lead to each other
        raise LocalError(
            f"{folder} has no file {name[:100]!r} that can be read. Copy or fetch it again."
        ) from None
    cached = inside.parent.name == "snapshots" and real.parent == inside.parent.parent / "blobs"
    if real.parent != inside and not cached:
        raise LocalError(f"{path} leads out of its folder, to {real}. Put the file itself there.")
    if path.exists() and not path.is_file():
        raise LocalError(f"{path} is not a file. Copy or fetch it again.")
    return path


def read_json(path: Path, *, optional: bool = False) -> dict[str, Any]:
    """The JSON object in a file; empty if the file is `optional` and not there.

    Raises:
        LocalError: it is missing or no JSON object.
    """
    path = find(path.parent, path.name)
    if optional and not path.exists():
        return {}
    try:
        if path.stat().st_size > _LONGEST_JSON:
            raise LocalError(f"{path} has more than {_LONGEST_JSON:,} bytes, so it can't be what its name says.")
        read = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise LocalError(
            f"{path.parent} has no {path.name}. A Hugging Face folder has config.json, tokenizer.json and "
            "*.safetensors; name such a folder, or a .gguf file."
        ) from None
    except OSError as error:
        raise LocalError(f"{path} can't be read: {error.strerror}.") from None
    except (ValueError, RecursionError):
        raise LocalError(f"{path} is not valid JSON. Copy or fetch it again.") from None
    if not isinstance(read, dict):
        raise LocalError(f"{path} is not a JSON object. Copy or fetch it again.")
    return read


def _parts(folder: Path) -> list[Path]:
    """The folder's safetensors: those that the index lists, or all of them."""
    index = folder / "model.safetensors.index.json"
    if index.exists():
        listed = read_json(index).get("weight_map")
        names = sorted({str(name) for name in listed.values()}) if isinstance(listed, dict) else []
        for name in names:
            if len(name) > _LONGEST_NAME or Path(name).name != name or not find(folder, name).exists():
                raise LocalError(
                    f"{index} names the file {name[:100]}, which is not in {folder}. Is the folder whole?"
                )
        return [folder / name for name in names]
    if found := sorted(folder.glob("*.safetensors")):
        return [find(folder, path.name) for path in found]
    others = [*folder.glob("*.bin"), *folder.glob("*.pt"), *folder.glob("*.pth")]
    why = (
        f"{others[0].name} is not opened: such a file can run programs. Save the model as safetensors"
        if others
        else "Name a folder that has some, or a .gguf file"
    )
    raise LocalError(f"{folder} has no weights in *.safetensors. {why}.")


@dataclass(frozen=True)
class _Part:
    """A tensor: in which file, how it is kept, and where its numbers begin."""

    path: Path
    kind: str
    shape: tuple[int, ...]
    start: int


def _head(path: Path) -> dict[str, _Part]:
    """The tensors in a safetensors file. Raises `LocalError` if what it says can't be."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if not 2 <= length <= min(size - 8, _LONGEST_HEAD):
                raise _damaged(path, f"its head claims {length:,} bytes, and the file has {size:,}")
            told = json.loads(file.read(length).decode("utf-8"))
    except OSError as error:
        raise LocalError(f"{path} can't be read: {error.strerror}.") from None
    except (ValueError, RecursionError):
        raise _damaged(path, "its head is not JSON") from None
    if not isinstance(told, dict):
        raise _damaged(path, "its head is not a JSON object")
    told.pop("__metadata__", None)
    found, spans = {}, []
    for name, entry in told.items():
        kind, shape, start, end = _entry(path, name, entry)
        if start < 0 or end - start != math.prod(shape) * np.dtype(_TYPES[kind]).itemsize:
            raise _damaged(path, f"{name[:100]} has a shape or a place that can't be")
        spans.append((start, end))
        found[name] = _Part(path, kind, shape, 8 + length + start)
    place = 0
    for start, end in sorted(spans):
        if start != place:
            raise _damaged(path, "its tensors lie over each other, or leave gaps")
        place = end
    if 8 + length + place != size:
        raise _damaged(path, f"its tensors need {8 + length + place:,} bytes, and it has {size:,}")
    return found


def _entry(path: Path, name: str, entry: Any) -> tuple[str, tuple[int, ...], int, int]:
    """What the head says of one tensor: type, shape, and where it lies behind the head."""
    told = entry if isinstance(entry, dict) else {}
    kind, shape, offsets = (told.get(key) for key in ("dtype", "shape", "data_offsets"))
    numbers = [*shape, *offsets] if isinstance(shape, list) and isinstance(offsets, list) else []
    sound = all(type(number) is int and number >= 0 for number in numbers)
    if not numbers or len(offsets or ()) != 2 or not sound:
        raise _damaged(path, f"what it says of {name[:100]} can't be")
    if not isinstance(kind, str) or kind not in _TYPES:
        raise LocalError(
            f"{path} keeps {name[:100]} as {str(kind)[:40]}; weights of {', '.join(_TYPES)} can be used."
        )
    *sides, start, end = map(int, numbers)
    return kind, tuple(sides), start, end


def _damaged(path: Path, why: str) -> LocalError:
    return LocalError(f"{path} can't be read: {why}. Copy or fetch it again.")


class Weights:
    """The tensors in a folder's safetensors, which are read one at a time. `shapes` has their shapes by name."""

    def __init__(self, folder: Path) -> None:
        """Look at all files without reading the numbers. Raises `LocalError` for what can't be used."""
        self._parts: dict[str, _Part] = {}
        for path in _parts(folder):
            found = _head(path)
            if twice := found.keys() & self._parts.keys():
                raise LocalError(
                    f"The tensor {min(twice)[:100]} is twice in {folder}: are there two models in it?"
                )
            self._parts |= found
        self.shapes = {name: part.shape for name, part in self._parts.items()}

    def read(self, name: str) -> np.ndarray:
        """One tensor in float32.

        Raises:
            LocalError: the file has become shorter meanwhile.
        """
        part = self._parts[name]
        count = math.prod(part.shape)
        numbers = np.fromfile(part.path, dtype=_TYPES[part.kind], count=count, offset=part.start)
        if len(numbers) < count:
            raise _damaged(part.path, "it became shorter meanwhile")
        if part.kind == "BF16":  # the upper half of 32 bits
            return (numbers.astype("<u4") << 16).view("<f4").reshape(part.shape)
        return numbers.astype(np.float32).reshape(part.shape)
