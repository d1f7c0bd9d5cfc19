"""Muon, the optimizer that trains the LoRA matrices.

Muon replaces each update matrix by the nearest one whose singular values are all about 1 (a few Newton-Schulz
steps instead of an SVD), so that every direction of a matrix learns at the same speed (K. Jordan et al., 2024,
"Muon: An optimizer for hidden layers in neural networks"). On the lesson's data it needs fewer epochs than AdamW.
PyTorch has one too, but it works in bfloat16, which many processors can only emulate, and one matrix at a time;
here all matrices of one shape lie in one tensor and go through together, in float32.

Left out: weight decay.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import torch
from torch import Tensor

# The quintic a·x + b·x³ + c·x⁵ that pulls singular values towards 1 fastest (Jordan et al., 2024).
_A, _B, _C = 3.4445, -4.7750, 2.0315
_STEPS = 5


class Muon:
    """Momentum with orthogonalised updates, for matrices only.

    No `torch.optim.Optimizer`: the first step of one takes two seconds, for imports that this does not need.
    """

    def __init__(self, parameters: Sequence[Tensor], momentum: float = 0.95) -> None:
        """`parameters` are matrices, shape (rows, columns); `momentum` is that of the (Nesterov) running sum."""
        self.parameters, self.momentum = parameters, momentum
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
        """Update every parameter by its gradient.

        Args:
            gradients: in the order of the parameters.
            lr: how far the update moves a matrix, in singular values.
        """
        for numbers, stack, memory in self._stacks:
            update = torch.stack([gradients[number] for number in numbers])
            memory.mul_(self.momentum).add_(update)
            update.add_(memory, alpha=self.momentum)
            rows, columns = stack.shape[1:]
            scale = lr * max(1.0, rows / columns) ** 0.5
            if rows > columns:
                stack.baddbmm_(update, unifier(update.mT), alpha=-scale)
            else:
                stack.baddbmm_(unifier(update), update, alpha=-scale)


def unifier(matrices: Tensor) -> Tensor:
    """What to multiply each matrix with from the left, so that all its singular values come near 1.

    Every Newton-Schulz step multiplies X from the left by a polynomial of X·Xᵀ. So the steps are done on that
    small square matrix alone.

    Args:
        matrices: shape (count, rows, columns), with no more rows than columns.

    Returns:
        Symmetric matrices, shape (count, rows, rows). The products' singular values lie in about 0.7 to 1.2.
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
