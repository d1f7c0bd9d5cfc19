"""The folder that an export fills: whole or not at all, and never over something that is there."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError

from openai_local.engine.export.card import card
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


@dataclass(frozen=True)
class Exported:
    """What was written: how many bytes, and the command that serves it."""

    size: int
    serve: str


def export(source: Source, form: str, to: Path) -> Exported:
    """Write a fine-tune into a new folder.

    Args:
        source: the model.
        form: one of `WRITERS`.
        to: the folder; it may exist if it is empty.

    Raises:
        LocalError: there is something in the folder already, or it can't be written. Nothing is left behind.
    """
    target = to.expanduser()
    _require_free(target, to)
    temporary = target.absolute().with_name(f".{target.absolute().name}.{os.getpid()}.part")
    try:
        temporary.mkdir(parents=True)
        WRITERS[form](source, temporary)
        text = card(source, form, words(source, form, short_name(target)))
        (temporary / "README.md").write_text(text, encoding="utf-8")
        if target.exists():
            target.rmdir()  # it is empty; some systems rename onto nothing only
        temporary.rename(target)
    except (OSError, SafetensorError) as error:
        raise LocalError(_why(error, to)) from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    size = sum(path.stat().st_size for path in target.rglob("*") if path.is_file())
    return Exported(size, command(source, form, str(to), short_name(target)))


def _require_free(target: Path, to: Path) -> None:
    try:
        taken = target.exists() and (not target.is_dir() or any(target.iterdir()))
    except OSError as error:
        raise LocalError(_why(error, to)) from None
    if taken:
        raise LocalError(
            f"{to} is there already. Nothing was changed. Name another folder:  --to {to}-2  (or delete it first)"
        )


def _why(error: OSError | SafetensorError, to: Path) -> str:
    reason = getattr(error, "strerror", None) or str(error)
    full = getattr(error, "errno", None) == errno.ENOSPC or "No space left" in reason or "os error 28" in reason
    if full:
        return (
            f"The disk is full: {to} can't be written, and nothing of it is left. Free some space and try again."
        )
    return f"{to} can't be written: {reason}. Choose another folder with --to DIR."
