"""Unpack a GGUF file into the folder that training reads, once: transformers' form, which others read too.

transformers can read GGUF itself, but takes half a minute for it at every start, and builds a tokenizer that
splits numbers otherwise than llama.cpp does. Here the weights are dequantised with the `gguf` package and kept
as float16 safetensors, and the tokenizer is built from the tokens and merges in the file.

Left out: architectures other than Llama's, and tokenizers other than byte-level BPE.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from safetensors.numpy import save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from openai_local.errors import LocalError

_CONTROL = 3  # gguf.TokenType.CONTROL: a token that is never part of plain text

_TENSORS = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
_OUTER = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}

# How each kind of tokenizer cuts text before it merges (llama.cpp: llama-vocab.cpp, LLAMA_VOCAB_PRE_TYPE_*).
_PRE_TOKENIZERS = {
    "gpt-2": lambda: pre_tokenizers.ByteLevel(add_prefix_space=False),
    "smollm": lambda: pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    ),
}


def convert(source: Path, target: Path) -> None:
    """Write the GGUF model at `source` as a Hugging Face folder at `target`, whole or not at all.

    Raises:
        LocalError: the model's architecture or tokenizer is not one that can be trained here.
    """
    reader = gguf.GGUFReader(source)
    fields = {name: field.contents() for name, field in reader.fields.items()}
    if fields["general.architecture"] != "llama":
        raise LocalError(
            f"{source.name} has the architecture {fields['general.architecture']!r}; only llama works."
        )
    temporary = target.with_name(f".{target.name}.part")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    weights = _weights(reader, fields)
    save_file(weights, temporary / "model.safetensors", metadata={"format": "pt"})
    config = _config(fields, tied="lm_head.weight" not in weights)
    (temporary / "config.json").write_text(json.dumps(config, indent=2), encoding="utf-8")
    (temporary / "chat_template.jinja").write_text(fields.get("tokenizer.chat_template", ""), encoding="utf-8")
    _tokenizer(fields).save(str(temporary / "tokenizer.json"))
    temporary.rename(target)


def _weights(reader: gguf.GGUFReader, fields: dict[str, Any]) -> dict[str, np.ndarray]:
    heads = {
        "attn_q": fields["llama.attention.head_count"],
        "attn_k": fields["llama.attention.head_count_kv"],
    }
    weights = {}
    for tensor in reader.tensors:
        *block, kind, _ = tensor.name.split(".")
        if not block and kind not in _OUTER:
            continue  # rope_freqs and the like, which are computed
        array = gguf.dequantize(tensor.data, tensor.tensor_type)
        if kind in heads:
            array = _unpermute(array, heads[kind])
        name = f"model.layers.{block[1]}.{_TENSORS[kind]}" if block else _OUTER[kind]
        weights[f"{name}.weight"] = np.ascontiguousarray(array, dtype=np.float16)
    return weights


def _unpermute(array: np.ndarray, heads: int) -> np.ndarray:
    """Undo the order in which llama.cpp keeps the rows of q and k: pairs that rotate lie side by side there."""
    rows, columns = array.shape
    return array.reshape(heads, rows // heads // 2, 2, columns).swapaxes(1, 2).reshape(rows, columns)


def permute(array: np.ndarray, heads: int) -> np.ndarray:
    """Put the rows of a q or k matrix into llama.cpp's order (convert_hf_to_gguf.py, LlamaModel.permute)."""
    rows, columns = array.shape
    return array.reshape(heads, 2, rows // heads // 2, columns).swapaxes(1, 2).reshape(rows, columns)


def _config(fields: dict[str, Any], *, tied: bool) -> dict[str, Any]:
    heads, width = fields["llama.attention.head_count"], fields["llama.embedding_length"]
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_act": "silu",
        "hidden_size": width,
        "head_dim": fields.get("llama.attention.key_length", width // heads),
        "intermediate_size": fields["llama.feed_forward_length"],
        "max_position_embeddings": fields["llama.context_length"],
        "num_attention_heads": heads,
        "num_hidden_layers": fields["llama.block_count"],
        "num_key_value_heads": fields["llama.attention.head_count_kv"],
        "rms_norm_eps": fields["llama.attention.layer_norm_rms_epsilon"],
        "rope_theta": fields["llama.rope.freq_base"],
        "tie_word_embeddings": tied,
        "vocab_size": len(fields["tokenizer.ggml.tokens"]),
        "bos_token_id": fields.get("tokenizer.ggml.bos_token_id"),
        "eos_token_id": fields["tokenizer.ggml.eos_token_id"],
        "add_bos_token": bool(fields.get("tokenizer.ggml.add_bos_token", False)),
    }


def _tokenizer(fields: dict[str, Any]) -> Tokenizer:
    kind = (fields["tokenizer.ggml.model"], fields.get("tokenizer.ggml.pre"))
    if kind[0] != "gpt2" or kind[1] not in _PRE_TOKENIZERS:
        raise LocalError(
            f"The tokenizer {kind} can't be trained with here; known: gpt2 with {[*_PRE_TOKENIZERS]}."
        )
    tokens = fields["tokenizer.ggml.tokens"]
    merges = [tuple(merge.split(" ", 1)) for merge in fields["tokenizer.ggml.merges"]]
    tokenizer = Tokenizer(models.BPE(vocab={token: i for i, token in enumerate(tokens)}, merges=merges))
    tokenizer.pre_tokenizer = _PRE_TOKENIZERS[kind[1]]()
    tokenizer.decoder = decoders.ByteLevel()
    types = fields["tokenizer.ggml.token_type"]
    control = [token for token, type_ in zip(tokens, types, strict=True) if type_ == _CONTROL]
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in control])
    return tokenizer
