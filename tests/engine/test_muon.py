import pytest
import torch

from openai_local.engine.muon import Muon, orthogonalise


@pytest.mark.parametrize("shape", [(3, 8, 64), (3, 64, 8), (1, 16, 16)])
def test_singular_values_come_near_one(shape):
    torch.manual_seed(0)
    values = torch.linalg.svdvals(orthogonalise(torch.randn(shape)))
    assert values.min() > 0.5 and values.max() < 1.4


def test_it_minimises():
    torch.manual_seed(0)
    goal, found = torch.randn(8, 4), torch.zeros(8, 4, requires_grad=True)
    optimizer = Muon([found])
    first = (found - goal).square().mean().item()
    for step in range(200):
        loss = (found - goal).square().mean()
        loss.backward()
        optimizer.step(0.05 * (1 - step / 200))
    assert loss.item() < first / 1000
