"""Whether files are as they should be, looked at before llama.cpp gets them: it would end the whole process.

A file that was looked at is not looked at again as long as it is the same, by its size and its time of change.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from openai_local.engine.adapter import check_adapter
from openai_local.engine.architectures import find_architecture
from openai_local.engine.entries import check_entries
from openai_local.engine.header import read_header
from openai_local.errors import LocalError


def require_sound(gguf: Path, adapters: Sequence[Path]) -> None:
    """Look at a base model's head, and at all of its adapters.

    Raises:
        LocalError: one is damaged, or was changed by somebody else than this program.
    """
    _look(gguf, False, *_state(gguf))
    for adapter in adapters:
        _look(adapter, True, *_state(adapter))


def _state(path: Path) -> tuple[int, ...]:
    try:
        found = path.stat()
    except OSError as error:
        raise LocalError(f"{path} can't be read: {error.strerror}.") from None
    return found.st_size, found.st_mtime_ns, found.st_ino


@lru_cache(maxsize=4096)
def _look(path: Path, is_adapter: bool, *state: int) -> None:
    if is_adapter:
        check_adapter(path)
        return
    header = read_header(path)
    kind = find_architecture(header.fields.get("general.architecture"), path.name)
    check_entries(header, kind.name, path.name)
