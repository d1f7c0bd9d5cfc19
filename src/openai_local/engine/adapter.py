"""A trained LoRA as a GGUF adapter, the file that llama.cpp answers from.

Both matrices of every trained linear layer are written as float16. llama.cpp keeps the rows of a Llama's q and
k projections in another order than transformers, so the rows of their B are put into that order, and back into
transformers' when an adapter is read.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import gguf
import numpy as np

from openai_local.engine.architectures import ARCHITECTURES
from openai_local.engine.convert import permute, unpermute
from openai_local.errors import LocalError

_NAMES = {
    "q_proj": "attn_q",
    "k_proj": "attn_k",
    "v_proj": "attn_v",
    "o_proj": "attn_output",
    "gate_proj": "ffn_gate",
    "up_proj": "ffn_up",
    "down_proj": "ffn_down",
}


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


def write_adapter(
    path: Path,
    factors: Mapping[tuple[int, str], Factors],
    *,
    alpha: float,
    heads: int,
    kv_heads: int,
    architecture: str = "llama",
) -> None:
    """Write a GGUF adapter, whole or not at all.

    Args:
        path: where it goes.
        factors: for each (layer number, transformers' module name such as ``q_proj``) its matrices.
        alpha: LoRA's alpha; the product B·A is scaled by alpha / rank.
        heads: attention heads of the base model.
        kv_heads: its key and value heads.
        architecture: its kind, one of `ARCHITECTURES` (``model_type`` in its config).
    """
    temporary = path.with_name(f".{path.name}.part")
    writer = gguf.GGUFWriter(temporary, architecture)
    writer.add_type(gguf.GGUFType.ADAPTER)
    writer.add_string(gguf.Keys.Adapter.TYPE, "lora")
    writer.add_float32(gguf.Keys.Adapter.LORA_ALPHA, alpha)
    rotated = {"q_proj": heads, "k_proj": kv_heads} if ARCHITECTURES[architecture].permuted else {}
    for (layer, module), pair in sorted(factors.items()):
        b = permute(pair.b, rotated[module]) if module in rotated else pair.b
        name = f"blk.{layer}.{_NAMES[module]}.weight"
        writer.add_tensor(f"{name}.lora_a", pair.a.astype(np.float16))
        writer.add_tensor(f"{name}.lora_b", b.astype(np.float16))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with temporary.open("rb") as file:
        os.fsync(file.fileno())
    temporary.replace(path)


def read_adapter(path: Path, *, heads: int, kv_heads: int) -> Adapter:
    """Read what `write_adapter` wrote.

    Args:
        path: the GGUF adapter.
        heads: attention heads of the base model.
        kv_heads: its key and value heads.

    Returns:
        The matrices as they are in the file, in transformers' order of rows.

    Raises:
        LocalError: the file is damaged.
    """
    try:
        reader = gguf.GGUFReader(path)
        fields = {name: field.contents() for name, field in reader.fields.items()}
        matrices = {tensor.name: np.array(tensor.data) for tensor in reader.tensors}
    except (ValueError, IndexError, OverflowError) as error:
        raise LocalError(f"{path} is damaged ({error}). Train the model again.") from None
    permuted = ARCHITECTURES[fields["general.architecture"]].permuted
    rotated = {"q_proj": heads, "k_proj": kv_heads} if permuted else {}
    modules = {theirs: ours for ours, theirs in _NAMES.items()}
    factors = {}
    for name in [name for name in matrices if name.endswith(".lora_a")]:
        _, layer, kind, *_ = name.split(".")
        module, b = modules[kind], matrices[f"{name.removesuffix('a')}b"]
        b = unpermute(b, rotated[module]) if module in rotated else b
        factors[int(layer), module] = Factors(matrices[name], b)
    return Adapter(float(fields[gguf.Keys.Adapter.LORA_ALPHA]), factors)
