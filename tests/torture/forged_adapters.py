"""GGUF adapters that lie, in the right form, as in `forged`. A number makes the same one again."""

import math
import random
from pathlib import Path
from typing import Any

import numpy as np
from forged import NUMBERS, OF_ANY, Lie, harm
from gguf_pieces import File

from openai_local.models.adapter import SHA256


def _fit(chance: random.Random, file: File) -> None:
    """Matrices of another shape than the base's, each of them as long as it says."""
    width, rank = chance.choice([1, 7, 32, 64, 96, 128]), chance.choice([1, 2, 3, 16])
    whole = chance.random() < 0.5
    chosen = chance.choice(file.tensors).name[:-1]
    data = b""
    for tensor in file.tensors:
        if whole or tensor.name[:-1] == chosen:
            tensor.dimensions = [width, rank] if tensor.name.endswith(b"a") else [rank, width]
        tensor.offset = len(data)
        numbers = np.full(math.prod(tensor.dimensions), 0.01, dtype="<f2").tobytes()
        data += numbers + bytes(-len(numbers) % 32)
    file.data = data


def _matrix(chance: random.Random, file: File) -> None:
    """Names that an adapter's matrices may have, but not of this base."""
    old = chance.choice(file.tensors).name[: -len(b".lora_a")]
    names = [b"blk.7.attn_q.weight", b"blk.9999.attn_q.weight", b"blk.00.attn_q.weight", b"blk.-1.attn_q.weight"]
    names += [
        b"blk.01.ffn_up.weight",
        b"token_embd.weight",
        b"output.weight",
        b"../../attn_q.weight",
        b"blk.0.attn_norm.weight",
    ]
    new = chance.choice(names)
    for tensor in file.tensors:
        if tensor.name.startswith(old + b"."):
            tensor.name = new + tensor.name[len(old) :]


def _entry(chance: random.Random, file: File) -> None:
    told: list[tuple[str, Any]] = [
        ("adapter.lora.alpha", chance.choice(NUMBERS)),
        ("adapter.lora.task_name", "x"),
        ("adapter.lora.prompt_prefix", "x"),
        ("adapter.alora.invocation_tokens", [1, 2]),
        ("adapter.type", chance.choice(["alora", "control_vector", ""])),
        ("general.type", chance.choice(["model", "", "adapter\x00"])),
        ("general.architecture", chance.choice(["qwen2", "qwen3", "bert", "", "llama4"])),
        (SHA256, chance.choice(["", "0" * 64, "x" * 100_000])),
    ]
    file.put(*chance.choice(told))


LIES: list[Lie] = [*OF_ANY, _fit, _fit, _fit, _matrix, _matrix, _entry, _entry]


def adapter(number: int, sound: Path) -> bytes:
    """A GGUF adapter that lies. Its SHA-256 mostly fits."""
    chance, file = random.Random(f"adapter {number}"), File.read(sound)
    if chance.random() < 0.9:
        chance.choice(LIES)(chance, file)
    if chance.random() < 0.8:
        file.sign()
    content = file.bytes()
    return content if chance.random() < 0.8 else harm(chance, content, max(len(content) - len(file.data), 24))
