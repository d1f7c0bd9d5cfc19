import pytest
import torch

from openai_local.training.directions import Directions
from openai_local.training.optimizer import AdamW


def optimizer_of(shape, costs):
    parameter = torch.zeros(shape, requires_grad=True)
    return parameter, AdamW([parameter], [Directions(torch.randn(shape[1], 7), torch.tensor(costs))])


def test_it_is_adam_where_nothing_decays():
    torch.manual_seed(0)
    found, optimizer = optimizer_of((6, 3), [0.0, 0.0, 0.0])
    expected = torch.zeros(6, 3, requires_grad=True)
    theirs = torch.optim.Adam([expected], betas=(0.9, 0.99))
    for number, rate in enumerate((0.1, 0.05, 0.01, 0.02), start=1):
        gradient = torch.randn(6, 3)
        optimizer.step([gradient], rate, number)
        expected.grad, theirs.param_groups[0]["lr"] = gradient.clone(), rate
        theirs.step()
    torch.testing.assert_close(found, expected)


def test_a_column_that_costs_more_stays_smaller():
    torch.manual_seed(0)
    found, optimizer = optimizer_of((8, 3), [0.0, 1.0, 100.0])
    goal = torch.randn(8, 1).expand(8, 3)
    for number in range(1, 301):
        optimizer.step(torch.autograd.grad((found - goal).square().sum(), [found]), 0.01, number)
    free, some, none = (column.norm().item() for column in found.detach().T)
    assert free == pytest.approx(goal[:, 0].norm().item(), rel=0.05)
    assert some < 0.99 * free and none < 0.2 * free


def test_the_highest_cost_is_stable():
    found, optimizer = optimizer_of((4, 2), [1e6, 1e6])
    for number in range(1, 51):
        optimizer.step([torch.randn(4, 2)], 0.1, number)
    assert found.abs().max() < 1e-3
