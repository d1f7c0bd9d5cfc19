"""The operations that take nearly all of training's time, each with its backward pass written by hand.

Autograd would do the same from smaller pieces: it would keep each of them in memory, and pass over the data once
for each. A test compares the gradients with autograd's.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 (everybody's name for it)
from torch import Tensor


class Adapted(torch.autograd.Function):
    """A frozen linear layer with a LoRA beside it: y = x·Wᵀ + bias + scale · (x·Aᵀ)·Bᵀ (Hu et al., 2021)."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, a: Tensor, b: Tensor, scale: float
    ) -> Tensor:
        """(tokens, inputs) to (tokens, outputs), in the precision of `x`."""
        a, b = a.to(x.dtype), b.to(x.dtype)
        inner = x @ a.T
        ctx.save_for_backward(x, inner, weight, a, b)
        ctx.scale = scale
        return F.linear(x, weight, bias).addmm_(inner, b.T, alpha=scale)

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        """The gradients of `x`, `a` and `b`; those of the matrices in float32."""
        x, inner, weight, a, b = ctx.saved_tensors
        d_inner = dy @ b
        dx = (dy @ weight).addmm_(d_inner, a, alpha=ctx.scale) if ctx.needs_input_grad[0] else None
        da = (d_inner.T @ x).float().mul_(ctx.scale)
        db = (dy.T @ inner).float().mul_(ctx.scale)
        return dx, None, None, da, db, None


class Norm(torch.autograd.Function):
    """RMSNorm (Zhang & Sennrich, 2019): each vector divided by its root mean square, in float32."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, eps: float) -> Tensor:
        """(…, width) to the same shape."""
        precise = x.float()
        factor = torch.rsqrt(precise.square().mean(-1, keepdim=True) + eps)
        ctx.save_for_backward(x, weight, factor)
        return weight * (precise * factor).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        """The gradient of `x`: f·g - x · f³ · mean(x·g), where g is the gradient behind the weights."""
        x, weight, factor = ctx.saved_tensors
        precise, g = x.float(), (dy * weight).float()
        along = (precise * g).mean(-1, keepdim=True).mul_(factor.pow(3))
        return g.mul_(factor).addcmul_(precise, along, value=-1.0).to(x.dtype), None, None


class Gate(torch.autograd.Function):
    """SwiGLU (Shazeer, 2020): silu(gate) · up, of the two halves of what comes in."""

    @staticmethod
    def forward(ctx: Any, both: Tensor) -> Tensor:
        """(tokens, 2 · inner) to (tokens, inner)."""
        ctx.save_for_backward(both)
        gate, up = both.chunk(2, dim=-1)
        return F.silu(gate).mul_(up)

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> Tensor:
        """The gradient of both halves; that of silu(x) = x·s(x) is s + x·s·(1 - s), with the sigmoid s."""
        (both,) = ctx.saved_tensors
        gate, up = both.chunk(2, dim=-1)
        sigma = torch.sigmoid(gate)
        silu = gate * sigma
        slope = sigma.addcmul_(silu, 1 - sigma)
        return torch.cat([slope.mul_(up).mul_(dy), silu.mul_(dy)], dim=-1)
