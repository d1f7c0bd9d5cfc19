"""How an exported folder is used: the command that serves it, and the words for the model card."""

from __future__ import annotations

import re
from pathlib import Path

from openai_local.engine.export.source import Source

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
