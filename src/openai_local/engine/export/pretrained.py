"""A folder that transformers, vLLM and others load: what `convert` left out is added.

Left out: files of old loaders (``vocab.json``, ``merges.txt``); ``tokenizer.json`` holds all of it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, processors

from openai_local.engine.export.source import Source


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write a JSON file as Hugging Face's libraries write theirs."""
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def write_config(source: Source, folder: Path) -> None:
    """Everything but the weights and the tokenizer: ``config.json`` and ``generation_config.json``."""
    ids = {name: source.config.get(name) for name in ("bos_token_id", "eos_token_id")}
    config = {name: value for name, value in source.config.items() if name != "add_bos_token"}
    write_json(folder / "config.json", {**config, "torch_dtype": "float16"})
    write_json(folder / "generation_config.json", {**ids, "pad_token_id": ids["eos_token_id"]})


def write_tokenizer(source: Source, folder: Path) -> None:
    """``tokenizer.json``, ``tokenizer_config.json`` and the chat template, if the base has one."""
    tokenizer = Tokenizer.from_file(str(source.base.weights / "tokenizer.json"))
    start, end = (_token(tokenizer, source.config.get(name)) for name in ("bos_token_id", "eos_token_id"))
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
    write_json(folder / "tokenizer_config.json", settings)
    if source.template:
        (folder / "chat_template.jinja").write_text(source.template, encoding="utf-8")


def _token(tokenizer: Tokenizer, id_: int | None) -> str | None:
    return None if id_ is None else tokenizer.id_to_token(id_)
