"""Where training stands after a step, on disk: what it needs to go on from there.

The trained matrices, the optimizer's memory of them, the step and the epoch's score so far. What else a job
needs (data, order of examples, learning rate) follows from ``job.json`` and the step. A step done again after a
crash gives the same numbers, so a snapshot need not be written at every one.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from openai_local.engine.muon import Muon
from openai_local.engine.score import Score


def save(path: Path, step: int, score: Score, optimizer: Muon) -> None:
    """Write a snapshot, whole or not at all."""
    tensors = {f"{n}": parameter.detach() for n, parameter in enumerate(optimizer.parameters)}
    tensors |= {f"{n}.momentum": memory for n, memory in enumerate(optimizer.memory)}
    temporary = path.with_name(f".{path.name}.part")
    save_file(tensors, temporary, metadata={"step": str(step), "score": json.dumps(asdict(score))})
    with temporary.open("rb+") as file:
        os.fsync(file.fileno())
    temporary.replace(path)


def load(path: Path, optimizer: Muon) -> tuple[int, Score] | None:
    """Put a snapshot's content back into an optimizer and its parameters.

    Returns:
        The step it was written after and the epoch's score so far. None if there is no snapshot, or none of these
        parameters that can be read.
    """
    own = {f"{n}": parameter.data for n, parameter in enumerate(optimizer.parameters)}
    own |= {f"{n}.momentum": memory for n, memory in enumerate(optimizer.memory)}
    try:
        with safe_open(path, framework="pt") as file:
            found = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no dict)
            facts = file.metadata()
    except (FileNotFoundError, SafetensorError):
        return None
    if {name: tensor.shape for name, tensor in found.items()} != {
        name: tensor.shape for name, tensor in own.items()
    }:
        return None
    for name, tensor in own.items():
        tensor.copy_(found[name])
    return int(facts["step"]), Score(**json.loads(facts["score"]))
