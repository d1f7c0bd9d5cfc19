"""Where training stands after a step, on disk: what it needs to go on from there.

The trained matrices, the optimizer's memory of them, the step and the epoch's score so far. What else a job
needs (data, order of examples, learning rate) follows from ``job.json`` and the step. A step done again after a
crash gives the same numbers, so a snapshot need not be written at every one.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor
from torch.optim import Optimizer

from openai_local.engine.score import Score


def save(path: Path, step: int, score: Score, parameters: Sequence[Tensor], optimizer: Optimizer) -> None:
    """Write a snapshot, whole or not at all."""
    tensors = {}
    for number, parameter in enumerate(parameters):
        tensors[f"{number}"] = parameter.detach()
        for name, value in optimizer.state[parameter].items():
            tensors[f"{number}.{name}"] = value
    temporary = path.with_name(f".{path.name}.part")
    save_file(tensors, temporary, metadata={"step": str(step), "score": json.dumps(asdict(score))})
    with temporary.open("rb+") as file:
        os.fsync(file.fileno())
    temporary.replace(path)


def load(path: Path, parameters: Sequence[Tensor], optimizer: Optimizer) -> tuple[int, Score] | None:
    """Put a snapshot's content back into `parameters` and `optimizer`.

    Returns:
        The step it was written after and the epoch's score so far. None if there is no snapshot, or none of these
        parameters that can be read.
    """
    try:
        with safe_open(path, framework="pt") as file:
            whole = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no dict)
            facts = file.metadata()
    except (FileNotFoundError, SafetensorError):
        return None
    if any(str(n) not in whole or whole[str(n)].shape != p.shape for n, p in enumerate(parameters)):
        return None
    for name, value in whole.items():
        number, _, memory = name.partition(".")
        parameter = parameters[int(number)]
        if memory:
            optimizer.state[parameter][memory] = value.to(parameter.device)
        else:
            parameter.data.copy_(value)
    return int(facts["step"]), Score(**json.loads(facts["score"]))
