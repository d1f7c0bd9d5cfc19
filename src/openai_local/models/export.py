"""The folder that an export fills, whole or not at all and never over something that is there; and its model card.

The card says what the model is, how it was trained, and how to use the folder. It is the ``README.md`` with YAML
at its top that model hubs show. It holds numbers, names and hashes; the user's data, name and folders never
stand in it.
"""

import errno
import os
import re
import shutil
from pathlib import Path
from typing import NamedTuple

from safetensors import SafetensorError

from openai_local import __version__
from openai_local.errors import LocalError
from openai_local.models.export_formats import HUB_NAMES, WRITERS, Source

MADE_BY = "fine-tuned with LoRA by `openai-local`"
_FILES = frozenset(
    """README.md Modelfile adapter.gguf model.gguf adapter_config.json adapter_model.safetensors base config.json
    generation_config.json model.safetensors tokenizer.json tokenizer_config.json chat_template.jinja""".split()
)
"""What an export may consist of."""
_VLLM_RANKS = (8, 16, 32, 64, 128, 256, 320, 512)
"""What vLLM's ``--max-lora-rank`` takes."""
_PLAIN = """\
It learned from prompts and completions. Ask it with a plain prompt, worded as in training, without a chat
template."""
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


class Exported(NamedTuple):
    """What was written: how many bytes, and the command that serves it."""

    size: int
    serve: str


def export(source: Source, form: str, to: Path, *, replace: bool = False) -> Exported:
    """Write a fine-tune in one of the forms in `WRITERS` into a new folder.

    It may exist if it is empty or, with `replace`, if it holds an earlier export, which then goes. If there is
    something else in it, or it can't be written, that is a `LocalError`: nothing of the new one is left then, and
    nothing that was there is changed.
    """
    target = to.expanduser().absolute()
    # What it may be called elsewhere.
    name = re.sub(r"[^a-z0-9._-]+", "-", target.name.lower()).strip("-._") or "my-model"
    temporary, old = (target.with_name(f".{target.name}.{os.getpid()}.{what}") for what in ("part", "old"))
    try:
        _require_free(target, to, replace)
        temporary.mkdir(parents=True)
        WRITERS[form](source, temporary)
        (temporary / "README.md").write_text(_card(source, form, name), encoding="utf-8")
        if target.exists():
            target.rename(old)
        temporary.rename(target)
    except (OSError, SafetensorError) as error:
        why = getattr(error, "strerror", None) or str(error)
        if getattr(error, "errno", None) == errno.ENOSPC or "No space left" in why or "os error 28" in why:
            raise LocalError(
                f"The disk is full: {to} can't be made, and nothing of it is left. Free some space and try again."
            ) from None
        raise LocalError(f"{to} can't be made: {why}. Choose another folder.") from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        if old.exists() and not target.exists():
            old.rename(target)
        shutil.rmtree(old, ignore_errors=True)
    size = sum(path.stat().st_size for path in target.rglob("*") if path.is_file())
    return Exported(size, _command(source, form, str(to), name))


def _require_free(target: Path, to: Path, replace: bool) -> None:
    if not target.exists() or (target.is_dir() and not any(target.iterdir())):
        return
    try:
        card = (target / "README.md").read_text(encoding="utf-8")
        ours = MADE_BY in card and {path.name for path in target.iterdir()} <= _FILES
    except (OSError, UnicodeError):
        ours = False
    if ours and replace:
        return
    instead = ", or add --replace (in Python replace=True), as an earlier export made it" if ours else ""
    raise LocalError(f"{to} is there already. Nothing was changed. Name another folder, such as {to}-2{instead}.")


def _command(source: Source, form: str, folder: str, name: str) -> str:
    """The command that serves a folder under a name: with Ollama for ``gguf``, else with vLLM."""

    def quoted(path: str) -> str:
        return f'"{path}"' if " " in path else path

    if form == "gguf":
        return f"ollama create {name} -f {quoted(str(Path(folder) / 'Modelfile'))}"
    if form == "merged":
        return f"vllm serve {quoted(folder)} --served-model-name {name}"
    rank = next((rank for rank in _VLLM_RANKS if rank >= source.adapter.rank), source.adapter.rank)
    lora = f"--enable-lora --lora-modules {name}={quoted(folder)} --max-lora-rank {rank}"
    return f"vllm serve {quoted(str(Path(folder) / 'base'))} {lora}"


def _card(source: Source, form: str, name: str) -> str:
    """The model card, with commands that are typed in the folder."""
    hub, title, adapter = HUB_NAMES.get(source.base.name), source.base.title, source.adapter
    rows = {
        **source.training,
        "LoRA rank": adapter.rank,
        "LoRA alpha": f"{adapter.alpha:g}",
        "layers": f"{adapter.layers[0]} to {adapter.layers[-1]} of 0 to {source.config['num_hidden_layers'] - 1}",
        "modules": ", ".join(adapter.modules),
        **source.losses,
    }
    return _CARD.format(
        metadata=_metadata(source, form, hub),
        model=source.model,
        base=f"[{title}](https://huggingface.co/{hub})" if hub else title,
        licence=source.base.licence,
        made_by=MADE_BY,
        version=__version__,
        usage=_WORDS[form].format(command=_command(source, form, ".", name), base=title).strip(),
        asking=_PLAIN if source.plain else "It learned from conversations. Ask it as a chat.",
        table="".join(f"| {name} | {value} |\n" for name, value in rows.items()),
    )


def _metadata(source: Source, form: str, base: str | None) -> str:
    """The YAML at the top. A licence that is no single word is left to the text."""
    lines = []
    if base:
        lines += [f"base_model: {base}", f"base_model_relation: {'finetune' if form == 'merged' else 'adapter'}"]
    if re.fullmatch(r"[a-z0-9.-]+", licence := source.base.licence.lower()):
        lines.append(f"license: {licence}")
    if library := {"peft": "peft", "merged": "transformers"}.get(form):
        lines.append(f"library_name: {library}")
    lines += ["pipeline_tag: text-generation", "tags:", "- lora", *(["- gguf"] if form == "gguf" else [])]
    return "\n".join(lines) + "\n"
