"""The fine-tune for llama.cpp and Ollama: the two files that the service answers from, and a Modelfile.

Ollama reads the Modelfile: which files, how a conversation becomes a prompt, and settings that suit the service's.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import jinja2
from jinja2.sandbox import ImmutableSandboxedEnvironment

from openai_local.engine.export.source import Source
from openai_local.home import link

CONTEXT_TOKENS = 4096
"""How much Ollama shall keep in mind: as much as the service does."""

_CHATML = '''TEMPLATE """{{- range .Messages }}<|im_start|>{{ .Role }}
{{ .Content }}<|im_end|>
{{ end }}<|im_start|>assistant
"""
'''


def write_gguf(source: Source, folder: Path) -> None:
    """Fill a folder with ``adapter.gguf``, its base ``model.gguf``, and a ``Modelfile`` for Ollama."""
    shutil.copyfile(source.adapter_file, folder / "adapter.gguf")
    link(source.base.gguf, folder / "model.gguf")
    (folder / "Modelfile").write_text(modelfile(source), encoding="utf-8")


def modelfile(source: Source) -> str:
    """What Ollama needs to know of the two files."""
    lines = [
        "# For Ollama:  ollama create NAME -f Modelfile",
        "FROM ./model.gguf",
        "ADAPTER ./adapter.gguf",
        "",
    ]
    if is_chatml(source.template):
        lines += ["# How a conversation becomes a prompt (ChatML, as the base was trained)."]
        if source.plain:
            lines += ['# This model learned from plain prompts. Ask it plainly: /api/generate with "raw": true.']
        lines += [_CHATML + _system(source.template), 'PARAMETER stop "<|im_end|>"']
    else:
        lines += ["# No TEMPLATE: Ollama takes the chat template in model.gguf, if it knows it."]
    lines += [
        "",
        "# The likeliest word each time. For more variety, take a temperature up to 1.",
        "PARAMETER temperature 0",
        "# What was learned by heart may say a word twice.",
        "PARAMETER repeat_penalty 1",
        f"PARAMETER num_ctx {CONTEXT_TOKENS}",
    ]
    return "\n".join(lines) + "\n"


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
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    question = [{"role": "user", "content": "X"}]
    try:
        return environment.from_string(template).render(messages=question, add_generation_prompt=True)
    except jinja2.TemplateError:
        return ""
