"""The folder that an export fills: whole or not at all, and never over something that is there."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError

from openai_local.engine.export.card import MADE_BY, card
from openai_local.engine.export.gguf import write_gguf
from openai_local.engine.export.merged import write_merged
from openai_local.engine.export.peft import write_peft
from openai_local.engine.export.source import Source
from openai_local.engine.export.usage import command, short_name, words
from openai_local.errors import LocalError

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
