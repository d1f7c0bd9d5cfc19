"""The head of a GGUF file, read and checked before anything maps the file or believes what it says of itself.

A file that was cut short, or that lies about counts, sizes and offsets, is refused with a sentence. Llama.cpp
would end the whole process at some of them. The format is described in ggml's repository (docs/gguf.md).

Llama.cpp also ends the process at some entries of the metadata of another type than it expects, and at lists of
another length than the vocabulary. And it knows entries that make another network of the same tensors. So all
that begin with ``tokenizer.`` or with the architecture's name must be among those here; of the others it reads
the types only.

Left out: what the numbers mean for training (`conversion`), big-endian files, arrays of arrays, and version 1 of
the format.
"""

import math
import struct
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType, TokenType

from openai_local.errors import LocalError
from openai_local.models.chat_templates import check_template

_NAMES = "u8 i8 u16 i16 u32 i32 f32 bool str array u64 i64 f64".split()
"""Short names of the types of values, in the order of GGUF's numbers for them."""
_FORMS = {kind: f"<{letter}" for kind, letter in enumerate("BbHhIif?  Qqd") if letter != " "}
"""How the types of numbers are written, for `struct` and numpy."""
_STRING, _ARRAY = 8, 9
_MOST_KEYS, _MOST_TENSORS, _MOST_DIMENSIONS = 65_536, 65_536, 4
_LONGEST_KEY, _LONGEST_NAME = 255, 63
_MOST_BYTES = 32_000_000
"""Of a head. Half a million tokens and as many merges take half of that, and in memory up to eight times."""
_TYPES = {
    "str": """general.architecture general.type general.name tokenizer.ggml.model tokenizer.ggml.pre
        tokenizer.chat_template tokenizer.huggingface.json *.tensor_data_layout *.rope.scaling.type""",
    "[str]": "tokenizer.ggml.tokens tokenizer.ggml.merges tokenizer.chat_templates",
    "[i32]": "tokenizer.ggml.token_type",
    "[f32]": "tokenizer.ggml.scores",
    "u32": """general.file_type general.quantization_version general.alignment tokenizer.ggml.token_type_count
        *.vocab_size *.context_length *.embedding_length *.block_count *.feed_forward_length *.attention.head_count
        *.attention.head_count_kv *.attention.key_length *.attention.value_length *.attention.sliding_window
        *.rope.dimension_count *.rope.scaling.original_context_length *.expert_count *.expert_used_count
        *.pooling_type""",
    "f32": "*.attention.layer_norm_rms_epsilon *.rope.freq_base *.rope.scale_linear *.rope.scaling.factor",
    "bool": """tokenizer.ggml.add_bos_token tokenizer.ggml.add_eos_token tokenizer.ggml.add_sep_token
        tokenizer.ggml.add_space_prefix tokenizer.ggml.remove_extra_whitespaces *.attention.causal
        *.rope.scaling.finetuned *.use_parallel_residual""",
}
"""The entries of each type. The star stands for the architecture's name."""
_TYPE = {name: type_ for type_, names in _TYPES.items() for name in names.split()}
_ONLY = {
    "*.attention.causal": True,
    "*.attention.sliding_window": 0,
    "*.expert_count": 0,
    "*.expert_used_count": 0,
    "*.pooling_type": 0,
    "*.rope.scale_linear": 1.0,
    "*.rope.scaling.type": "none",
    "*.rope.scaling.factor": 1.0,
    "*.use_parallel_residual": False,
}
"""What a plain network has only with this value."""


@dataclass(frozen=True)
class Stored:
    """A tensor in a file: its `shape` in numpy's order, and as `kind` how its numbers are kept.

    They begin `start` bytes from the beginning of the file, and take `n_bytes`.
    """

    name: str
    shape: tuple[int, ...]
    kind: GGMLQuantizationType
    start: int
    n_bytes: int


@dataclass(frozen=True)
class Header:
    """What stands before the numbers: the metadata by their keys, and the tensors by their names.

    `types` has the type of each entry: a short name such as ``u32`` or ``str``; ``[u32]`` for a list of them.
    """

    fields: dict[str, Any]
    types: dict[str, str]
    tensors: dict[str, Stored]


def read_header(path: Path, advice: str = "Copy or fetch it again.") -> Header:
    """Read the head of a GGUF file. `advice` says what to do about one that is not sound."""
    if path.exists() and not path.is_file():
        raise LocalError(f"{path} is not a file. Name a .gguf file.")
    try:
        with path.open("rb") as file:
            return _Head(file, path.stat().st_size).read()
    except OSError as error:
        raise LocalError(f"{path} can't be read: {error.strerror}.") from None
    except _UnsoundError as error:
        raise LocalError(f"{path} is no GGUF file that can be used: {error}. {advice}") from None


def read_numbers(path: Path, tensor: Stored) -> np.ndarray:
    """The bytes of a tensor, row by row, as `gguf.dequantize` takes them."""
    read = np.fromfile(path, dtype=np.uint8, count=tensor.n_bytes, offset=tensor.start)
    if len(read) < tensor.n_bytes:
        raise LocalError(f"{path} became shorter while it was read. Copy or fetch it again.")
    return read.reshape(*tensor.shape[:-1], -1)


class _UnsoundError(Exception):
    """What is wrong, as the middle of a sentence."""


class _Head:
    """Reads from the beginning to where the tensors' data starts. Nothing is read that the file can't hold."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self.file, self.size, self.place, self.alignment = file, size, 0, 32

    def read(self) -> Header:
        if self.size < 24 or self._take(4) != b"GGUF":
            raise _UnsoundError("it does not begin as one")
        version, n_tensors, n_keys = self._unpack("<IQQ")
        if version not in (2, 3):
            raise _UnsoundError(f"its version is {version}, and only 2 and 3 are known")
        if n_keys > _MOST_KEYS or n_tensors > _MOST_TENSORS:
            raise _UnsoundError(f"it claims {n_keys:,} entries and {n_tensors:,} tensors")
        head, end = Header({}, {}, {}), 0
        for _ in range(n_keys):
            key = self._name(head.fields, _LONGEST_KEY)
            head.types[key], head.fields[key] = self._entry(key)
        for _ in range(n_tensors):
            tensor = self._tensor(head.tensors, end)
            head.tensors[tensor.name] = tensor
            end = tensor.start + self._aligned(tensor.n_bytes)
        start = self._aligned(self.place)  # from here on the tensors' places are counted
        for tensor in head.tensors.values():
            self._require(start + tensor.start + tensor.n_bytes)
            head.tensors[tensor.name] = replace(tensor, start=start + tensor.start)
        return head

    def _require(self, needed: int) -> None:
        if needed > self.size:
            raise _UnsoundError(f"its tensors need {needed:,} bytes, and it has {self.size:,} (was it cut short?)")

    def _aligned(self, place: int) -> int:
        return -(-place // self.alignment) * self.alignment

    def _entry(self, key: str) -> tuple[str, Any]:
        """The type and the value of an entry."""
        (kind,) = self._unpack("<I")
        if kind == _ARRAY:
            inner, count = self._unpack("<IQ")
            values = self._values(inner, count)
            return f"[{_NAMES[inner]}]", values
        (value,) = self._values(kind, 1)
        if key == "general.alignment":
            if kind != 4 or value not in (1 << power for power in range(5, 17)):
                # llama.cpp ends the process where numbers do not begin at a multiple of 32.
                raise _UnsoundError("its alignment is no power of two from 32 to 65,536")
            self.alignment = value
        return _NAMES[kind], value

    def _values(self, kind: int, count: int) -> list[Any]:
        if form := _FORMS.get(kind):
            if count == 1:
                return list(self._unpack(form))
            return np.frombuffer(self._take(count * struct.calcsize(form)), dtype=form).tolist()
        if kind != _STRING:
            raise _UnsoundError(f"it has a value of the unknown type {kind}")
        if count * 8 > self.size - self.place:
            raise _UnsoundError(f"it claims {count:,} texts in a row")
        return [self._text(self._unpack("<Q")[0]) for _ in range(count)]

    def _tensor(self, known: dict[str, Stored], end: int) -> Stored:
        """The next tensor. Its data must begin where that of the one before ends."""
        name = self._name(known, _LONGEST_NAME)
        (n_dimensions,) = self._unpack("<I")
        if not 1 <= n_dimensions <= _MOST_DIMENSIONS:
            raise _UnsoundError(f"the tensor {name} has {n_dimensions} dimensions")
        shape = self._unpack(f"<{n_dimensions}Q")
        kind, offset = self._unpack("<IQ")
        try:
            block, block_bytes = GGML_QUANT_SIZES[kind := GGMLQuantizationType(kind)]
        except (ValueError, KeyError):
            raise _UnsoundError(f"the tensor {name} has the unknown type {kind}") from None
        n_bytes = math.prod(shape) // block * block_bytes
        self._require(offset + n_bytes)
        if not n_bytes or shape[0] % block or offset != end:
            raise _UnsoundError(f"the tensor {name} has a shape or a place that can't be")
        return Stored(name, shape[::-1], kind, offset, n_bytes)

    def _name(self, known: dict[str, Any], longest: int) -> str:
        (length,) = self._unpack("<Q")
        if not 1 <= length <= longest:
            raise _UnsoundError(f"it has a name of {length:,} bytes")
        name = self._text(length)
        if name in known:
            raise _UnsoundError(f"it has {name} twice")
        return name

    def _text(self, length: int) -> str:
        try:
            return self._take(length).decode("utf-8")
        except UnicodeDecodeError:
            raise _UnsoundError("it has a text that is not UTF-8") from None

    def _unpack(self, form: str) -> tuple[Any, ...]:
        return struct.unpack(form, self._take(struct.calcsize(form)))

    def _take(self, count: int) -> bytes:
        self.place += count
        if self.place > _MOST_BYTES:
            raise _UnsoundError(f"its head does not end within {_MOST_BYTES:,} bytes")
        taken = self.file.read(count) if self.place <= self.size else b""
        if len(taken) < count:
            raise _UnsoundError("it ends within its own head (was it cut short?)")
        return taken


def check_entries(header: Header, architecture: str, where: str) -> None:
    """Check that the entries of a model are those that its architecture has, and of the right types."""
    for key, type_ in header.types.items():
        group, _, rest = key.partition(".")
        name, value = f"*.{rest}" if group == architecture else key, header.fields[key]
        if name in _ONLY and type(value) is type(_ONLY[name]) and value != _ONLY[name]:
            raise LocalError(
                f"{where} can't be used: its entry {key} is {str(value)[:40]}, and only {_ONLY[name]} can be "
                "trained here."
            )
        expected = _TYPE.get(name)
        if key.startswith("tokenizer.chat_template."):
            expected = "str"
        elif key.startswith("tokenizer.ggml.") and key.endswith("_token_id"):
            expected = "u32"
        if expected is None:
            if group not in ("tokenizer", architecture):
                continue
            raise LocalError(
                f"{where} has the entry {key}, which a plain {architecture} has not, so it can't be trained here."
            )
        if type_ != expected:
            raise LocalError(
                f"{where} can't be used: its entry {key} is of type {type_}; it should be {expected}."
            )
        if key.startswith("tokenizer.chat_template") and type_ == "str":
            check_template(value, where)
    _check_vocabulary(header.fields, where)


def _check_vocabulary(fields: dict[str, Any], where: str) -> None:
    tokens = fields.get("tokenizer.ggml.tokens", [])
    if len(set(tokens)) != len(tokens):
        raise LocalError(f"{where} can't be used: its tokenizer has a token twice.")
    for name in ("token_type", "scores"):
        values = fields.get(f"tokenizer.ggml.{name}")
        if values is not None and len(values) != len(tokens):
            raise LocalError(
                f"{where} can't be used: its tokenizer has {len(tokens):,} tokens and {len(values):,} {name}s."
            )
    known = {int(type_) for type_ in TokenType}
    if odd := set(fields.get("tokenizer.ggml.token_type", ())) - known:
        raise LocalError(f"{where} can't be used: its tokenizer has tokens of the unknown type {min(odd)}.")
