"""The fine-tune as a model of its own: each trained matrix added to the base's, W + alpha / rank · B·A."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

from openai_local.engine.export.peft import path_of
from openai_local.engine.export.pretrained import write_config, write_tokenizer
from openai_local.engine.export.source import Source


def write_merged(source: Source, folder: Path) -> None:
    """Fill a folder that ``AutoModelForCausalLM`` and ``AutoTokenizer`` load. The sums are made in float32."""
    weights, adapter = load_file(source.base.weights / "model.safetensors"), source.adapter
    for (layer, module), pair in adapter.factors.items():
        name = f"{path_of(layer, module)}.weight"
        learned = pair.b.astype(np.float32) @ pair.a.astype(np.float32) * (adapter.alpha / pair.rank)
        weights[name] = (weights[name].astype(np.float32) + learned).astype(weights[name].dtype)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    write_config(source, folder)
    write_tokenizer(source, folder)
