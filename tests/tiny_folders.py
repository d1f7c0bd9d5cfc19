"""Tiny models with random weights as Hugging Face folders, made by transformers: Llama, Qwen2 and Qwen3."""

import json
from pathlib import Path
from typing import Any

import torch
import transformers
from tokenizers import AddedToken, Tokenizer, decoders, models, processors

from openai_local.models.architectures import ARCHITECTURES
from openai_local.models.vocabulary import KINDS
from tiny import TEMPLATE, bytes_to_unicode

SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
NAMED = "<tool_call>"
MERGES = [
    ("Ġ", "t"),
    ("h", "e"),
    ("Ġt", "he"),
    ("i", "n"),
    ("1", "6"),
    ("Ġ", "a"),
    ("'", "s"),
    ("Ċ", "Ċ"),
    (":", "Ċ"),
]
ROWS = 320  # more than there are tokens, as in Qwen's models


def make_folder(folder: Path, kind: str, *, pre: str = "qwen2", parts: bool = False, **changes: Any) -> Path:
    """A model of a `kind` with a tokenizer that cuts as `pre` does. `changes` are for its config."""
    torch.manual_seed(0)
    settings = {
        "vocab_size": ROWS,
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 32 if kind == "qwen3" else 16,
        "max_position_embeddings": 8192,
        "tie_word_embeddings": True,
        "bos_token_id": None,
        "eos_token_id": [0, 2],
        "initializer_range": 0.15,
        **changes,
    }
    config = transformers.AutoConfig.for_model(kind, **settings)
    model = getattr(transformers, ARCHITECTURES[kind].model)(config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith(".bias") or "_norm." in name:
                parameter.add_(0.3 * torch.randn_like(parameter))
    model.to(torch.bfloat16).save_pretrained(folder, max_shard_size="60KB" if parts else "5GB")
    tokenizer(pre).save(str(folder / "tokenizer.json"))
    told = {"eos_token": {"content": "<|im_end|>"}, "chat_template": TEMPLATE}
    (folder / "tokenizer_config.json").write_text(json.dumps(told), encoding="utf-8")
    return folder


def tokenizer(pre: str) -> Tokenizer:
    """A tiny byte-level BPE tokenizer."""
    tokens = [*SPECIAL, *bytes_to_unicode(), *(left + right for left, right in MERGES)]
    vocabulary = {token: number for number, token in enumerate(tokens)}
    made = Tokenizer(models.BPE(vocab=vocabulary, merges=MERGES, ignore_merges=KINDS[pre].whole))
    made.pre_tokenizer, made.decoder = KINDS[pre].cut(), decoders.ByteLevel()
    made.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in SPECIAL])
    made.add_tokens([AddedToken(NAMED, special=False, normalized=False)])
    if KINDS[pre].starts:
        made.post_processor = processors.TemplateProcessing(
            single="<|endoftext|> $A", special_tokens=[("<|endoftext|>", 0)]
        )
    return made
