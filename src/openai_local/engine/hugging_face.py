"""A model in a Hugging Face folder, written as GGUF: the file that llama.cpp answers from.

Matrices become Q8_0: eight bits a number with a scale for every 32. Such a file is half as large as one of 16 bits
and answers faster, as writing an answer means reading all of it for each token. Training starts from the same
file (`convert`), so what is trained and what answers are the same numbers. Rows that 32 does not divide stay at 16
bits.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gguf
import numpy as np

from openai_local.engine.architectures import Tensor, check_tensors, find_architecture, tensors
from openai_local.engine.convert import LARGEST, check_heads, permute, permuted
from openai_local.engine.vocabulary import from_folder
from openai_local.engine.weights import Weights, find, read_json
from openai_local.errors import LocalError

MOST_TEMPLATE = 1_000_000
"""Bytes of a chat template; those of today's models have up to twenty thousand."""


def write_gguf(folder: Path, target: Path, title: str) -> None:
    """Write the model in a Hugging Face folder as a GGUF file.

    Args:
        folder: with ``config.json``, ``tokenizer.json`` and safetensors.
        target: the file.
        title: what people call the model.

    Raises:
        LocalError: something is missing, damaged, or not of a kind that can be trained here.
    """
    config = _config(folder)
    weights = Weights(folder)
    if config["tie_word_embeddings"]:
        weights.shapes.pop("lm_head.weight", None)  # some folders have the embedding twice
    check_tensors(config, weights.shapes, str(folder), gguf=False)
    writer = gguf.GGUFWriter(target, config["model_type"])
    try:
        _describe(writer, config, folder, title)
        for tensor in tensors(config):
            kind = _type(tensor)
            shape = gguf.quant_shape_to_byte_shape(tensor.shape, kind) if kind == _Q8 else tensor.shape
            n_bytes = int(np.prod(shape)) * {_Q8: 1, _F16: 2, _F32: 4}[kind]
            writer.add_tensor_info(tensor.gguf, tensor.shape, np.dtype(np.float32), n_bytes, raw_dtype=kind)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        for data in _arrays(config, weights):
            writer.write_tensor_data(data)
    finally:
        writer.close()


_Q8, _F16, _F32 = gguf.GGMLQuantizationType.Q8_0, gguf.GGMLQuantizationType.F16, gguf.GGMLQuantizationType.F32


def _type(tensor: Tensor) -> gguf.GGMLQuantizationType:
    if len(tensor.shape) == 1:
        return _F32
    return _Q8 if tensor.shape[1] % 32 == 0 else _F16


def _arrays(config: dict[str, Any], weights: Weights) -> Iterator[np.ndarray]:
    heads = permuted(config)
    for tensor in tensors(config):
        array = weights.read(tensor.name)
        if not np.isfinite(array).all() or np.abs(array).max() > 65_504:
            raise LocalError(f"The tensor {tensor.name} has numbers that 16 bits can't hold.")
        kind = tensor.gguf.split(".")[-2]
        if kind in heads:
            array = permute(array, heads[kind])
        yield gguf.quantize(np.ascontiguousarray(array), _type(tensor))


def _describe(writer: gguf.GGUFWriter, config: dict[str, Any], folder: Path, title: str) -> None:
    """Write the metadata: what the network and its tokenizer are like."""
    writer.add_name(title)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0)
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    writer.add_vocab_size(config["vocab_size"])
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_key_length(config["head_dim"])
    writer.add_value_length(config["head_dim"])
    writer.add_rope_dimension_count(config["head_dim"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_freq_base(config["rope_theta"])
    vocabulary = from_folder(folder, config["vocab_size"])
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(vocabulary.pre)
    writer.add_token_list(vocabulary.tokens)
    writer.add_token_types(vocabulary.types)
    writer.add_token_merges(vocabulary.merges)
    writer.add_add_bos_token(vocabulary.starts)
    told = read_json(folder / "tokenizer_config.json", optional=True)
    start = vocabulary.start if vocabulary.starts else _token(told.get("bos_token"), vocabulary.tokens)
    if start is not None:
        writer.add_bos_token_id(start)
    writer.add_eos_token_id(_end(told, config["eos_token_id"], vocabulary.tokens, folder))
    if template := _template(folder, told):
        writer.add_chat_template(template)


def _end(told: dict[str, Any], configured: Any, tokens: list[str], folder: Path) -> int:
    """The token that ends an answer. The tokenizer's word counts: a chat model's config names others too."""
    end = _token(told.get("eos_token"), tokens)
    if end is None:
        end = configured[0] if isinstance(configured, list) and configured else configured
    if type(end) is not int or not 0 <= end < len(tokens):
        raise LocalError(f"{folder} does not say which token ends an answer (eos_token in tokenizer_config.json).")
    return end


def _token(told: Any, tokens: list[str]) -> int | None:
    name = told.get("content") if isinstance(told, dict) else told
    return tokens.index(name) if isinstance(name, str) and name in tokens else None


def _template(folder: Path, told: dict[str, Any]) -> str:
    path = find(folder, "chat_template.jinja")
    if path.exists():
        if path.stat().st_size > MOST_TEMPLATE:
            raise LocalError(f"{path} is too large for a chat template: it may have {MOST_TEMPLATE:,} bytes.")
        try:
            return path.read_text(encoding="utf-8")
        except ValueError:
            raise LocalError(f"{path} is not UTF-8 text. Copy or fetch it again.") from None
    template = told.get("chat_template") or ""
    if isinstance(template, list):  # several, each with a name
        named = [entry for entry in template if isinstance(entry, dict) and entry.get("name") == "default"]
        template = named[0].get("template") if named else ""
    return template if isinstance(template, str) else ""


def _config(folder: Path) -> dict[str, Any]:
    """What ``config.json`` says, in `convert`'s form. What the network here does not have is refused."""
    path = folder / "config.json"
    told = read_json(path)
    kind = find_architecture(told.get("model_type"), str(path))
    _refuse_unusual(told, path)

    def count(key: str, default: int | None = None) -> int:
        value = default if told.get(key) is None else told[key]
        if type(value) is not int or not 1 <= value <= LARGEST:
            raise LocalError(f"{path} can't be used: its {key} is {str(value)[:40]}.")
        return value

    def number(key: str, value: Any) -> float:
        if type(value) not in (int, float) or not 0 < value < 1e12:
            raise LocalError(f"{path} can't be used: its {key} is {str(value)[:40]}.")
        return float(value)

    heads, width = count("num_attention_heads"), count("hidden_size")
    head_dim, kv_heads = count("head_dim", width // heads), count("num_key_value_heads", heads)
    check_heads(heads, kv_heads, head_dim, str(path))
    rope = _rope(told, path)
    return {
        "model_type": kind.name,
        "hidden_size": width,
        "head_dim": head_dim,
        "intermediate_size": count("intermediate_size"),
        "max_position_embeddings": count("max_position_embeddings"),
        "num_attention_heads": heads,
        "num_hidden_layers": count("num_hidden_layers"),
        "num_key_value_heads": kv_heads,
        "rms_norm_eps": number("rms_norm_eps", told.get("rms_norm_eps")),
        "rope_theta": number("rope_theta", told.get("rope_theta") or rope.get("rope_theta") or 10000.0),
        "tie_word_embeddings": bool(told.get("tie_word_embeddings", False)),
        "vocab_size": count("vocab_size"),
        "eos_token_id": told.get("eos_token_id"),
    }


def _rope(told: dict[str, Any], path: Path) -> dict[str, Any]:
    rope = told.get("rope_parameters") or told.get("rope_scaling") or {}  # transformers 5 and before
    if not isinstance(rope, dict):
        raise LocalError(f"{path} can't be used: its rope_parameters are {str(rope)[:40]}.")
    return rope


def _refuse_unusual(told: dict[str, Any], path: Path) -> None:
    rope = _rope(told, path)
    layers, models = told.get("layer_types") or [], told.get("architectures") or []
    unusual = {
        "needs code of its own, which is never run here": "auto_map" in told,
        "has scaled rotary angles": rope.get("rope_type", rope.get("type", "default")) != "default",
        "turns only a part of each head": told.get("partial_rotary_factor", 1) != 1,
        "uses a sliding window": told.get("use_sliding_window")
        or not isinstance(layers, list)
        or any(layer != "full_attention" for layer in layers),
        "has biases that are not usual": told.get("attention_bias") or told.get("mlp_bias"),
        "is not activated by SiLU": told.get("hidden_act", "silu") != "silu",
        "is quantised": "quantization_config" in told,
        "does not write texts": not isinstance(models, list)
        or not all("CausalLM" in str(name) for name in models),
    }
    for what, is_so in unusual.items():
        if is_so:
            raise LocalError(f"The model in {path} {what}, so it can't be trained here.")
