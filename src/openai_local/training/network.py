"""A Llama for training: the network of Touvron et al. (2023), with LoRA (Hu et al., 2021) where it shall learn.

Written out instead of taken from a library: importing one took 4 of the 6.5 seconds before the first step. Its
numbers are those of transformers' model; a test compares them. Where the weights have a bias for q, k and v
(Qwen2) or norms for the heads of q and k (Qwen3), they count; everything else is the same (`architectures`).

The operations that take nearly all of training's time have backward passes written by hand. Autograd would do the
same from smaller pieces: it would keep each of them in memory, and pass over the data once for each. A test
compares the gradients with autograd's.

Left out: what training does not need (a cache of keys and values, sampling), and scaled rotary angles.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 (everybody's name for it)
from safetensors.torch import load_file
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
        ctx.save_for_backward(inner, weight, a, b)
        ctx.scale = scale
        return F.linear(x, weight, bias).addmm_(inner, b.T, alpha=scale)

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        """The gradients of `x` and, in float32, of `b`. `a` does not learn."""
        inner, weight, a, b = ctx.saved_tensors
        dx = (dy @ weight).addmm_(dy @ b, a, alpha=ctx.scale) if ctx.needs_input_grad[0] else None
        db = (dy.T @ inner).float().mul_(ctx.scale)
        return dx, None, None, None, db, None


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


GROUPS = {
    "qkv": ("q_proj", "k_proj", "v_proj"),
    "o": ("o_proj",),
    "gate_up": ("gate_proj", "up_proj"),
    "down": ("down_proj",),
}
"""The linear layers that read the same states, under transformers' names."""
Angles = tuple[Tensor, Tensor]
"""Cosine and sine for each position, shape (tokens, head width)."""


class Past:
    """One layer's keys and values of what was written so far, each of shape (texts, heads, tokens, head width)."""

    def __init__(self) -> None:
        self.keys = self.values = torch.empty(0)

    def add(self, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """With those of one more token of each text."""
        first = not self.keys.numel()
        self.keys = k if first else torch.cat([self.keys, k], dim=2)
        self.values = v if first else torch.cat([self.values, v], dim=2)
        return self.keys, self.values


class Linear:
    """Frozen linear layers side by side, which a LoRA may be added to."""

    def __init__(self, weights: Sequence[Tensor], biases: Sequence[Tensor] = ()) -> None:
        """Each weight has the shape (outputs, inputs), each bias (outputs,); all inputs are the same."""
        self.sizes = [len(weight) for weight in weights]
        self.weight = torch.cat([*weights])
        self.bias = torch.cat([*biases]) if biases else None
        self.lora: tuple[Tensor, ...] = ()
        self.scale = 0.0

    def add_lora(self, a: Tensor, scale: float) -> Tensor:
        """Let them learn: W becomes W + scale · B·A, with one A for all of them, which stays as it is.

        `a` has the shape (rank, inputs). Returns B, zeros, of shape (outputs of all, rank), in float32.
        """
        b = torch.zeros(len(self.weight), len(a), device=self.weight.device).requires_grad_()
        self.lora, self.scale = (a.to(self.weight.device), b), scale
        return b

    def factors(self) -> list[tuple[Tensor, Tensor]]:
        """A and B of each layer."""
        a, b = (matrix.detach() for matrix in self.lora)
        return [(a, part) for part in b.split(self.sizes)]

    def __call__(self, x: Tensor) -> Tensor:
        """(tokens, inputs) to (tokens, outputs of all)."""
        if self.lora:
            return Adapted.apply(x, self.weight, self.bias, *self.lora, self.scale)
        return F.linear(x, self.weight, self.bias)


class Layer:
    """One layer: attention, then the gated network, each on normalised states and added to them."""

    def __init__(self, weights: dict[str, Tensor], config: dict[str, Any]) -> None:
        """`weights` are the layer's, under transformers' names."""
        self.eps, self.width = config["rms_norm_eps"], config["head_dim"]
        self.groups = config["num_attention_heads"] // config["num_key_value_heads"]
        matrices = {name.split(".")[-2]: weight for name, weight in weights.items() if name.endswith(".weight")}
        biases = {name.split(".")[-2]: bias for name, bias in weights.items() if name.endswith(".bias")}
        self.linear = {
            group: Linear([matrices[name] for name in names], [biases[name] for name in names if name in biases])
            for group, names in GROUPS.items()
        }
        self.q_norm, self.k_norm = matrices.get("q_norm"), matrices.get("k_norm")
        self.before, self.between = matrices["input_layernorm"], matrices["post_attention_layernorm"]

    def __call__(
        self,
        states: Tensor,
        mask: Tensor | None,
        angles: Angles,
        places: Tensor | None = None,
        past: Past | None = None,
    ) -> Tensor:
        """States of shape (tokens, width) to states of the same shape, or of (places, width).

        `mask` is added to attention's scores. With `places`, only the states at these positions are computed.
        With `past`, the states are of one more token of as many texts, and each sees its own past.
        """
        attended = self._attend(Norm.apply(states, self.before, self.eps), mask, angles, places, past)
        states = attended + (states if places is None else states[places])
        both = self.linear["gate_up"](Norm.apply(states, self.between, self.eps))
        return states + self.linear["down"](Gate.apply(both))

    def _attend(
        self, x: Tensor, mask: Tensor | None, angles: Angles, places: Tensor | None, past: Past | None
    ) -> Tensor:
        linear = self.linear["qkv"]
        q, k, v = (self._heads(part) for part in linear(x).split(linear.sizes, dim=-1))
        if self.q_norm is not None and self.k_norm is not None:
            q, k = Norm.apply(q, self.q_norm, self.eps), Norm.apply(k, self.k_norm, self.eps)
        q, k = rotate(q, angles), rotate(k, angles)
        if past is not None:
            q, (k, v) = q.transpose(0, 2), past.add(k.transpose(0, 2), v.transpose(0, 2))
        elif places is not None and mask is not None:
            q, mask = q[:, :, places], mask[:, :, places]
        k, v = (part.repeat_interleave(self.groups, dim=1) for part in (k, v))
        seen = F.scaled_dot_product_attention(q, k, v, attn_mask=None if mask is None else mask.to(q.dtype))
        if past is not None:
            seen = seen.transpose(0, 2)
        return self.linear["o"](seen[0].transpose(0, 1).flatten(1))

    def _heads(self, x: Tensor) -> Tensor:
        """(tokens, heads · width) to (1, heads, tokens, width)."""
        return x.unflatten(-1, (-1, self.width)).transpose(0, 1)[None]

    def factors(self) -> dict[str, tuple[Tensor, Tensor]]:
        """The LoRA's matrices A and B of each linear layer, under transformers' names."""
        return {
            name: pair
            for group, names in GROUPS.items()
            for name, pair in zip(names, self.linear[group].factors(), strict=True)
        }


class Llama:
    """The whole network, up to the last normalisation. `head` turns its states into logits."""

    def __init__(self, folder: Path, *, device: torch.device, dtype: torch.dtype) -> None:
        """Load it from a folder that `convert` made."""
        self.config: dict[str, Any] = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        loaded = load_file(folder / "model.safetensors")
        weights = {name.removeprefix("model."): w.to(device, dtype) for name, w in loaded.items()}
        self.embedding = weights["embed_tokens.weight"]
        self.head = weights.get("lm_head.weight", self.embedding)
        self.last = weights["norm.weight"]
        layers: list[dict[str, Tensor]] = [{} for _ in range(self.config["num_hidden_layers"])]
        for name, weight in weights.items():
            if name.startswith("layers."):
                _, number, below = name.split(".", 2)
                layers[int(number)][below] = weight
        self.layers = [Layer(layer, self.config) for layer in layers]

    def angles(self, positions: Tensor) -> Angles:
        """The rotary angles of positions (Su et al., 2021), in the model's precision."""
        width = self.config["head_dim"]
        exponents = torch.arange(0, width, 2, device=positions.device).float() / width
        turns = positions[:, None].float() / self.config["rope_theta"] ** exponents
        turns = torch.cat([turns, turns], dim=-1)
        return turns.cos().to(self.embedding.dtype), turns.sin().to(self.embedding.dtype)

    def normalise(self, states: Tensor) -> Tensor:
        """The last normalisation, before the head."""
        return Norm.apply(states, self.last, self.config["rms_norm_eps"])


def rotate(x: Tensor, angles: Angles) -> Tensor:
    """Turn each pair (i, i + width / 2) of a head's vector by the angle of its position."""
    cos, sin = angles
    left, right = x.chunk(2, dim=-1)
    return x * cos + torch.cat([-right, left], dim=-1) * sin
