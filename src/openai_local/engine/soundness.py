"""Whether files are as they should be, looked at before llama.cpp gets them: it would end the whole process.

A file that was looked at is not looked at again as long as it is the same, by its size and its time of change.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from openai_local.engine.adapter import AGAIN, check_adapter
from openai_local.engine.architectures import find_architecture
from openai_local.engine.entries import check_entries
from openai_local.engine.header import read_header
from openai_local.errors import LocalError

_FETCH = "Fetch it again with:  openai-local bases fetch  (a base of your own: remove it, and add it again)."


def require_sound(gguf: Path, adapters: Sequence[Path]) -> None:
    """Look at a base model's head, and at all of its adapters.

    Raises:
        LocalError: one is damaged, was changed by somebody else than this program, or belongs to another base.
    """
    state = base_state(gguf)
    _base(gguf, *state)
    for adapter in adapters:
        _look(adapter, _state(adapter, AGAIN), gguf, state)


def base_state(gguf: Path) -> tuple[int, ...]:
    """What tells a base model's file from another that got its name, or from itself before somebody wrote into it.

    llama.cpp reads a model where it lies, whenever it needs a part. If the file has become shorter meanwhile, that
    ends the process. So servers that have such a file must not be asked any more.

    Raises:
        LocalError: it is gone.
    """
    return _state(gguf, _FETCH)


def _state(path: Path, advice: str) -> tuple[int, ...]:
    try:
        found = path.stat()
    except OSError as error:
        raise LocalError(f"{path} can't be read: {error.strerror}. {advice}") from None
    return found.st_size, found.st_mtime_ns, found.st_ino


@lru_cache(maxsize=64)
def _base(path: Path, *state: int) -> tuple[str, dict[str, tuple[int, ...]]]:
    """A base model's architecture, and the shapes of its tensors in numpy's order."""
    header = read_header(path, _FETCH)
    kind = find_architecture(header.fields.get("general.architecture"), path.name)
    check_entries(header, kind.name, path.name)
    return kind.name, {name: tensor.shape for name, tensor in header.tensors.items()}


@lru_cache(maxsize=4096)
def _look(path: Path, state: tuple[int, ...], gguf: Path, base: tuple[int, ...]) -> None:
    """Check an adapter, and that it fits its base: A is (rank, inputs), B is (outputs, rank)."""
    header = check_adapter(path)
    architecture, shapes = _base(gguf, *base)
    fits = header.fields["general.architecture"] == architecture
    for name, tensor in header.tensors.items():
        if name.endswith(".lora_a"):
            (rank, inputs), (outputs, columns) = tensor.shape, header.tensors[f"{name[:-1]}b"].shape
            fits = fits and rank == columns and shapes.get(name.removesuffix(".lora_a")) == (outputs, inputs)
    if not fits:
        raise LocalError(f"The trained model's file {path} belongs to another base than {gguf}. {AGAIN}")
