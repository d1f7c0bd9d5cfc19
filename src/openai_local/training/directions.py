"""Where a LoRA may look: the directions that the examples use, and other text uses little.

A LoRA adds scale · B·(A·x) to what a linear layer makes of x. What it does to text that it was not trained on
depends on A·x there. So A is not random and does not learn: its rows are the directions in which the layer's
inputs vary most on the examples, measured against how much they vary on text that the base wrote itself
(`general_text`). With C = the mean of x·xᵀ over tokens of the base, they are the generalised eigenvectors of

    C_examples · a = λ · (C_general + ridge) · a

with the largest λ. That is linear discriminant analysis (Fisher, 1936) of two kinds of text. LoRA-Null (Tang et
al., 2025) and CorDA (Yang et al., 2024) take A from the activations of general text, too; they do not weigh it
against the task's. 1/λ is what a direction costs: the optimizer lets B grow less where it is high.

It takes one pass of the base over both kinds of text, and no step gets slower.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from openai_local.training.network import Layer, Linear

RIDGE = 0.01  # of the general text's mean variance: no direction counts as unused


@dataclass(frozen=True)
class Directions:
    """The A of one linear layer, shape (rank, inputs), and what each direction costs, shape (rank,)."""

    a: Tensor
    costs: Tensor

    @classmethod
    def none(cls, rank: int, inputs: int, device: torch.device) -> Directions:
        """Zeros, which nothing can be learned in."""
        return cls(torch.zeros(rank, inputs, device=device), torch.zeros(rank, device=device))

    def become(self, other: Directions) -> None:
        """Take over another's numbers."""
        self.a.copy_(other.a)
        self.costs.copy_(other.costs)


def find(task: Tensor, general: Tensor, rank: int) -> Directions:
    """The directions that one text varies in and another does not.

    `task` and `general` are means of x·xᵀ, both of shape (inputs, inputs). Each row of A is scaled so that its
    output on the task is as large as that of a row of PyTorch's usual random numbers (uniform within
    ±1/√inputs) would be.
    """
    inputs = len(task)
    ridge = RIDGE * general.diagonal().mean() + 1e-12
    root = torch.linalg.cholesky(general + ridge * torch.eye(inputs))
    half = torch.linalg.solve_triangular(root, task, upper=False)
    whitened = torch.linalg.solve_triangular(root, half.T, upper=False)
    found, vectors = torch.linalg.eigh((whitened + whitened.T) / 2)
    found, vectors = found[-rank:].flip(0), vectors[:, -rank:].flip(1)
    found = found.clamp_min(1e-4 * found[0])  # few examples use few directions: the others would become huge
    a = torch.linalg.solve_triangular(root.T, vectors, upper=True).T
    size = task.diagonal().mean() / 3
    return Directions((a * (size / found).sqrt()[:, None]).contiguous(), 1 / found)


class Watched:
    """A linear layer that notes the second moment of its inputs."""

    def __init__(self, linear: Linear) -> None:
        self.linear, self.sizes = linear, linear.sizes
        self.moment, self.seen = torch.zeros(()), 0

    def __call__(self, x: Tensor) -> Tensor:
        """What the linear layer does."""
        precise = x.float()
        self.moment = self.moment.to(x.device) + precise.T @ precise
        self.seen += len(x)
        return self.linear(x)

    def mean(self) -> Tensor:
        """The mean of x·xᵀ so far, on the CPU; it begins anew."""
        found = self.moment.cpu() / max(1, self.seen)
        self.moment, self.seen = torch.zeros(()), 0
        return found


@contextmanager
def watched(layer: Layer) -> Iterator[list[Watched]]:
    """A layer's linear layers, while they note their inputs."""
    plain = layer.linear
    watching = {group: Watched(linear) for group, linear in plain.items()}
    layer.linear = watching  # type: ignore[assignment]
    try:
        yield [*watching.values()]
    finally:
        layer.linear = plain
