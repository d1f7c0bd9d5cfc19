"""The files of a Hugging Face folder: its JSON and its weights, read with a sentence for what is wrong.

Weights are read from safetensors only: files that Python has to unpickle can run programs. The format is
described in the safetensors package's README. Its head is checked against the file's size before a number is
read, and nothing is mapped. A link counts only if it leads to a file of the same folder, or of the same download
in Hugging Face's cache: else somebody else's folder could make a private file of the user part of a model.
"""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from openai_local.errors import LocalError
from openai_local.models.architectures import find_architecture, is_count, read_sizes

_TYPES = {"F32": "<f4", "F16": "<f2", "BF16": "<u2"}
_LONGEST_NAME = 255
_LONGEST_HEAD = 1 << 25  # bytes; the largest models have some hundred thousand
_LONGEST_JSON = 1 << 27
_LONGEST_TEMPLATE = 1_000_000  # those of today's models have up to twenty thousand


def find(folder: Path, name: str) -> Path:
    """The file called `name` in a folder, whether it is there or not. It must not lead out of the folder."""
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
    """The JSON object in a file; empty if the file is `optional` and not there."""
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


@dataclass(frozen=True)
class _Stored:
    """A tensor: in which file, how it is kept, and where its numbers begin and end."""

    path: Path
    kind: str
    shape: tuple[int, ...]
    start: int
    end: int


class Weights:
    """The tensors in a folder's safetensors, which are read one at a time. `shapes` has their shapes by name."""

    def __init__(self, folder: Path) -> None:
        """Look at all files without reading the numbers."""
        self._stored: dict[str, _Stored] = {}
        for path in _files(folder):
            found = _head(path)
            if twice := found.keys() & self._stored.keys():
                raise LocalError(
                    f"The tensor {min(twice)[:100]} is twice in {folder}: are there two models in it?"
                )
            self._stored |= found
        self.shapes = {name: stored.shape for name, stored in self._stored.items()}

    def read(self, name: str) -> np.ndarray:
        """One tensor in float32."""
        stored = self._stored[name]
        count = math.prod(stored.shape)
        numbers = np.fromfile(stored.path, dtype=_TYPES[stored.kind], count=count, offset=stored.start)
        if len(numbers) < count:
            raise _damaged(stored.path, "it became shorter meanwhile")
        if stored.kind == "BF16":  # the upper half of 32 bits
            return (numbers.astype("<u4") << 16).view("<f4").reshape(stored.shape)
        return numbers.astype(np.float32).reshape(stored.shape)


def _files(folder: Path) -> list[Path]:
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
    why = "Name a folder that has some, or a .gguf file"
    if others:
        why = f"{others[0].name} is not opened: such a file can run programs. Save the model as safetensors"
    raise LocalError(f"{folder} has no weights in *.safetensors. {why}.")


def _head(path: Path) -> dict[str, _Stored]:
    """The tensors in a safetensors file."""
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
    place = 8 + length
    found = {name: _entry(path, name, entry, place) for name, entry in told.items()}
    for stored in sorted(found.values(), key=lambda stored: (stored.start, stored.end)):
        if stored.start != place:
            raise _damaged(path, "its tensors lie over each other, or leave gaps")
        place = stored.end
    if place != size:
        raise _damaged(path, f"its tensors need {place:,} bytes, and it has {size:,}")
    return found


def _entry(path: Path, name: str, entry: Any, behind: int) -> _Stored:
    """What the head says of one tensor, whose place it counts from `behind` the head."""
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
    if end - start != math.prod(sides) * np.dtype(_TYPES[kind]).itemsize:
        raise _damaged(path, f"{name[:100]} has a shape or a place that can't be")
    return _Stored(path, kind, tuple(sides), behind + start, behind + end)


def _damaged(path: Path, why: str) -> LocalError:
    return LocalError(f"{path} can't be read: {why}. Copy or fetch it again.")


def read_config(folder: Path) -> dict[str, Any]:
    """What ``config.json`` says, in `conversion`'s form. What the network here does not have is refused."""
    path = folder / "config.json"
    told = read_json(path)
    kind = find_architecture(told.get("model_type"), str(path))
    rope = told.get("rope_parameters") or told.get("rope_scaling") or {}  # transformers 5 and before
    if not isinstance(rope, dict):
        raise LocalError(f"{path} can't be used: its rope_parameters are {str(rope)[:40]}.")
    _refuse_unusual(told, rope, path)

    def count(key: str, default: int | None = None) -> int:
        value: Any = default if told.get(key) is None else told[key]
        if not is_count(value):
            raise LocalError(f"{path} can't be used: its {key} is {str(value)[:40]}.")
        return value

    def number(key: str, value: Any) -> float:
        if type(value) not in (int, float) or not 0 < value < 1e12:
            raise LocalError(f"{path} can't be used: its {key} is {str(value)[:40]}.")
        return float(value)

    return {
        "model_type": kind.name,
        **read_sizes(count, str(path)),
        "rms_norm_eps": number("rms_norm_eps", told.get("rms_norm_eps")),
        "rope_theta": number("rope_theta", told.get("rope_theta") or rope.get("rope_theta") or 10000.0),
        "tie_word_embeddings": bool(told.get("tie_word_embeddings", False)),
        "vocab_size": count("vocab_size"),
        "eos_token_id": told.get("eos_token_id"),
    }


def _refuse_unusual(told: dict[str, Any], rope: dict[str, Any], path: Path) -> None:
    layers, models = told.get("layer_types") or [], told.get("architectures") or []
    full = isinstance(layers, list) and all(layer == "full_attention" for layer in layers)
    writes = isinstance(models, list) and all("CausalLM" in str(name) for name in models)
    unusual = {
        "needs code of its own, which is never run here": "auto_map" in told,
        "has scaled rotary angles": rope.get("rope_type", rope.get("type", "default")) != "default",
        "turns only a part of each head": told.get("partial_rotary_factor", 1) != 1,
        "uses a sliding window": told.get("use_sliding_window") or not full,
        "has biases that are not usual": told.get("attention_bias") or told.get("mlp_bias"),
        "is not activated by SiLU": told.get("hidden_act", "silu") != "silu",
        "is quantised": "quantization_config" in told,
        "does not write texts": not writes,
    }
    for what in (what for what, is_so in unusual.items() if is_so):
        raise LocalError(f"The model in {path} {what}, so it can't be trained here.")


def end_token(told: dict[str, Any], configured: Any, tokens: list[str], folder: Path) -> int:
    """The token that ends an answer. The tokenizer's word counts: a chat model's config names others too."""
    end = token_named(told.get("eos_token"), tokens)
    if end is None:
        end = configured[0] if isinstance(configured, list) and configured else configured
    if type(end) is not int or not 0 <= end < len(tokens):
        raise LocalError(f"{folder} does not say which token ends an answer (eos_token in tokenizer_config.json).")
    return end


def token_named(told: Any, tokens: list[str]) -> int | None:
    """The number of the token that ``tokenizer_config.json`` names, in one of its two ways."""
    name = told.get("content") if isinstance(told, dict) else told
    return tokens.index(name) if isinstance(name, str) and name in tokens else None


def chat_template(folder: Path, told: dict[str, Any]) -> str:
    """The chat template, in a file of its own or in what ``tokenizer_config.json`` told; else empty."""
    path = find(folder, "chat_template.jinja")
    if path.exists():
        if path.stat().st_size > _LONGEST_TEMPLATE:
            raise LocalError(f"{path} is too large for a chat template: it may have {_LONGEST_TEMPLATE:,} bytes.")
        try:
            return path.read_text(encoding="utf-8")
        except ValueError:
            raise LocalError(f"{path} is not UTF-8 text. Copy or fetch it again.") from None
    template = told.get("chat_template") or ""
    if isinstance(template, list):  # several, each with a name
        named = [entry for entry in template if isinstance(entry, dict) and entry.get("name") == "default"]
        template = named[0].get("template") if named else ""
    return template if isinstance(template, str) else ""
