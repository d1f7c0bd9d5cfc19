import pytest
import torch
import transformers

from openai_local.engine.base import SMOLLM2
from openai_local.engine.llama import GROUPS, Linear, Llama

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def folder(tiny_cache):
    return SMOLLM2.weights(tiny_cache)


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
    a, b = linear.add_lora(2, alpha=4.0)
    assert (a.shape, b.shape) == ((2, 8), (5, 2)) and a.abs().max() <= 8**-0.5
    torch.testing.assert_close(linear(x), before)
    with torch.no_grad():
        b.normal_()
    torch.testing.assert_close(linear(x), x @ (linear.weight + 2.0 * b @ a).T)
    (_, above), (same, below) = linear.factors()
    assert torch.equal(same, a) and torch.equal(torch.cat([above, below]), b)


def test_every_layer_has_seven_matrices_in_four_groups(llama):
    assert len(llama.layers) == 3 and all(tuple(layer.linear) == tuple(GROUPS) for layer in llama.layers)
    assert sum(len(layer.linear[group].sizes) for layer in llama.layers for group in GROUPS) == 21
