"""The model card: what the model is, how it was trained, and how to use the folder.

It is the ``README.md`` with YAML at its top that model hubs show. It holds numbers, names and hashes; the user's
data, name and folders never stand in it.
"""

from __future__ import annotations

import re
from typing import Any

from openai_local import __version__
from openai_local.engine.export.peft import HUB_NAMES
from openai_local.engine.export.source import Source
from openai_local.engine.origin import FILES

_LIBRARIES = {"gguf": None, "peft": "peft", "merged": "transformers"}
_PLAIN = """\
It learned from prompts and completions. Ask it with a plain prompt, worded as in training, without a chat
template."""
MADE_BY = "fine-tuned with LoRA by `openai-local`"
_CARD = """\
---
{metadata}---

# {model}

{base} ({licence}),
{made_by} {version}. It is a small model that learned from little data. It may say what is
wrong, and sound sure.

## Use

{usage}

{asking}

## Training

| what | value |
|---|---|
{table}
The licence of the base holds for this model, too. The training data is not in this folder.
"""
_RELATIONS = {"gguf": "adapter", "peft": "adapter", "merged": "finetune"}


def card(source: Source, form: str, usage: str) -> str:
    """The text of the card.

    Args:
        source: the model.
        form: ``gguf``, ``peft`` or ``merged``.
        usage: Markdown that says what lies in the folder and how to load it.
    """
    hub = HUB_NAMES.get(source.base.name)
    base = f"[{source.base.title}](https://huggingface.co/{hub})" if hub else source.base.title
    asking = _PLAIN if source.plain else "It learned from conversations. Ask it as a chat."
    return _CARD.format(
        metadata=_metadata(source, form, hub),
        model=source.model,
        base=base,
        licence=source.base.licence,
        made_by=MADE_BY,
        version=__version__,
        usage=usage.strip(),
        asking=asking,
        table=_table(source),
    )


def _metadata(source: Source, form: str, base: str | None) -> str:
    """The YAML at the top. A licence that is no single word is left to the text."""
    lines = [f"base_model: {base}", f"base_model_relation: {_RELATIONS[form]}"] if base else []
    if re.fullmatch(r"[a-z0-9.-]+", licence := source.base.licence.lower()):
        lines.append(f"license: {licence}")
    if library := _LIBRARIES[form]:
        lines.append(f"library_name: {library}")
    lines += ["pipeline_tag: text-generation", "tags:", "- lora", *(["- gguf"] if form == "gguf" else [])]
    return "\n".join(lines) + "\n"


def _table(source: Source) -> str:
    training, validation = (source.data.get(param) for param in FILES)
    assert training
    rows: dict[str, Any] = {
        "trained on": source.trained.isoformat(),
        "training file, SHA-256": f"`{training.sha256}`",
        "examples": training.examples,
    }
    if validation:
        rows["validation file, SHA-256"] = f"`{validation.sha256}`"
    rows |= {name: source.hyperparameters[name] for name in sorted(source.hyperparameters)}
    rows |= {"seed": source.journal.read_job().seed, **_lora(source), **_losses(source)}
    return "".join(f"| {name} | {value} |\n" for name, value in rows.items())


def _lora(source: Source) -> dict[str, Any]:
    """LoRA's settings, as they are in the adapter."""
    layers, modules = (sorted(set(part)) for part in zip(*source.adapter.factors, strict=True))
    return {
        "LoRA rank": source.adapter.rank,
        "LoRA alpha": f"{source.adapter.alpha:g}",
        "layers": f"{layers[0]} to {layers[-1]} of 0 to {source.config['num_hidden_layers'] - 1}",
        "modules": ", ".join(modules),
    }


def _losses(source: Source) -> dict[str, Any]:
    """Steps and losses up to the model's step, from the job's journal."""
    rows = {row["step"]: row for row in source.journal.rows() if source.step is None or row["step"] <= source.step}
    if not rows:
        return {}
    first, last = rows[min(rows)], rows[max(rows)]
    told = {
        "steps": last["step"],
        "training loss, first step": f"{first['train_loss']:.4f}",
        "training loss, last step": f"{last['train_loss']:.4f}",
    }
    whole = [
        entry["metrics"]["full_valid_loss"]
        for _, entry in source.journal.read()
        if entry["kind"] == "checkpoint"
        and entry["step"] <= last["step"]
        and "full_valid_loss" in entry["metrics"]
    ]
    return told | ({"validation loss, at the end": f"{whole[-1]:.4f}"} if whole else {})
