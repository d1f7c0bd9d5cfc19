"""The kinds of network that can be trained here, and in what they differ.

All are Llama's network. Qwen2 adds a bias to q, k and v; Qwen3 normalises each head of q and k before it is
turned. Llama.cpp and transformers have the same names for them.

Left out: networks that differ more (mixtures of experts, sliding windows, other activations).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Architecture:
    """One kind of network.

    Args:
        name: GGUF's ``general.architecture``, and transformers' ``model_type``.
        model: transformers' class.
        permuted: whether llama.cpp keeps the rows of q and k in another order than transformers.
        biases: whether q, k and v have a bias.
        norms: whether the heads of q and k are normalised.
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
