"""The fine-tune for llama.cpp and Ollama: the two files that the service answers from, and a Modelfile.

Ollama reads the Modelfile: which files, how what is asked becomes a prompt, and settings like the service's. A
model that learned from plain prompts is asked plainly; with a chat template it would talk nonsense.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import jinja2

from openai_local.engine.examples import TEMPLATES
from openai_local.engine.export.source import Source

CONTEXT_TOKENS = 4096
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


def write_gguf(source: Source, folder: Path) -> None:
    """Fill a folder with ``adapter.gguf``, its base ``model.gguf``, and a ``Modelfile`` for Ollama."""
    shutil.copyfile(source.adapter_file, folder / "adapter.gguf")
    shutil.copyfile(source.base.gguf, folder / "model.gguf")
    (folder / "Modelfile").write_text(modelfile(source), encoding="utf-8")


def modelfile(source: Source) -> str:
    """What Ollama needs to know of the two files."""
    chatml = is_chatml(source.template)
    talking = _CHATML + _system(source.template) if chatml else _UNKNOWN
    template = _PLAIN if source.plain else talking
    stop = 'PARAMETER stop "<|im_end|>"\n' if chatml else ""
    return _MODELFILE.format(template=template + stop, context=CONTEXT_TOKENS)


def is_chatml(template: str) -> bool:
    """Whether a chat template puts each message between ``<|im_start|>`` with its role and ``<|im_end|>``."""
    return _rendered(template).endswith("<|im_start|>user\nX<|im_end|>\n<|im_start|>assistant\n")


def _system(template: str) -> str:
    """The system message that the chat template puts before a conversation without one, as a line for Ollama."""
    before = _rendered(template).partition("<|im_start|>user\n")[0]
    said = before.removeprefix("<|im_start|>system\n").partition("<|im_end|>")[0]
    sayable = said and '"""' not in f'{said}"'  # three quotes end the text for Ollama
    return f'SYSTEM """{said}"""\n' if sayable else ""


def _rendered(template: str) -> str:
    """A conversation of one question; empty if the template is empty or can't be understood."""
    question = [{"role": "user", "content": "X"}]
    try:
        return TEMPLATES.from_string(template).render(messages=question, add_generation_prompt=True)
    except jinja2.TemplateError:
        return ""
