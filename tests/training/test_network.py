import pytest
import torch
import torch.nn.functional as F  # noqa: N812
import transformers

from openai_local.models.base_models import SMOLLM2
from openai_local.training.network import GROUPS, Adapted, Gate, Linear, Llama, Norm

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def folder(tiny_cache):
    return SMOLLM2.at(tiny_cache).weights


@pytest.fixture(scope="module")
def llama(folder):
    return Llama(folder, device=CPU, dtype=torch.float32)


def states(llama, ids):
    mask = torch.full((len(ids), len(ids)), -torch.inf).triu(1)[None, None]
    angles, found = llama.angles(torch.arange(len(ids))), llama.embedding[ids]
    for layer in llama.layers:
        found = layer(found, mask, angles)
    return llama.normalise(found)


@torch.no_grad()
def test_its_numbers_are_those_of_transformers(llama, folder):
    ids = torch.randint(0, 200, (60,), generator=torch.Generator().manual_seed(0))
    theirs = transformers.LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32)
    torch.testing.assert_close(
        states(llama, ids) @ llama.head.T, theirs(ids[None]).logits[0], atol=2e-5, rtol=1e-4
    )


def test_lora_starts_as_nothing_and_is_added_to_the_layer():
    torch.manual_seed(0)
    linear, x = Linear([torch.randn(3, 8), torch.randn(2, 8)]), torch.randn(3, 8)
    before = linear(x)
    a = torch.randn(2, 8)
    b = linear.add_lora(a, scale=2.0)
    assert b.shape == (5, 2) and not b.any()
    torch.testing.assert_close(linear(x), before)
    with torch.no_grad():
        b.normal_()
    torch.testing.assert_close(linear(x), x @ (linear.weight + 2.0 * b @ a).T)
    (_, above), (same, below) = linear.factors()
    assert torch.equal(same, a) and torch.equal(torch.cat([above, below]), b)


def test_every_layer_has_seven_matrices_in_four_groups(llama):
    assert len(llama.layers) == 3 and all(tuple(layer.linear) == tuple(GROUPS) for layer in llama.layers)
    assert sum(len(layer.linear[group].sizes) for layer in llama.layers for group in GROUPS) == 21


def adapted(x, b):
    return Adapted.apply(x, WEIGHT, BIAS, A, b, 0.5)


def plain_adapted(x, b):
    return F.linear(x, WEIGHT, BIAS) + 0.5 * (x @ A.T) @ b.T


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
WEIGHT, BIAS, SCALES, A = torch.randn(6, 8), torch.randn(6), torch.randn(8), torch.randn(2, 8)


@pytest.mark.parametrize(
    "ours, plain, shapes",
    [
        (adapted, plain_adapted, [(5, 8), (6, 2)]),
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
