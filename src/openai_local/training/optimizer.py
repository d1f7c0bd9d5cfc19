"""Muon, the optimizer that trains the LoRA matrices, and where it stands after a step, on disk.

Muon replaces each update matrix by the nearest one whose singular values are all about 1 (a few Newton-Schulz
steps instead of an SVD), so that every direction of a matrix learns at the same speed (K. Jordan et al., 2024,
"Muon: An optimizer for hidden layers in neural networks"). On the lesson's data it needs fewer epochs than AdamW.
PyTorch has one too, but it works in bfloat16, which many processors can only emulate, and one matrix at a time;
here all matrices of one shape lie in one tensor and go through together, in float32.

A snapshot holds the trained matrices, the optimizer's memory of them, the step and the epoch's score so far, and a
checksum. What else a job needs (data, order of examples, learning rate) follows from ``job.json`` and the step. A
step done again after a crash gives the same numbers, so a snapshot need not be written at every one.

Left out: weight decay.
"""

from __future__ import annotations

import json
import os
import re
import zlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from openai_local.errors import LocalError
from openai_local.home import arriving
from openai_local.training.metrics import Score

# The quintic a·x + b·x³ + c·x⁵ that pulls singular values towards 1 fastest (Jordan et al., 2024).
_A, _B, _C = 3.4445, -4.7750, 2.0315
_STEPS = 5
_MOMENTUM = 0.95  # of the (Nesterov) running sum


class Muon:
    """Momentum with orthogonalised updates, for matrices only.

    No `torch.optim.Optimizer`: the first step of one takes two seconds, for imports that this does not need.
    """

    def __init__(self, parameters: Sequence[Tensor]) -> None:
        """`parameters` are matrices, shape (rows, columns)."""
        self.parameters = parameters
        self.memory = [torch.empty(0)] * len(parameters)
        self._stacks: list[tuple[list[int], Tensor, Tensor]] = []
        alike: dict[torch.Size, list[int]] = defaultdict(list)
        for number, parameter in enumerate(parameters):
            alike[parameter.shape].append(number)
        for numbers in alike.values():
            stack = torch.stack([parameters[number].detach() for number in numbers])
            memory = torch.zeros_like(stack)
            self._stacks.append((numbers, stack, memory))
            for number, own, running in zip(numbers, stack, memory, strict=True):
                parameters[number].data, self.memory[number] = own, running  # parts of the stacks from now on

    @torch.no_grad()
    def step(self, gradients: Sequence[Tensor], lr: float) -> None:
        """Update every parameter by its gradient; `lr` is how far that moves a matrix, in singular values."""
        for numbers, stack, memory in self._stacks:
            update = torch.stack([gradients[number] for number in numbers])
            memory.mul_(_MOMENTUM).add_(update)
            update.add_(memory, alpha=_MOMENTUM)
            rows, columns = stack.shape[1:]
            scale = lr * max(1.0, rows / columns) ** 0.5
            if rows > columns:
                stack.baddbmm_(update, unifier(update.mT), alpha=-scale)
            else:
                stack.baddbmm_(unifier(update), update, alpha=-scale)


def unifier(matrices: Tensor) -> Tensor:
    """What to multiply each matrix with from the left, so that all its singular values come near 1.

    `matrices` have the shape (count, rows, columns), with no more rows than columns; what is returned is
    symmetric, of the shape (count, rows, rows). The products' singular values lie in about 0.7 to 1.2.

    Every Newton-Schulz step multiplies X from the left by a polynomial of X·Xᵀ. So the steps are done on that
    small square matrix alone.
    """
    gram = matrices @ matrices.mT
    size = gram.diagonal(dim1=1, dim2=2).sum(-1)[:, None, None].sqrt() + 1e-7
    gram = gram / size.square()
    one = torch.eye(gram.shape[1], device=gram.device)
    found = one / size
    for left in reversed(range(_STEPS)):
        polynomial = _A * one + _B * gram + _C * gram @ gram
        found = polynomial @ found
        if left:
            gram = polynomial @ gram @ polynomial
    return found


def save_snapshot(path: Path, step: int, score: Score, optimizer: Muon) -> None:
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


def load_snapshot(path: Path, optimizer: Muon) -> tuple[int, Score] | None:
    """Put a snapshot's content back into an optimizer and its parameters.

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
