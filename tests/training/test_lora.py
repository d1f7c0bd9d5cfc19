import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from openai_local.models.base_models import SMOLLM2
from openai_local.training.lora import AnswerLoss, LoraModel, choose_dtype, pack
from openai_local.training.tokenisation import Encoder, Example

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def model(tiny_cache):
    torch.manual_seed(0)
    return LoraModel(SMOLLM2.at(tiny_cache).weights, device=CPU, dtype=torch.float32)


@pytest.fixture(scope="module")
def examples(tiny_cache):
    encoder = Encoder(SMOLLM2.at(tiny_cache).weights)
    texts = [("What is the sun?", " A star."), ("And", " the moon is a stone in the sky."), ("x", " y")]
    return [encoder.encode({"prompt": p, "completion": c}, 100) for p, c in texts]


def test_neighbours_in_a_row_do_not_see_each_other(model, examples):
    together = model.hidden(examples, pack(examples, CPU))
    alone = torch.cat([model.hidden([example], pack([example], CPU)) for example in examples])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-4)


def test_a_dropped_token_is_as_if_it_were_another(model, examples):
    first, *rest = examples
    dropped = {id(one): [False] * len(one.tokens) for one in examples}
    dropped[id(first)] = [place == 1 for place in range(len(first.tokens))]
    tokens = [first.tokens[0], first.tokens[1] + 1, *first.tokens[2:]]
    other = Example(tokens, first.counts)
    model._kept.clear()
    frozen = model.frozen
    model.frozen = []  # what the frozen layers see is not dropped
    try:
        learned = [
            model.hidden(some, pack(some, CPU, dropped={**dropped, id(some[0]): dropped[id(first)]}))
            for some in ([first, *rest], [other, *rest])
        ]
        torch.testing.assert_close(*learned)
        assert not torch.allclose(model.hidden(examples, pack(examples, CPU)), learned[0])
    finally:
        model.frozen = frozen
        model._kept.clear()


def test_places_and_targets_are_what_counts(examples):
    row = pack(examples, CPU)
    assert len(row.targets) == sum(example.n_targets for example in examples)
    assert (row.ids[row.places + 1] == row.targets).all()
    assert row.weights.unique().tolist() == [1.0]
    assert row.owners.bincount().tolist() == [example.n_targets for example in examples]


def test_with_a_weight_the_prompts_count_too(examples):
    row = pack(examples, CPU, prompt_weight=0.25)
    assert len(row.targets) == len(row.ids) - len(examples), "all but the first token of each example"
    assert float(row.weights.sum()) == pytest.approx(sum(example.weight(0.25) for example in examples))
    assert ((row.owners < 0) == (row.weights == 0.25)).all()


def test_a_weighted_loss_is_the_weighted_cross_entropy():
    torch.manual_seed(2)
    head, targets, weights = torch.randn(50, 8), torch.randint(50, (5,)), torch.tensor([1, 1, 0.1, 0.1, 1.0])
    hidden = torch.randn(5, 8, requires_grad=True)
    exact = (F.cross_entropy(hidden @ head.T, targets, reduction="none") * weights).sum() / 3.2
    (expected,) = torch.autograd.grad(exact, hidden)
    loss, _ = AnswerLoss.apply(hidden, targets, weights, head, 3.2)
    (found,) = torch.autograd.grad(loss, hidden)
    torch.testing.assert_close(loss, exact)
    assert F.cosine_similarity(found.flatten(), expected.flatten(), dim=0) > 0.99


def test_kept_hidden_states_change_nothing(model, examples):
    row = pack(examples, CPU)
    model._kept, model._room = {}, 0
    fresh = model.hidden(examples, row)
    assert not model._kept, "there was no room"
    model._room = 64 * 4 * len(examples[0].tokens)
    for _ in range(2):
        torch.testing.assert_close(model.hidden(examples, row), fresh, atol=1e-5, rtol=1e-4)
        assert [*model._kept] == [id(examples[0])] and model._room == 0, "there was room for one"


def test_the_loss_is_the_cross_entropy_and_its_gradient_nearly(model):
    torch.manual_seed(1)
    head = torch.randn(500, 16)
    targets = torch.randint(500, (7,))
    hidden = (3 * head[targets] + torch.randn(7, 16)).requires_grad_()  # half learned, as in training
    exact = F.cross_entropy(hidden @ head.T, targets)
    (expected,) = torch.autograd.grad(exact, hidden)
    loss, right = AnswerLoss.apply(hidden, targets, torch.ones(7), head, len(targets))
    (found,) = torch.autograd.grad(loss, hidden)
    torch.testing.assert_close(loss, exact)
    assert (right == ((hidden @ head.T).argmax(-1) == targets)).all()
    assert F.cosine_similarity(found.flatten(), expected.flatten(), dim=0) > 0.99


def test_only_the_upper_layers_learn(model):
    assert {layer for layer, _ in model.factors()} == {2}
    assert len(model.factors()) == 7


def test_bfloat16_works_too(tiny_cache, examples):
    model = LoraModel(SMOLLM2.at(tiny_cache).weights, device=CPU, dtype=torch.bfloat16)
    model.aim(examples, examples)
    row = pack(examples, CPU)
    hidden = model.hidden(examples, row)
    loss, _ = AnswerLoss.apply(hidden, row.targets, row.weights, model.head, len(row.targets))
    gradients = torch.autograd.grad(loss, model.parameters)
    assert torch.isfinite(loss)
    assert all(torch.isfinite(g).all() and g.dtype is torch.float32 and g.any() for g in gradients)


def test_a_processor_computes_in_float32_whatever_it_has():
    assert choose_dtype(CPU) is torch.float32
