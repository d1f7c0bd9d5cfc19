"""AdamW, the optimizer that trains the LoRA's B, and where training stands after a step, on disk.

Adam (Kingma & Ba, 2015) divides each number's step by how large its gradients usually are. The weight decay is
apart from that (Loshchilov & Hutter, 2019), and each column of B has its own: what its direction costs on general
text (`directions`). So a column that disturbs other text grows only as far as the examples really need it. The
decay of a step is 1 / (1 + rate · decay), which is stable however large the cost is.

A snapshot holds B, the directions, the optimizer's memory, the step, the epoch's score so far, and a checksum.
What else a job needs (data, order of examples, learning rate) follows from ``job.json`` and the step. A step done
again after a crash gives the same numbers, so a snapshot need not be written at every one.
"""

from __future__ import annotations

import json
import os
import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from openai_local.errors import LocalError
from openai_local.home import arriving
from openai_local.training.directions import Directions
from openai_local.training.metrics import Score

_BETAS = 0.9, 0.99
_EPSILON = 1e-8
_DECAY = 8.0  # for a direction that costs 1, and a learning rate of 1


class AdamW:
    """Adam with a decay for each column.

    No `torch.optim.Optimizer`: the first step of one takes two seconds, for imports that this does not need.
    """

    def __init__(self, parameters: Sequence[Tensor], directions: Sequence[Directions]) -> None:
        """`parameters` are the B's, each of shape (outputs, rank), and `directions` those of its A."""
        self.parameters, self.directions = parameters, directions
        self.means = [torch.zeros_like(parameter) for parameter in parameters]  # of the gradients
        self.squares = [torch.zeros_like(parameter) for parameter in parameters]  # of these, squared

    @torch.no_grad()
    def step(self, gradients: Sequence[Tensor], lr: float, number: int) -> None:
        """Update every parameter by its gradient, in the step `number`, from 1 on.

        `lr` is about how far that moves each number.
        """
        first, second = (1 - beta**number for beta in _BETAS)
        every = zip(self.parameters, gradients, self.means, self.squares, self.directions, strict=True)
        for parameter, gradient, mean, square, direction in every:  # one by one: each fits the processor's cache
            mean.lerp_(gradient, 1 - _BETAS[0])
            square.mul_(_BETAS[1]).addcmul_(gradient, gradient, value=1 - _BETAS[1])
            size = (square / second).sqrt_().add_(_EPSILON)
            parameter.addcdiv_(mean, size, value=-lr / first).div_(1 + lr * _DECAY * direction.costs)


def save_snapshot(path: Path, step: int, score: Score, optimizer: AdamW) -> None:
    """Write a snapshot, whole or not at all. Raises `OSError` if the disk does not take it."""
    tensors = _tensors(optimizer)
    facts = {"step": str(step), "score": json.dumps(asdict(score)), "checksum": _checksum(tensors)}
    with arriving(path) as part:
        try:
            save_file(tensors, part, metadata=facts)
        except SafetensorError as error:
            if told := re.search(r"os error (\d+)", str(error)):
                raise OSError(int(told[1]), os.strerror(int(told[1])), str(part)) from None
            raise


def load_snapshot(path: Path, optimizer: AdamW) -> tuple[int, Score] | None:
    """Put a snapshot's content back into an optimizer, its parameters and its directions.

    Returns the step it was written after and the epoch's score so far; None if there is no snapshot. Raises
    `LocalError` if it is damaged, or one of other parameters. Nothing was put back then.
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


def _tensors(optimizer: AdamW) -> dict[str, Tensor]:
    tensors: dict[str, Tensor] = {}
    every = zip(optimizer.parameters, optimizer.means, optimizer.squares, optimizer.directions, strict=True)
    for number, (b, mean, square, direction) in enumerate(every):
        parts = {"a": direction.a, "b": b.data, "costs": direction.costs, "mean": mean, "square": square}
        tensors |= {f"{number}.{name}": tensor for name, tensor in parts.items()}
    return tensors


def _shapes(tensors: Mapping[str, Tensor]) -> dict[str, torch.Size]:
    return {name: tensor.shape for name, tensor in tensors.items()}


def _checksum(tensors: Mapping[str, Tensor]) -> str:
    checksum = 0
    for name in sorted(tensors):
        data = tensors[name].cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
        checksum = zlib.crc32(data.data, checksum)
    return f"{checksum:08x}"
