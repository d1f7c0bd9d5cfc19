"""A trained LoRA as a GGUF adapter, the file that llama.cpp answers from.

Both matrices of every trained linear layer are written as float16. llama.cpp keeps the rows of a Llama's q and
k projections in another order than transformers, so the rows of their B are put into that order, and back into
transformers' when an adapter is read.

A file says in an entry of its own what the SHA-256 of its matrices is. So one that was changed since is found out
before llama.cpp gets it: that would end the whole process. A file that was looked at is not looked at again as
long as it is the same, by its size and its time of change.
"""

import contextlib
import hashlib
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import gguf
import numpy as np

from openai_local.errors import LocalError
from openai_local.home import arriving
from openai_local.models.architectures import ARCHITECTURES, find_architecture, permute, unpermute
from openai_local.models.base_models import FETCH_AGAIN, file_state
from openai_local.models.gguf_header import Header, check_entries, read_header, read_numbers

_NAMES = {f"{letter}_proj": f"attn_{letter}" for letter in "qkv"} | {"o_proj": "attn_output"}
_NAMES |= {f"{name}_proj": f"ffn_{name}" for name in ("gate", "up", "down")}
"""The linear layers: transformers' names for them, and GGUF's."""
SHA256 = "openai_local.sha256"
_MATRIX = re.compile(rf"blk\.\d{{1,4}}\.({'|'.join(_NAMES.values())})\.weight\.lora_[ab]")
_TYPES = {
    "general.architecture": "str",
    "general.type": "str",
    gguf.Keys.Adapter.TYPE: "str",
    gguf.Keys.Adapter.LORA_ALPHA: "f32",
    SHA256: "str",
}
"""The entries of an adapter, with their types."""
_AGAIN = "Put this file of a trained model back from a copy of yours, or train the model again."


@dataclass(frozen=True)
class Factors:
    """The two matrices of one LoRA: ``a`` is (rank, inputs), ``b`` is (outputs, rank)."""

    a: np.ndarray
    b: np.ndarray

    @property
    def rank(self) -> int:
        """How many rows A has, and columns B."""
        return int(self.a.shape[0])


@dataclass(frozen=True)
class Adapter:
    """A LoRA as it was read: its alpha, and for each (layer number, transformers' module name) its matrices."""

    alpha: float
    factors: dict[tuple[int, str], Factors]

    @property
    def rank(self) -> int:
        """The highest rank of its matrices."""
        return max(pair.rank for pair in self.factors.values())

    @property
    def layers(self) -> list[int]:
        """The numbers of the layers that learned."""
        return sorted({layer for layer, _ in self.factors})

    @property
    def modules(self) -> list[str]:
        """Transformers' names of what learned in them."""
        return sorted({module for _, module in self.factors})


def write_adapter(
    path: Path, factors: Mapping[tuple[int, str], Factors], config: dict[str, Any], alpha: float
) -> None:
    """Write a GGUF adapter, whole or not at all.

    `factors` has its matrices for each (layer number, transformers' module name such as ``q_proj``), and `config`
    is the base model's ``config.json``. The product B·A is scaled by alpha / rank.
    """
    heads, digest = _heads(config), hashlib.sha256()
    with arriving(path) as part, contextlib.closing(gguf.GGUFWriter(part, config["model_type"])) as writer:
        writer.add_type(gguf.GGUFType.ADAPTER)
        writer.add_string(gguf.Keys.Adapter.TYPE, "lora")
        writer.add_float32(gguf.Keys.Adapter.LORA_ALPHA, alpha)
        for (layer, module), pair in sorted(factors.items()):
            b = permute(pair.b, heads[module]) if module in heads else pair.b
            for letter, matrix in (("a", pair.a), ("b", b)):
                half = np.ascontiguousarray(matrix, dtype=np.float16)
                writer.add_tensor(f"blk.{layer}.{_NAMES[module]}.weight.lora_{letter}", half)
                digest.update(half.tobytes())
        writer.add_string(SHA256, digest.hexdigest())
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()


def read_adapter(path: Path, config: dict[str, Any]) -> Adapter:
    """Read what `write_adapter` wrote for a base with this ``config.json``, with transformers' order of rows."""
    header, heads = check_adapter(path), _heads(config)
    matrices = {name: read_numbers(path, tensor).view(np.float16) for name, tensor in header.tensors.items()}
    modules = {theirs: ours for ours, theirs in _NAMES.items()}
    factors = {}
    for name in [name for name in matrices if name.endswith(".lora_a")]:
        _, layer, kind, *_ = name.split(".")
        module, b = modules[kind], matrices[f"{name.removesuffix('a')}b"]
        b = unpermute(b, heads[module]) if module in heads else b
        factors[int(layer), module] = Factors(matrices[name], b)
    return Adapter(float(header.fields[gguf.Keys.Adapter.LORA_ALPHA]), factors)


def _heads(config: dict[str, Any]) -> dict[str, int]:
    """The modules whose rows llama.cpp keeps in its own order, with the number of their heads."""
    if not ARCHITECTURES[config["model_type"]].permuted:
        return {}
    return {"q_proj": config["num_attention_heads"], "k_proj": config["num_key_value_heads"]}


def check_adapter(path: Path) -> Header:
    """Check that an adapter is as `write_adapter` wrote it, and return its head. This reads all of it.

    Of one that was written before adapters had a SHA-256, only its form is checked.
    """
    header = read_header(path, _AGAIN)
    problem = _problem(header)
    digest, finite = hashlib.sha256(), True
    for tensor in header.tensors.values() if not problem else ():
        numbers = read_numbers(path, tensor)
        digest.update(numbers.tobytes())
        finite = finite and bool(np.isfinite(numbers.view(np.float16)).all())
    if not problem and header.fields.get(SHA256, digest.hexdigest()) != digest.hexdigest():
        problem = "its SHA-256 is another one"
    if problem:
        raise LocalError(f"The trained model's file {path} was changed or damaged: {problem}. {_AGAIN}")
    if not finite:
        raise LocalError(
            "The training of this model went astray: its numbers grew beyond all bounds. Train again, with a "
            "smaller learning_rate_multiplier."
        )
    return header


def _problem(header: Header) -> str | None:
    fields, known = header.fields, dict(_TYPES)
    if SHA256 not in fields:
        del known[SHA256]
    if header.types != known or fields["general.architecture"] not in ARCHITECTURES:
        return "its entries are not those of an adapter"
    if (fields["general.type"], fields[gguf.Keys.Adapter.TYPE]) != (gguf.GGUFType.ADAPTER, "lora"):
        return "it says that it is something else"
    if not math.isfinite(fields[gguf.Keys.Adapter.LORA_ALPHA]):
        return "its alpha is no number"
    twins = str.maketrans("ab", "ba")
    for name, tensor in header.tensors.items():
        if not _MATRIX.fullmatch(name) or name[:-1] + name[-1].translate(twins) not in header.tensors:
            return f"it has the matrix {name}, which can't be"
        if tensor.kind != gguf.GGMLQuantizationType.F16 or len(tensor.shape) != 2:
            return f"{name} is no matrix of 16 bits"
    return None if header.tensors else "it has no matrices"


def require_sound(gguf: Path, adapters: Sequence[Path]) -> None:
    """Look at a base model's head and all of its adapters. They must belong to it, and be as they were written."""
    state = file_state(gguf)
    _base(gguf, state)
    for adapter in adapters:
        _look(adapter, file_state(adapter, _AGAIN), gguf, state)


@lru_cache(maxsize=64)
def _base(path: Path, state: tuple[int, ...]) -> tuple[str, dict[str, tuple[int, ...]]]:
    """A base model's architecture, and the shapes of its tensors in numpy's order."""
    header = read_header(path, FETCH_AGAIN)
    kind = find_architecture(header.fields.get("general.architecture"), path.name)
    check_entries(header, kind.name, path.name)
    return kind.name, {name: tensor.shape for name, tensor in header.tensors.items()}


@lru_cache(maxsize=4096)
def _look(path: Path, state: tuple[int, ...], gguf: Path, base: tuple[int, ...]) -> None:
    """Check an adapter, and that it fits its base: A is (rank, inputs), B is (outputs, rank)."""
    header = check_adapter(path)
    architecture, shapes = _base(gguf, base)
    fits = header.fields["general.architecture"] == architecture
    for name, tensor in header.tensors.items():
        if name.endswith(".lora_a"):
            (rank, inputs), (outputs, columns) = tensor.shape, header.tensors[f"{name[:-1]}b"].shape
            fits = fits and rank == columns and shapes.get(name.removesuffix(".lora_a")) == (outputs, inputs)
    if not fits:
        raise LocalError(f"The trained model's file {path} belongs to another base than {gguf}. {_AGAIN}")
