"""From GGUF to the folder that training reads, once, and from a Hugging Face folder to GGUF.

transformers can read GGUF itself, but takes half a minute for it at every start, and builds a tokenizer that
splits numbers otherwise than llama.cpp does. Here the weights are dequantised with the `gguf` package and kept
as float16 safetensors, one tensor after the other, and the tokenizer is built from the tokens and merges in the
file (`vocabulary`).

A model in a Hugging Face folder becomes GGUF first, the file that llama.cpp answers from. Its matrices become
Q8_0: eight bits a number with a scale for every 32. Such a file is half as large as one of 16 bits and answers
faster, as writing an answer means reading all of it for each token. Training starts from the same file, so what
is trained and what answers are the same numbers. Rows that 32 does not divide stay at 16 bits.

Left out: architectures that `architectures` does not have, scaled rotary angles, and files in several parts.
"""

import json
import shutil
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import gguf
import numpy as np

from openai_local.errors import LocalError
from openai_local.models.architectures import (
    SIZES,
    Tensor,
    check_tensors,
    find_architecture,
    is_count,
    permute,
    read_sizes,
    tensors,
    unpermute,
)
from openai_local.models.gguf_header import Header, Stored, check_entries, read_header, read_numbers
from openai_local.models.hugging_face import Weights, read_config
from openai_local.models.vocabulary import KINDS, describe_tokenizer, from_gguf

_Q8, _F16, _F32 = gguf.GGMLQuantizationType.Q8_0, gguf.GGMLQuantizationType.F16, gguf.GGMLQuantizationType.F32


def convert(source: Path, target: Path) -> None:
    """Write the GGUF model at `source` as a Hugging Face folder at `target`, whole or not at all."""
    header = read_header(source)
    found = header.tensors
    config = _config(header, source.name)
    check_tensors(config, {name: tensor.shape for name, tensor in found.items()}, source.name, gguf=True)
    for tensor in found.values():
        _check_type(tensor, source.name)
    tokenizer = from_gguf(header.fields, source.name)

    def numbers(name: str) -> np.ndarray:
        return gguf.dequantize(read_numbers(source, found[name]), found[name].kind)

    temporary = target.with_name(f".{target.name}.part")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    _write_weights(temporary / "model.safetensors", config, numbers)
    (temporary / "config.json").write_text(json.dumps(config, indent=2), encoding="utf-8")
    template = header.fields.get("tokenizer.chat_template", "")
    (temporary / "chat_template.jinja").write_text(str(template), encoding="utf-8")
    tokenizer.save(str(temporary / "tokenizer.json"))
    temporary.rename(target)


def _config(header: Header, where: str) -> dict[str, Any]:
    fields = header.fields
    kind = find_architecture(fields.get("general.architecture"), where)
    _refuse_unusual(fields, kind.name, where)
    check_entries(header, kind.name, where)

    def entry(key: str, default: Any, is_sound: Callable[[Any], bool]) -> Any:
        value = fields.get(key, default)
        if not is_sound(value):
            what = "is missing" if value is None else f"is {str(value)[:40]}, which can't be"
            raise LocalError(f"{where} can't be used: its entry {key} {what}.")
        return value

    def count(key: str, default: int | None = None) -> int:
        return entry(f"{kind.name}.{key}", default, is_count)

    def number(key: str, default: float | None = None) -> float:
        return entry(f"{kind.name}.{key}", default, lambda value: type(value) is float and 0 < value < 1e12)

    def token(key: str) -> int:
        return entry(f"tokenizer.ggml.{key}", None, lambda value: type(value) is int and 0 <= value < size)

    size, pre = len(fields.get("tokenizer.ggml.tokens", [])), fields.get("tokenizer.ggml.pre")
    sizes = read_sizes(lambda name, default: count(SIZES[name], default), where)
    if count("rope.dimension_count", sizes["head_dim"]) != sizes["head_dim"]:
        raise LocalError(f"{where} turns only a part of each head, which can't be trained here.")
    starts = KINDS[pre].starts if pre in KINDS else False
    return {
        "architectures": [kind.model],
        "model_type": kind.name,
        "hidden_act": "silu",
        **sizes,
        "rms_norm_eps": number("attention.layer_norm_rms_epsilon"),
        "rope_theta": number("rope.freq_base", 10000.0),
        "tie_word_embeddings": "output.weight" not in header.tensors,
        "vocab_size": size,
        "bos_token_id": token("bos_token_id") if "tokenizer.ggml.bos_token_id" in fields else None,
        "eos_token_id": token("eos_token_id"),
        "add_bos_token": bool(fields.get("tokenizer.ggml.add_bos_token", starts)),
    }


def _refuse_unusual(fields: dict[str, Any], architecture: str, where: str) -> None:
    """Raise `LocalError` for what the network here does not have."""

    def own(key: str, usual: Any) -> Any:
        return fields.get(f"{architecture}.{key}", usual)

    scaled = own("rope.scaling.type", "none") != "none" or own("rope.scale_linear", 1.0) != 1.0
    unusual = {
        "is an adapter, not a model": fields.get("general.type", "model") != "model",
        "is one part of several; join them first (llama-gguf-split --merge)": fields.get("split.count", 0),
        "is a mixture of experts, which can't be trained here": own("expert_count", 0),
        "has scaled rotary angles, which can't be trained here": scaled,
        "uses a sliding window, which can't be trained here": own("attention.sliding_window", 0),
        "puts a token behind each text, which can't be trained here": fields.get("tokenizer.ggml.add_eos_token"),
    }
    for what in (what for what, is_so in unusual.items() if is_so):
        raise LocalError(f"{where} {what}.")


def _check_type(tensor: Stored, where: str) -> None:
    """Raise `LocalError` unless numbers can be made of a tensor, here and in llama.cpp.

    The `gguf` package does not know every type. Llama.cpp reckons with a row of numbers, such as a norm or a bias,
    in 32 bits only, and ends the whole process at another type.
    """
    kind = tensor.kind
    if len(tensor.shape) == 1 and kind != gguf.GGMLQuantizationType.F32:
        raise LocalError(f"{where} keeps {tensor.name} as {kind.name}; it should be F32.")
    try:
        gguf.dequantize(np.zeros(gguf.GGML_QUANT_SIZES[kind][1], dtype=np.uint8), kind)
    except NotImplementedError:
        raise LocalError(
            f"{where} keeps {tensor.name} as {kind.name}, which can't be unpacked for training. Use a file with "
            "another quantization, such as Q8_0 or F16."
        ) from None


def _write_weights(path: Path, config: dict[str, Any], numbers: Callable[[str], np.ndarray]) -> None:
    """Write safetensors, one tensor in memory at a time (the format is in the safetensors package's README)."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for tensor in tensors(config):
        start, end = end, end + 2 * int(np.prod(tensor.shape))
        header[tensor.name] = {"dtype": "F16", "shape": tensor.shape, "data_offsets": [start, end]}
    head = json.dumps(header).encode()
    head += b" " * (-len(head) % 8)
    with path.open("wb") as file:
        file.write(len(head).to_bytes(8, "little") + head)
        for tensor in tensors(config):
            array = numbers(tensor.gguf)
            if tensor.heads:
                array = unpermute(array, tensor.heads)
            with np.errstate(over="ignore"):  # it is told of below
                half = np.ascontiguousarray(array, dtype="<f2")
            if not np.isfinite(half).all():
                raise LocalError(f"The tensor {tensor.gguf} has numbers that 16 bits can't hold.")
            half.tofile(file)


def write_gguf(folder: Path, target: Path, title: str) -> None:
    """Write the model in a Hugging Face folder as a GGUF file; `title` is what people call it."""
    config, weights = read_config(folder), Weights(folder)
    if config["tie_word_embeddings"]:
        weights.shapes.pop("lm_head.weight", None)  # some folders have the embedding twice
    check_tensors(config, weights.shapes, str(folder), gguf=False)
    with closing(gguf.GGUFWriter(target, config["model_type"])) as writer:
        _describe(writer, config, title)
        describe_tokenizer(writer, folder, config)
        for tensor in tensors(config):
            kind = _type(tensor)
            shape = gguf.quant_shape_to_byte_shape(tensor.shape, kind) if kind == _Q8 else tensor.shape
            n_bytes = int(np.prod(shape)) * {_Q8: 1, _F16: 2, _F32: 4}[kind]
            writer.add_tensor_info(tensor.gguf, tensor.shape, np.dtype(np.float32), n_bytes, raw_dtype=kind)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        for tensor in tensors(config):
            array = weights.read(tensor.name)
            if not np.isfinite(array).all() or np.abs(array).max() > 65_504:
                raise LocalError(f"The tensor {tensor.name} has numbers that 16 bits can't hold.")
            if tensor.heads:
                array = permute(array, tensor.heads)
            writer.write_tensor_data(gguf.quantize(np.ascontiguousarray(array), _type(tensor)))


def _type(tensor: Tensor) -> gguf.GGMLQuantizationType:
    if len(tensor.shape) == 1:
        return _F32
    return _Q8 if tensor.shape[1] % 32 == 0 else _F16


def _describe(writer: gguf.GGUFWriter, config: dict[str, Any], title: str) -> None:
    """Write what the network is like."""
    writer.add_name(title)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0)
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    writer.add_vocab_size(config["vocab_size"])
    for name, key in SIZES.items():
        writer.add_uint32(f"{config['model_type']}.{key}", config[name])
    writer.add_value_length(config["head_dim"])
    writer.add_rope_dimension_count(config["head_dim"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_freq_base(config["rope_theta"])
