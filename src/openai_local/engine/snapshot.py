"""Where training stands after a step, on disk: what it needs to go on from there.

The trained matrices, the optimizer's memory of them, the step and the epoch's score so far, and a checksum. What
else a job needs (data, order of examples, learning rate) follows from ``job.json`` and the step. A step done again
after a crash gives the same numbers, so a snapshot need not be written at every one.
"""

from __future__ import annotations

import json
import os
import re
import zlib
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from openai_local.engine.muon import Muon
from openai_local.engine.score import Score
from openai_local.errors import LocalError
from openai_local.home import arriving


def save(path: Path, step: int, score: Score, optimizer: Muon) -> None:
    """Write a snapshot, whole or not at all.

    Raises:
        OSError: the disk does not take it.
    """
    tensors = _tensors(optimizer)
    facts = {"step": str(step), "score": json.dumps(asdict(score)), "checksum": _checksum(tensors)}
    with arriving(path) as part:
        try:
            save_file(tensors, part, metadata=facts)
        except SafetensorError as error:
            if told := re.search(r"os error (\d+)", str(error)):
                raise OSError(int(told[1]), os.strerror(int(told[1])), str(part)) from None
            raise


def load(path: Path, optimizer: Muon) -> tuple[int, Score] | None:
    """Put a snapshot's content back into an optimizer and its parameters.

    Returns:
        The step it was written after and the epoch's score so far. None if there is no snapshot.

    Raises:
        LocalError: it is damaged, or one of other parameters. Nothing was put back then.
    """
    own = _tensors(optimizer)
    try:
        with safe_open(path, framework="pt") as file:
            found = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no dict)
            facts = file.metadata()
        step, score = int(facts["step"]), Score(**json.loads(facts["score"]))
    except FileNotFoundError:
        return None
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise LocalError(f"{path.name} is damaged ({error})") from None
    if _shapes(found) != _shapes(own) or facts.get("checksum", _checksum(found)) != _checksum(found):
        raise LocalError(f"{path.name} is damaged (its numbers are not those that were written)")
    for name, tensor in own.items():
        tensor.copy_(found[name])
    return step, score


def _tensors(optimizer: Muon) -> dict[str, Tensor]:
    tensors = {f"{n}": parameter.data for n, parameter in enumerate(optimizer.parameters)}
    return tensors | {f"{n}.momentum": memory for n, memory in enumerate(optimizer.memory)}


def _shapes(tensors: Mapping[str, Tensor]) -> dict[str, torch.Size]:
    return {name: tensor.shape for name, tensor in tensors.items()}


def _checksum(tensors: Mapping[str, Tensor]) -> str:
    checksum = 0
    for name in sorted(tensors):
        data = tensors[name].cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
        checksum = zlib.crc32(data.data, checksum)
    return f"{checksum:08x}"
