import pytest
import torch

from openai_local.training.optimizer import Muon, unifier


@pytest.mark.parametrize("shape", [(3, 8, 64), (1, 16, 16)])
def test_singular_values_come_near_one(shape):
    torch.manual_seed(0)
    matrices = 100 * torch.randn(shape)
    values = torch.linalg.svdvals(unifier(matrices) @ matrices)
    assert values.min() > 0.5 and values.max() < 1.4


@pytest.mark.parametrize("shape", [(8, 64), (64, 8)])
def test_one_step_moves_every_direction_alike(shape):
    torch.manual_seed(0)
    parameters = [torch.zeros(shape, requires_grad=True), torch.zeros(3, 3, requires_grad=True)]
    gradients = [torch.randn(shape), torch.zeros(3, 3)]
    Muon(parameters).step(gradients, 0.1)
    moved = torch.linalg.svdvals(parameters[0].detach()) / (0.1 * max(1, shape[0] / shape[1]) ** 0.5)
    assert moved.min() > 0.5 and moved.max() < 1.4
    assert (parameters[0].detach() * gradients[0]).sum() < 0, "against the gradient"
    assert not parameters[1].any(), "nothing to learn, nothing moved"


def test_it_minimises():
    torch.manual_seed(0)
    goal, found = torch.randn(8, 4), torch.zeros(8, 4, requires_grad=True)
    optimizer = Muon([found])
    first = (found - goal).square().mean().item()
    for step in range(200):
        loss = (found - goal).square().mean()
        optimizer.step(torch.autograd.grad(loss, [found]), 0.05 * (1 - step / 200))
    assert loss.item() < first / 1000
