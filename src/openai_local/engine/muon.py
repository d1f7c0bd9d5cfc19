"""Muon, the optimizer that trains the LoRA matrices.

Muon replaces each update matrix by the nearest one whose singular values are all about 1 (a few Newton-Schulz
steps instead of an SVD), so that every direction of a matrix learns at the same speed (K. Jordan et al., 2024,
"Muon: An optimizer for hidden layers in neural networks"). On the lesson's data, 12 epochs of it
taught 102 answers of 107 word for word, where 12 of AdamW taught 98 and 14 taught 99. PyTorch has one too, but it
works in bfloat16, which many processors can only emulate, and one matrix at a time; here all matrices of one
shape go through together, in float32.

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
        self.memory = [torch.zeros_like(parameter) for parameter in parameters]

    @torch.no_grad()
    def step(self, lr: float) -> None:
        """Update every parameter by its gradient, and forget the gradient.

        Args:
            lr: how far the update moves a matrix, in singular values.
        """
        alike: dict[torch.Size, list[int]] = defaultdict(list)
        for number, parameter in enumerate(self.parameters):
            alike[parameter.shape].append(number)
        for shape, numbers in alike.items():
            updates = orthogonalise(torch.stack([self._update(number) for number in numbers]))
            scale = lr * max(1.0, shape[0] / shape[1]) ** 0.5
            for number, update in zip(numbers, updates, strict=True):
                self.parameters[number].sub_(update, alpha=scale)

    def _update(self, number: int) -> Tensor:
        running, gradient = self.memory[number], self.parameters[number].grad
        assert gradient is not None
        self.parameters[number].grad = None
        running.mul_(self.momentum).add_(gradient)
        return gradient + self.momentum * running


def orthogonalise(matrices: Tensor) -> Tensor:
    """Bring all singular values of each matrix near 1.

    Every step multiplies X from the left by a polynomial of X·Xᵀ. So the steps are done on that small square
    matrix alone, and X itself is multiplied once, at the end.

    Args:
        matrices: shape (count, rows, columns).

    Returns:
        A tensor of the same shape, float32; singular values lie in about 0.7 to 1.2.
    """
    x = matrices.float()
    tall = x.shape[1] > x.shape[2]
    if tall:
        x = x.mT
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    gram, factor = x @ x.mT, torch.eye(x.shape[1], device=x.device)
    for _ in range(_STEPS):
        polynomial = _A * torch.eye(x.shape[1], device=x.device) + _B * gram + _C * gram @ gram
        factor = polynomial @ factor
        gram = polynomial @ gram @ polynomial
    x = factor @ x
    return x.mT if tall else x
