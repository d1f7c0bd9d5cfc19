import pytest
import torch

from openai_local.training.data_parallel import Crew, shares
from openai_local.training.tokens import Example

CPU = torch.device("cpu")


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


def test_workers_return_in_order_and_hand_on_errors():
    crew = Crew(2, CPU)
    assert sum(crew.map(len, of(1, 2, 3))) == 3

    def stumble(share):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        crew.map(stumble, of(1, 2))
    assert crew.map(len, of(1)) == [1], "it goes on"


def test_a_crew_is_no_larger_than_its_work():
    assert Crew(1, CPU).size == 1
    assert 1 <= Crew(1000, CPU).size <= torch.get_num_threads()
