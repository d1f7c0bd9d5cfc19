"""What is exported: a fine-tune's files, its base, and its job."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any

from openai_local.engine.adapter import Adapter, read_adapter
from openai_local.engine.bases import Entry
from openai_local.engine.journal import Journal


@dataclass(frozen=True)
class Source:
    """A fine-tune.

    Args:
        model: its name in the API.
        adapter_file: its GGUF adapter.
        base: what it was trained on.
        journal: the directory of the job that made it.
        hyperparameters: what it was trained with, as settled.
        trained: on which day.
        step: the step after which it was written, for a checkpoint; None for the model at the end.
    """

    model: str
    adapter_file: Path
    base: Entry
    journal: Journal
    hyperparameters: dict[str, Any]
    trained: date
    step: int | None = None

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
        heads, kv_heads = self.config["num_attention_heads"], self.config["num_key_value_heads"]
        return read_adapter(self.adapter_file, heads=heads, kv_heads=kv_heads)

    @cached_property
    def plain(self) -> bool:
        """Whether it learned from prompts and completions; otherwise from conversations."""
        with self.training_file.open(encoding="utf-8-sig") as file:
            first = next((line for line in file if line.strip()), "{}")
        return "prompt" in json.loads(first)

    @property
    def training_file(self) -> Path:
        """The data, as the job's directory keeps it."""
        return Path(self.journal.folder / "training_file.jsonl")
