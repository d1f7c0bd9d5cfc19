from types import SimpleNamespace

import pytest
import torch

from openai_local.training.data_parallel import DataParallel, shares
from openai_local.training.lora import rows
from openai_local.training.tokenisation import Example


def threads(most):
    return DataParallel(SimpleNamespace(device=torch.device("cpu")), 0.0, most, lambda: None)


def of(*lengths):
    return [Example([0] * length, [True] * length) for length in lengths]


def test_everybody_gets_about_as_many_tokens():
    dealt = shares(of(10, 90, 30, 60, 20), 2)
    assert sorted(sum(len(e.tokens) for e in hand) for hand in dealt) == [100, 110]
    assert sum(map(len, dealt)) == 5


def test_nobody_gets_nothing():
    assert [len(hand) for hand in shares(of(5), 4)] == [1]
    assert shares([], 4) == []


def test_the_same_examples_are_always_dealt_alike():
    examples = of(7, 7, 7, 3, 3)
    first, again = shares(examples, 3), shares(examples, 3)
    assert [[id(e) for e in hand] for hand in first] == [[id(e) for e in hand] for hand in again]


def test_threads_return_in_order_and_hand_on_errors():
    both = threads(2)
    assert sum(both.map(len, of(1, 2, 3))) == 3

    def stumble(share):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        both.map(stumble, of(1, 2))
    assert both.map(len, of(1)) == [1], "it goes on"


def test_there_are_no_more_threads_than_work():
    assert threads(1).size == 1
    assert 1 <= threads(1000).size <= torch.get_num_threads()


def test_rows_are_bounded():
    assert [[len(e.tokens) for e in row] for row in rows(of(300, 300, 100, 2000, 5))] == [
        [300],
        [300, 100],
        [2000],
        [5],
    ]
