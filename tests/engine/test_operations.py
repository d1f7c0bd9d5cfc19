"""The backward passes that are written by hand are those that autograd finds."""

import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from openai_local.engine.operations import Adapted, Gate, Norm


def adapted(x, a, b):
    return Adapted.apply(x, WEIGHT, BIAS, a, b, 0.5)


def plain_adapted(x, a, b):
    return F.linear(x, WEIGHT, BIAS) + 0.5 * (x @ a.T) @ b.T


def norm(x):
    return Norm.apply(x, SCALES, 1e-5)


def plain_norm(x):
    return F.rms_norm(x, (8,), SCALES, 1e-5)


def gate(x):
    return Gate.apply(x)


def plain_gate(x):
    left, right = x.chunk(2, dim=-1)
    return F.silu(left) * right


torch.manual_seed(5)
WEIGHT, BIAS, SCALES = torch.randn(6, 8), torch.randn(6), torch.randn(8)


@pytest.mark.parametrize(
    "ours, plain, shapes",
    [
        (adapted, plain_adapted, [(5, 8), (2, 8), (6, 2)]),
        (norm, plain_norm, [(5, 8)]),
        (norm, plain_norm, [(1, 3, 5, 8)]),
        (gate, plain_gate, [(5, 8)]),
    ],
)
def test_values_and_gradients_are_autograds(ours, plain, shapes):
    inputs = [torch.randn(shape, requires_grad=True) for shape in shapes]
    found, expected = ours(*inputs), plain(*inputs)
    torch.testing.assert_close(found, expected)
    direction = torch.randn_like(expected)
    torch.testing.assert_close(
        torch.autograd.grad(found, inputs, direction),
        torch.autograd.grad(expected, inputs, direction),
        atol=1e-5,
        rtol=1e-4,
    )
