import pytest
import torch

from openai_local.models.base_models import SMOLLM2
from openai_local.training import general_text
from openai_local.training.directions import RIDGE, find, watched
from openai_local.training.lora import LoraModel, pack
from openai_local.training.tokenisation import Encoder, Example

CPU = torch.device("cpu")


def moment(size, seed):
    x = torch.randn(4 * size, size, generator=torch.Generator().manual_seed(seed))
    return x.T @ x / len(x)


def test_a_direction_that_only_the_task_uses_comes_first():
    general = torch.eye(6)
    general[2, 2] = 1e-4
    found = find(torch.eye(6), general, 2)
    first = found.a[0].abs()
    assert first.argmax() == 2 and first[2] > 100 * first[[0, 1, 3, 4, 5]].max()
    assert found.costs[0] < 0.02 and found.costs[1] == pytest.approx(1.0, rel=0.02)


def test_costs_are_what_general_text_makes_of_the_output():
    task, general = moment(20, 1), moment(20, 2)
    found = find(task, general, 5)
    usual = general + RIDGE * general.diagonal().mean() * torch.eye(20)
    on_task = (found.a @ task @ found.a.T).diagonal()
    torch.testing.assert_close(on_task, (task.diagonal().mean() / 3).expand(5), rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(
        found.costs, (found.a @ usual @ found.a.T).diagonal() / on_task, rtol=1e-3, atol=1e-4
    )
    assert (found.costs.diff() >= 0).all(), "the cheapest first"


def test_no_other_directions_are_cheaper():
    task, general = moment(12, 3), moment(12, 4)
    usual = general + RIDGE * general.diagonal().mean() * torch.eye(12)
    least = find(task, general, 1).costs[0]
    others = torch.randn(500, 12, generator=torch.Generator().manual_seed(5))
    costs = ((others @ usual) * others).sum(1) / ((others @ task) * others).sum(1)
    assert (costs >= 0.999 * least).all()


def test_text_of_fewer_tokens_than_inputs_is_enough():
    x = torch.randn(3, 10, generator=torch.Generator().manual_seed(6))
    found = find(x.T @ x / 3, moment(10, 7), 10)
    assert found.a.abs().max() < 100 and torch.isfinite(found.costs).all(), "an adapter is written in 16 bits"
    assert found.costs[3] > 100 * found.costs[2], "what the examples do not use is dear"


@pytest.fixture
def model(tiny_cache):
    return LoraModel(SMOLLM2.at(tiny_cache).weights, device=CPU, dtype=torch.float32)


def examples(encoder, *texts):
    return [Example(tokens, [False, *[True] * (len(tokens) - 1)]) for tokens in map(encoder.tokens, texts)]


def test_a_model_is_aimed_at_its_examples(model, tiny_cache):
    weights = SMOLLM2.at(tiny_cache).weights
    encoder = Encoder(weights)
    task = examples(encoder, "the sun is a star", "the moon is a stone")
    before = model.hidden(task, pack(task, CPU))
    model.aim(task, general_text.of(weights, model.llama, encoder))
    assert all(one.a.abs().sum(1).min() > 0 and (one.costs > 0).all() for one in model.directions)
    torch.testing.assert_close(model.hidden(task, pack(task, CPU)), before), "B is still nothing"
    assert [one.a.data_ptr() for one in model.directions] == [a.data_ptr() for a in as_of(model)]


def as_of(model):
    return [linear.lora[0] for layer in model._learning for linear in layer.linear.values()]


def test_watching_changes_nothing(model):
    layer, x = model._learning[0], torch.randn(4, 64)
    plain = layer.linear["o"](x)
    with watched(layer) as linears:
        assert torch.equal(layer.linear["o"](x), plain)
        layer.linear["o"](x)
        torch.testing.assert_close(linears[1].mean(), x.T @ x / 4)
    assert torch.equal(layer.linear["o"](x), plain) and not hasattr(layer.linear["o"], "moment")
