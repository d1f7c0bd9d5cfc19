"""The fine-tune as PEFT keeps a LoRA: ``adapter_config.json`` and ``adapter_model.safetensors``.

The base lies beside it, in ``base``: the weights that the adapter was trained on, so that it can be loaded without
a network and gives the same answers. (They were unpacked from the GGUF file; those on a hub may be finer.)

Matrices of different ranks are brought to the highest with zeros, and their B is multiplied so that the product
stays the same. PEFT has ``rank_pattern`` for this, but vLLM does not read it and would scale wrongly.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from openai_local.engine.adapter import Factors
from openai_local.engine.export.pretrained import write_config, write_json, write_tokenizer
from openai_local.engine.export.source import Source

_BLOCKS = {
    "self_attn": ("q_proj", "k_proj", "v_proj", "o_proj"),
    "mlp": ("gate_proj", "up_proj", "down_proj"),
}
HUB_NAMES = {"smollm2-135m-instruct": "HuggingFaceTB/SmolLM2-135M-Instruct"}
"""What bases are called on the hub, as far as we know."""


def path_of(layer: int, module: str) -> str:
    """Where transformers keeps a linear layer, such as ``model.layers.7.self_attn.q_proj``."""
    block = next(block for block, modules in _BLOCKS.items() if module in modules)
    return f"model.layers.{layer}.{block}.{module}"


def write_peft(source: Source, folder: Path) -> None:
    """Fill a folder that ``PeftModel.from_pretrained`` loads, with the base and the tokenizer."""
    adapter, tensors = source.adapter, {}
    for (layer, module), pair in adapter.factors.items():
        name, whole = f"base_model.model.{path_of(layer, module)}", _at_rank(pair, adapter.rank)
        tensors[f"{name}.lora_A.weight"], tensors[f"{name}.lora_B.weight"] = whole.a, whole.b
    save_file(tensors, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    layers, modules = (sorted(set(part)) for part in zip(*adapter.factors, strict=True))
    config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": HUB_NAMES.get(source.base.name, "base"),
        "inference_mode": True,
        "r": adapter.rank,
        "lora_alpha": int(adapter.alpha) if adapter.alpha.is_integer() else adapter.alpha,
        "lora_dropout": 0.0,
        "bias": "none",
        "fan_in_fan_out": False,
        "target_modules": modules,
        "layers_to_transform": layers,
        "layers_pattern": "layers",
    }
    write_json(folder / "adapter_config.json", config)
    write_tokenizer(source, folder)
    write_base(source, folder / "base")


def write_base(source: Source, folder: Path) -> None:
    """The base's folder, as `transformers` loads it."""
    folder.mkdir()
    shutil.copyfile(source.base.weights / "model.safetensors", folder / "model.safetensors")
    write_config(source, folder)
    write_tokenizer(source, folder)


def _at_rank(pair: Factors, rank: int) -> Factors:
    missing = rank - pair.rank
    if not missing:
        return Factors(*(np.ascontiguousarray(matrix) for matrix in (pair.a, pair.b)))
    a = np.pad(pair.a.astype(np.float32), ((0, missing), (0, 0)))
    return Factors(a, np.pad(pair.b.astype(np.float32) * (rank / pair.rank), ((0, 0), (0, missing))))
