"""The folder that an export fills, whole or not at all and never over something that is there; and its model card.

The card says what the model is, how it was trained, and how to use the folder. It is the ``README.md`` with YAML
at its top that model hubs show. It holds numbers, names and hashes; the user's data, name and folders never
stand in it.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from openai_local import __version__
from openai_local.errors import LocalError
from openai_local.models.export_formats import HUB_NAMES, Source, write_gguf, write_merged, write_peft
from openai_local.training.job_folder import FILES

WRITERS: dict[str, Callable[[Source, Path], None]] = {
    "gguf": write_gguf,
    "peft": write_peft,
    "merged": write_merged,
}
_FILES = frozenset(
    """README.md Modelfile adapter.gguf model.gguf adapter_config.json adapter_model.safetensors base config.json
    generation_config.json model.safetensors tokenizer.json tokenizer_config.json chat_template.jinja""".split()
)
"""What an export may consist of."""


@dataclass(frozen=True)
class Exported:
    """What was written: how many bytes, and the command that serves it."""

    size: int
    serve: str


def export(source: Source, form: str, to: Path, *, replace: bool = False) -> Exported:
    """Write a fine-tune into a new folder.

    Args:
        source: the model.
        form: one of `WRITERS`.
        to: the folder; it may exist if it is empty.
        replace: whether it may also hold an earlier export, which then goes.

    Raises:
        LocalError: there is something else in the folder, or it can't be written. Nothing of the new one is left
            then, and nothing that was there is changed.
    """
    target = to.expanduser().absolute()
    try:
        _require_free(target, to, replace)
    except OSError as error:
        raise LocalError(_why(error, to)) from None
    temporary, old = (target.with_name(f".{target.name}.{os.getpid()}.{what}") for what in ("part", "old"))
    try:
        temporary.mkdir(parents=True)
        WRITERS[form](source, temporary)
        text = card(source, form, words(source, form, short_name(target)))
        (temporary / "README.md").write_text(text, encoding="utf-8")
        if target.exists():
            target.rename(old)
        temporary.rename(target)
    except (OSError, SafetensorError) as error:
        raise LocalError(_why(error, to)) from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        if old.exists() and not target.exists():
            old.rename(target)
        shutil.rmtree(old, ignore_errors=True)
    size = sum(path.stat().st_size for path in target.rglob("*") if path.is_file())
    return Exported(size, command(source, form, str(to), short_name(target)))


def _require_free(target: Path, to: Path, replace: bool) -> None:
    if not target.exists() or (target.is_dir() and not any(target.iterdir())):
        return
    ours = target.is_dir() and _is_export(target)
    if ours and replace:
        return
    instead = ", or add --replace (in Python replace=True), as an earlier export made it" if ours else ""
    raise LocalError(f"{to} is there already. Nothing was changed. Name another folder, such as {to}-2{instead}.")


def _is_export(folder: Path) -> bool:
    """Whether a folder holds an export and nothing else."""
    try:
        text = (folder / "README.md").read_text(encoding="utf-8")
    except (OSError, UnicodeError):
        return False
    return MADE_BY in text and {path.name for path in folder.iterdir()} <= _FILES


def _why(error: OSError | SafetensorError, to: Path) -> str:
    reason = getattr(error, "strerror", None) or str(error)
    full = getattr(error, "errno", None) == errno.ENOSPC or "No space left" in reason or "os error 28" in reason
    if full:
        return f"The disk is full: {to} can't be made, and nothing of it is left. Free some space and try again."
    return f"{to} can't be made: {reason}. Choose another folder."


_VLLM_RANKS = (8, 16, 32, 64, 128, 256, 320, 512)
"""What vLLM's ``--max-lora-rank`` takes."""


def command(source: Source, form: str, folder: str, name: str) -> str:
    """The command that serves a folder under a name: with Ollama for ``gguf``, else with vLLM."""
    where = f'"{folder}"' if " " in folder else folder
    if form == "gguf":
        return f"ollama create {name} -f {_below(folder, 'Modelfile')}"
    if form == "merged":
        return f"vllm serve {where} --served-model-name {name}"
    rank = next((rank for rank in _VLLM_RANKS if rank >= source.adapter.rank), source.adapter.rank)
    lora = f"--enable-lora --lora-modules {name}={where} --max-lora-rank {rank}"
    return f"vllm serve {_below(folder, 'base')} {lora}"


def short_name(folder: Path) -> str:
    """What a folder's model may be called elsewhere: its name in small letters, digits and ``-``, ``_``, ``.``."""
    return re.sub(r"[^a-z0-9._-]+", "-", folder.absolute().name.lower()).strip("-._") or "my-model"


def words(source: Source, form: str, name: str) -> str:
    """What lies in the folder and how to load it, in Markdown. Its commands are typed in the folder."""
    return _WORDS[form].format(command=command(source, form, ".", name), base=source.base.title)


def _below(folder: str, name: str) -> str:
    path = str(Path(folder) / name)
    return f'"{path}"' if " " in path else path


_WORDS = {
    "gguf": """\
`model.gguf` is the base, {base}, and `adapter.gguf` is what was learned. `Modelfile` is for
[Ollama](https://ollama.com).

```
{command}
llama-server -m model.gguf --lora adapter.gguf      # or with llama.cpp alone
```
""",
    "peft": """\
This folder is a [PEFT](https://huggingface.co/docs/peft) adapter. `base` holds {base}, with the very
weights that it was trained on. (To share the adapter alone, leave `base` out. The weights on the hub differ a
little.)

```python
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained(".")
model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained("base"), ".")
```

With vLLM: `{command}`
""",
    "merged": """\
This folder is a whole model: {base} with what was learned added to its weights.

```python
from transformers import AutoModelForCausalLM, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained(".")
model = AutoModelForCausalLM.from_pretrained(".")
```

With vLLM: `{command}`
""",
}

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
