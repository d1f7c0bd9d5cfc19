"""Which entries a GGUF file's metadata may have, and of which type, before llama.cpp gets the file.

Llama.cpp ends the whole process at some entries of another type than it expects, and at lists of another length
than the vocabulary. It also knows entries that make another network of the same tensors. So all that begin with
``tokenizer.`` or with the architecture's name must be among those here; of the others it reads the types only.

Left out: what the numbers mean for training (`convert`).
"""

from __future__ import annotations

from typing import Any

from gguf import TokenType

from openai_local.engine.header import Header
from openai_local.engine.templates import check_template
from openai_local.errors import LocalError

_TOKENIZER = {
    "ggml.model": "str",
    "ggml.pre": "str",
    "ggml.tokens": "[str]",
    "ggml.token_type": "[i32]",
    "ggml.scores": "[f32]",
    "ggml.merges": "[str]",
    "ggml.token_type_count": "u32",
    "ggml.add_bos_token": "bool",
    "ggml.add_eos_token": "bool",
    "ggml.add_sep_token": "bool",
    "ggml.add_space_prefix": "bool",
    "ggml.remove_extra_whitespaces": "bool",
    "chat_template": "str",
    "chat_templates": "[str]",
    "huggingface.json": "str",
}
_NETWORK: dict[str, tuple[str, Any]] = {
    "vocab_size": ("u32", None),
    "context_length": ("u32", None),
    "embedding_length": ("u32", None),
    "block_count": ("u32", None),
    "feed_forward_length": ("u32", None),
    "attention.head_count": ("u32", None),
    "attention.head_count_kv": ("u32", None),
    "attention.key_length": ("u32", None),
    "attention.value_length": ("u32", None),
    "attention.layer_norm_rms_epsilon": ("f32", None),
    "rope.dimension_count": ("u32", None),
    "rope.freq_base": ("f32", None),
    "tensor_data_layout": ("str", None),
    # What a plain network has only with this value.
    "attention.causal": ("bool", True),
    "attention.sliding_window": ("u32", 0),
    "expert_count": ("u32", 0),
    "expert_used_count": ("u32", 0),
    "pooling_type": ("u32", 0),
    "rope.scale_linear": ("f32", 1.0),
    "rope.scaling.type": ("str", "none"),
    "rope.scaling.factor": ("f32", 1.0),
    "rope.scaling.original_context_length": ("u32", None),
    "rope.scaling.finetuned": ("bool", None),
    "use_parallel_residual": ("bool", False),
}
"""The type of each entry of the network, and the one value that it may have (None: any)."""
_GENERAL = {
    "general.architecture": "str",
    "general.type": "str",
    "general.name": "str",
    "general.file_type": "u32",
    "general.quantization_version": "u32",
    "general.alignment": "u32",
}


def check_entries(header: Header, architecture: str, where: str) -> None:
    """Check the entries of a model.

    Args:
        header: the file's head.
        architecture: what the file says that it is.
        where: which file it is, for people.

    Raises:
        LocalError: an entry is not known, or is of another type; it is named.
    """
    for key, type_ in header.types.items():
        group, _, rest = key.partition(".")
        if group == "tokenizer":
            expected = _of_the_tokenizer(rest)
        elif group == architecture:
            expected = _of_the_network(rest, header.fields[key], f"{where} can't be used: its entry {key}")
        else:
            expected = _GENERAL.get(key, type_)
        if expected is None:
            raise LocalError(
                f"{where} has the entry {key}, which a plain {architecture} has not, so it can't be trained here."
            )
        if type_ != expected:
            raise LocalError(
                f"{where} can't be used: its entry {key} is of type {type_}; it should be {expected}."
            )
        if key.startswith("tokenizer.chat_template") and type_ == "str":
            check_template(header.fields[key], where)
    _check_vocabulary(header.fields, where)


def _of_the_tokenizer(key: str) -> str | None:
    if key.startswith("chat_template."):
        return "str"
    if key.startswith("ggml.") and key.endswith("_token_id"):
        return "u32"
    return _TOKENIZER.get(key)


def _of_the_network(key: str, value: Any, what: str) -> str | None:
    expected, only = _NETWORK.get(key, (None, None))
    if only is not None and type(value) is type(only) and value != only:
        raise LocalError(f"{what} is {str(value)[:40]}, and only {only} can be trained here.")
    return expected


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
