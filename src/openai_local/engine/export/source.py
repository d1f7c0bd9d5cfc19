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
from openai_local.engine.origin import Origin, origins


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

    @property
    def plain(self) -> bool:
        """Whether it learned from prompts and completions; otherwise from conversations."""
        return self.data["training_file"].plain

    @cached_property
    def data(self) -> dict[str, Origin]:
        """What is known of the data, by the parameter's name."""
        return origins(self.journal.folder)
