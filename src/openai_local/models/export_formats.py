"""The forms in which a fine-tune is taken home: GGUF for llama.cpp and Ollama, PEFT, or merged with its base.

What is written is made of the very files that the service answers from: the GGUF adapter is read back, and the
base is the one that it was trained on. None of it needs torch.

PEFT has the base beside it, in ``base``: the weights that the adapter was trained on, so that it can be loaded
without a network and gives the same answers. (They were unpacked from the GGUF file; those on a hub may be finer.)
Matrices of different ranks are brought to the highest with zeros, and their B is multiplied so that the product
stays the same. PEFT has ``rank_pattern`` for this, but vLLM does not read it and would scale wrongly.

Left out: files of old loaders (``vocab.json``, ``merges.txt``); ``tokenizer.json`` holds all of it.
"""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file
from tokenizers import Tokenizer, processors

from openai_local.models.adapter import Adapter, Factors, read_adapter
from openai_local.models.base_models import Base
from openai_local.models.chat_templates import is_chatml, system_message

HUB_NAMES = {"smollm2-135m-instruct": "HuggingFaceTB/SmolLM2-135M-Instruct"}
"""What bases are called on the hub, as far as we know."""
_ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj")
_CONTEXT_TOKENS = 4096
"""How much Ollama shall keep in mind: as much as the service does."""

_PLAIN = """\
# It learned from plain prompts: what is asked is the prompt, as it stands.
# (/api/generate with "raw": true asks in this way, whatever stands here.)
TEMPLATE \"\"\"{{ .Prompt }}\"\"\"
"""
_CHATML = """\
# It learned from conversations: each message as the base was trained to read it (ChatML).
TEMPLATE \"\"\"{{- range .Messages }}<|im_start|>{{ .Role }}
{{ .Content }}<|im_end|>
{{ end }}<|im_start|>assistant
\"\"\"
"""
_UNKNOWN = "# No TEMPLATE: Ollama takes the chat template in model.gguf, if it knows it.\n"
_MODELFILE = """\
# For Ollama:  ollama create NAME -f Modelfile
FROM ./model.gguf
ADAPTER ./adapter.gguf

{template}
# The likeliest word each time. For more variety, take a temperature up to 1.
PARAMETER temperature 0
# What was learned by heart may say a word twice.
PARAMETER repeat_penalty 1
PARAMETER num_ctx {context}
"""


@dataclass(frozen=True)
class Source:
    """A fine-tune."""

    model: str  # its name in the API
    adapter_file: Path  # its GGUF adapter
    base: Base  # what it was trained on
    plain: bool  # whether it learned from prompts and completions; otherwise from conversations
    training: dict[str, Any]  # what it was trained with, as rows for the model card
    losses: dict[str, Any]  # how that went, as rows for the model card

    @cached_property
    def config(self) -> dict[str, Any]:
        """The base's ``config.json``."""
        return json.loads((self.base.weights / "config.json").read_text(encoding="utf-8"))

    @cached_property
    def template(self) -> str:
        """The base's chat template; empty if it has none."""
        return (self.base.weights / "chat_template.jinja").read_text(encoding="utf-8")

    @cached_property
    def adapter(self) -> Adapter:
        """The trained matrices."""
        return read_adapter(self.adapter_file, self.config)


def write_gguf(source: Source, folder: Path) -> None:
    """Fill a folder with ``adapter.gguf``, its base ``model.gguf``, and a ``Modelfile`` for Ollama."""
    shutil.copyfile(source.adapter_file, folder / "adapter.gguf")
    shutil.copyfile(source.base.gguf, folder / "model.gguf")
    (folder / "Modelfile").write_text(modelfile(source), encoding="utf-8")


def modelfile(source: Source) -> str:
    """What Ollama needs to know: which files, how what is asked becomes a prompt, settings like the service's.

    A model that learned from plain prompts is asked plainly; with a chat template it would talk nonsense.
    """
    chatml, said = is_chatml(source.template), system_message(source.template)
    template = _PLAIN if source.plain else _CHATML if chatml else _UNKNOWN
    if template == _CHATML and said and '"""' not in f'{said}"':  # three quotes end the text for Ollama
        template += f'SYSTEM """{said}"""\n'
    if chatml:
        template += 'PARAMETER stop "<|im_end|>"\n'
    return _MODELFILE.format(template=template, context=_CONTEXT_TOKENS)


def write_peft(source: Source, folder: Path) -> None:
    """Fill a folder that ``PeftModel.from_pretrained`` loads, with the base and the tokenizer."""
    adapter, tensors = source.adapter, {}
    for (layer, module), pair in adapter.factors.items():
        name, whole = f"base_model.model.{path_of(layer, module)}", _at_rank(pair, adapter.rank)
        tensors[f"{name}.lora_A.weight"], tensors[f"{name}.lora_B.weight"] = whole.a, whole.b
    save_file(tensors, folder / "adapter_model.safetensors", metadata={"format": "pt"})
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
        "target_modules": adapter.modules,
        "layers_to_transform": adapter.layers,
        "layers_pattern": "layers",
    }
    _write_json(folder / "adapter_config.json", config)
    _write_tokenizer(source, folder)
    base = folder / "base"
    base.mkdir()
    shutil.copyfile(source.base.weights / "model.safetensors", base / "model.safetensors")
    _write_config(source, base)
    _write_tokenizer(source, base)


def write_merged(source: Source, folder: Path) -> None:
    """Fill a folder that ``AutoModelForCausalLM`` and ``AutoTokenizer`` load.

    Each trained matrix is added to the base's, W + alpha / rank · B·A. The sums are made in float32.
    """
    weights, adapter = load_file(source.base.weights / "model.safetensors"), source.adapter
    for (layer, module), pair in adapter.factors.items():
        name = f"{path_of(layer, module)}.weight"
        learned = pair.b.astype(np.float32) @ pair.a.astype(np.float32) * (adapter.alpha / pair.rank)
        weights[name] = (weights[name].astype(np.float32) + learned).astype(weights[name].dtype)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    _write_config(source, folder)
    _write_tokenizer(source, folder)


WRITERS: dict[str, Callable[[Source, Path], None]] = {
    "gguf": write_gguf,
    "peft": write_peft,
    "merged": write_merged,
}


def path_of(layer: int, module: str) -> str:
    """Where transformers keeps a linear layer, such as ``model.layers.7.self_attn.q_proj``."""
    return f"model.layers.{layer}.{'self_attn' if module in _ATTENTION else 'mlp'}.{module}"


def _at_rank(pair: Factors, rank: int) -> Factors:
    missing = rank - pair.rank
    if not missing:
        return Factors(*(np.ascontiguousarray(matrix) for matrix in (pair.a, pair.b)))
    a = np.pad(pair.a.astype(np.float32), ((0, missing), (0, 0)))
    return Factors(a, np.pad(pair.b.astype(np.float32) * (rank / pair.rank), ((0, 0), (0, missing))))


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _write_config(source: Source, folder: Path) -> None:
    """``config.json`` and ``generation_config.json``, with what `conversion` left out."""
    ids = {name: source.config.get(name) for name in ("bos_token_id", "eos_token_id")}
    config = {name: value for name, value in source.config.items() if name != "add_bos_token"}
    _write_json(folder / "config.json", {**config, "torch_dtype": "float16"})
    _write_json(folder / "generation_config.json", {**ids, "pad_token_id": ids["eos_token_id"]})


def _write_tokenizer(source: Source, folder: Path) -> None:
    """``tokenizer.json``, ``tokenizer_config.json`` and the chat template, if the base has one."""
    tokenizer = Tokenizer.from_file(str(source.base.weights / "tokenizer.json"))
    ids = (source.config.get(name) for name in ("bos_token_id", "eos_token_id"))
    start, end = (None if id_ is None else tokenizer.id_to_token(id_) for id_ in ids)
    if source.config.get("add_bos_token") and start and tokenizer.post_processor is None:
        pair = (start, source.config["bos_token_id"])
        tokenizer.post_processor = processors.TemplateProcessing(f"{start} $A", special_tokens=[pair])
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": start,
        "eos_token": end,
        "pad_token": end,
        "model_max_length": source.config["max_position_embeddings"],
        "clean_up_tokenization_spaces": False,
    }
    _write_json(folder / "tokenizer_config.json", settings)
    if source.template:
        (folder / "chat_template.jinja").write_text(source.template, encoding="utf-8")
