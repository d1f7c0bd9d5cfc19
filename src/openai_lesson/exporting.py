"""Taking a fine-tuned model home: a folder for Ollama, for transformers and vLLM, or with one whole model.

The service's own command writes the folder. It can do so only for models that were trained on this machine.
"""

from __future__ import annotations

import os
from typing import Literal
from urllib.parse import urlsplit

from openai_lesson.destination import found_here, is_local, is_openai
from openai_lesson.local_command import output

Form = Literal["gguf", "peft", "merged"]
"""``gguf``: for Ollama and llama.cpp. ``peft``: a LoRA adapter, for transformers and vLLM. ``merged``: one model
that is whole."""


def export(
    model: str, format: Form = "gguf", to: str | os.PathLike[str] = "my-model", *, replace: bool = False
) -> None:
    """Write a model that was trained on this machine into a new folder, with a model card.

    It prints where the folder is, how large, and how to serve it. At another host it only says that there is
    nothing to take home, so that a notebook runs there to its end.

    Args:
        model: its name, or that of a checkpoint.
        format: see `Form`.
        to: the folder to make.
        replace: whether a folder that an earlier export made may be replaced.

    Raises:
        LessonError: there is no such model, or the folder can't be written. The message says what to type instead.
    """
    if elsewhere := _other_host():
        print(f"{elsewhere} does not hand models out. You can take home what was trained on this machine.")
        if elsewhere != "OpenAI":
            print(f"If it is your class's, ask your instructor, who can:  openai-local export {model} --to DIR")
        return
    words = ["export", model, "--format", format, "--to", os.fspath(to)]
    print(output(*words, *(["--replace"] if replace else [])))


def _other_host() -> str | None:
    """What the host is called that notebooks speak to; None for the service on this machine."""
    url = os.environ.get("OPENAI_BASE_URL", "")
    name = urlsplit(url).hostname or ""
    if not url or found_here(url) or is_local(name):
        return None
    return "OpenAI" if is_openai(name) else name
