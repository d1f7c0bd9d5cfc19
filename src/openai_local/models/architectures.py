"""The kinds of network that can be trained here, in what they differ, and which tensors they are made of.

All are Llama's network. Qwen2 adds a bias to q, k and v; Qwen3 normalises each head of q and k before it is
turned. Llama.cpp and transformers have the same names for the kinds, and different ones for the tensors. Of
Llama's q and k they also keep the rows in different orders.

Left out: networks that differ more (mixtures of experts, sliding windows, other activations).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from openai_local.errors import LocalError


@dataclass(frozen=True)
class Architecture:
    """One kind of network: GGUF's ``general.architecture`` and transformers' ``model_type``, and its class there.

    `permuted` says whether llama.cpp keeps the rows of q and k in another order than transformers, `biases`
    whether q, k and v have a bias, and `norms` whether the heads of q and k are normalised.
    """

    name: str
    model: str
    permuted: bool = False
    biases: bool = False
    norms: bool = False


ARCHITECTURES = {
    kind.name: kind
    for kind in (
        Architecture("llama", "LlamaForCausalLM", permuted=True),
        Architecture("qwen2", "Qwen2ForCausalLM", biases=True),
        Architecture("qwen3", "Qwen3ForCausalLM", norms=True),
    )
}


SIZES = {
    "hidden_size": "embedding_length",
    "head_dim": "attention.key_length",
    "intermediate_size": "feed_forward_length",
    "max_position_embeddings": "context_length",
    "num_attention_heads": "attention.head_count",
    "num_hidden_layers": "block_count",
    "num_key_value_heads": "attention.head_count_kv",
}
"""How large a network is: transformers' names for it, and GGUF's behind the architecture's name and a dot."""


@dataclass(frozen=True)
class Tensor:
    """One tensor of a network: its name in GGUF, its name in transformers, its shape in numpy's order.

    If llama.cpp keeps its rows in an order of its own, `heads` says of how many heads they are.
    """

    gguf: str
    name: str
    shape: tuple[int, ...]
    heads: int = 0


def find_architecture(name: Any, where: str) -> Architecture:
    """The kind of network called `name`, which a file named."""
    if not isinstance(name, str) or name not in ARCHITECTURES:
        known = ", ".join(ARCHITECTURES)
        raise LocalError(
            f"{where} has the architecture {repr(name)[:40]}, which can't be trained here. These can: {known}."
        )
    return ARCHITECTURES[name]


def is_count(value: Any) -> bool:
    """Whether a number of layers, heads, rows or tokens can be this one."""
    return type(value) is int and 1 <= value <= 1 << 24


def read_sizes(count: Callable[[str, int | None], int], where: str) -> dict[str, int]:
    """The sizes of a network. `count` finds one by transformers' name for it and what it usually is.

    Heads must share keys and values evenly, and their numbers must be such as can be turned in pairs.
    """
    width, heads = count("hidden_size", None), count("num_attention_heads", None)
    usual = {"head_dim": width // heads, "num_key_value_heads": heads}
    sizes = {name: count(name, usual.get(name)) for name in SIZES}
    kv_heads, head_dim = sizes["num_key_value_heads"], sizes["head_dim"]
    if heads % kv_heads or head_dim % 2:
        raise LocalError(
            f"{where} can't be used: it has {heads} heads of {head_dim} numbers, and {kv_heads} for keys and "
            "values."
        )
    return sizes


def tensors(config: dict[str, Any]) -> Iterator[Tensor]:
    """All tensors of a network, from the bottom to the top.

    `config` is as `conversion` writes it. Its ``head_dim`` counts, and ``tie_word_embeddings`` says whether the
    head is the embedding.
    """
    width = config["hidden_size"]
    layer = [*_layer(config)]
    yield Tensor("token_embd.weight", "model.embed_tokens.weight", (config["vocab_size"], width))
    for number in range(config["num_hidden_layers"]):
        for part in layer:
            gguf, name = f"blk.{number}.{part.gguf}", f"model.layers.{number}.{part.name}"
            yield replace(part, gguf=gguf, name=name)
    yield Tensor("output_norm.weight", "model.norm.weight", (width,))
    if not config["tie_word_embeddings"]:
        yield Tensor("output.weight", "lm_head.weight", (config["vocab_size"], width))


def _layer(config: dict[str, Any]) -> Iterator[Tensor]:
    kind = ARCHITECTURES[config["model_type"]]
    width, inner, head = config["hidden_size"], config["intermediate_size"], config["head_dim"]
    q, kv = config["num_attention_heads"], config["num_key_value_heads"]
    yield Tensor("attn_norm.weight", "input_layernorm.weight", (width,))
    for letter, heads in (("q", q), ("k", kv), ("v", kv)):
        gguf, name = f"attn_{letter}", f"self_attn.{letter}_proj"
        ordered = heads if kind.permuted and letter != "v" else 0
        yield Tensor(f"{gguf}.weight", f"{name}.weight", (heads * head, width), ordered)
        if kind.biases:
            yield Tensor(f"{gguf}.bias", f"{name}.bias", (heads * head,))
        if kind.norms and letter != "v":
            yield Tensor(f"{gguf}_norm.weight", f"self_attn.{letter}_norm.weight", (head,))
    yield Tensor("attn_output.weight", "self_attn.o_proj.weight", (width, q * head))
    yield Tensor("ffn_norm.weight", "post_attention_layernorm.weight", (width,))
    yield Tensor("ffn_gate.weight", "mlp.gate_proj.weight", (inner, width))
    yield Tensor("ffn_up.weight", "mlp.up_proj.weight", (inner, width))
    yield Tensor("ffn_down.weight", "mlp.down_proj.weight", (width, inner))


def check_tensors(config: dict[str, Any], found: dict[str, tuple[int, ...]], where: str, *, gguf: bool) -> None:
    """Check that a file holds the tensors of its network, all of them, none else, each in its shape.

    `found` has the shapes of those that there are, by their names in GGUF or in transformers.
    """
    expected = set()
    for tensor in tensors(config):  # which may claim to be millions, so this ends at the first that is not there
        name, shape = tensor.gguf if gguf else tensor.name, tensor.shape
        expected.add(name)
        if name not in found:
            raise LocalError(f"{where} lacks the tensor {name}. Is it whole? Copy or fetch it again.")
        if found[name] != shape:
            raise LocalError(
                f"The tensor {name} in {where} has the shape {str(found[name])[:60]}; it should be {shape}."
            )
    if others := sorted(found.keys() - expected):
        raise LocalError(
            f"{where} has {len(others)} tensor(s) that a plain {config['model_type']} has not, such as "
            f"{others[0]}, so it can't be trained here."
        )


def unpermute(array: np.ndarray, heads: int) -> np.ndarray:
    """Undo the order in which llama.cpp keeps the rows of q and k: pairs that rotate lie side by side there."""
    rows, columns = array.shape
    return array.reshape(heads, rows // heads // 2, 2, columns).swapaxes(1, 2).reshape(rows, columns)


def permute(array: np.ndarray, heads: int) -> np.ndarray:
    """Put the rows of a q or k matrix into llama.cpp's order (convert_hf_to_gguf.py, LlamaModel.permute)."""
    rows, columns = array.shape
    return array.reshape(heads, 2, rows // heads // 2, columns).swapaxes(1, 2).reshape(rows, columns)
