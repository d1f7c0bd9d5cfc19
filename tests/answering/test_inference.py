"""Answers of several models at once, with the tiny base model and adapters of chance."""

from concurrent.futures import ThreadPoolExecutor
from itertools import product

import numpy as np
import pytest

from openai_local.answering import server_pool
from openai_local.answering.inference import MOST_BASES, Answering, Target
from openai_local.errors import LocalError
from openai_local.models.adapter import Factors, write_adapter
from openai_local.models.base_models import SMOLLM2
from tiny import CONFIG, INNER, LAYERS, WIDTH, write_gguf

QUESTION = {"prompt": "What is the moon?", "max_tokens": 12, "temperature": 0, "cache_prompt": False}


@pytest.fixture
def targets(tmp_path, tiny_cache):
    """The base model and some fine-tunes of it."""
    gguf = SMOLLM2.at(tiny_cache).gguf
    files = [tmp_path / f"{number}.gguf" for number in range(server_pool.LANES + 3)]
    for number, file in enumerate(files):
        random = np.random.default_rng(number)
        factors = {
            (layer, module): Factors(random.normal(size=(4, WIDTH)), random.normal(size=(INNER, 4)))
            for layer, module in product(range(LAYERS), ("gate_proj", "up_proj"))
        }
        write_adapter(file, factors, CONFIG, 4)
    return [Target(gguf), *(Target(gguf, file) for file in files)]


@pytest.fixture
def answering():
    answering = Answering()
    yield answering
    answering.close()


def test_many_at_once_get_the_answers_that_they_would_get_alone(answering, targets):
    def ask(target):
        return answering.complete(target, QUESTION)["choices"][0]["text"]

    alone = [ask(target) for target in targets]
    assert len(set(alone)) > len(targets) // 2, "the adapters make a difference"
    with ThreadPoolExecutor(3 * len(targets)) as pool:
        assert list(pool.map(ask, 3 * targets)) == 3 * alone


def test_a_damaged_adapter_gets_a_sentence_and_others_answer(answering, targets):
    damaged = targets[1].adapter
    damaged.write_bytes(damaged.read_bytes()[:100])
    with pytest.raises(LocalError, match="is no GGUF file that can be used"):
        answering.complete(targets[1], QUESTION)
    assert answering.complete(targets[2], QUESTION)["choices"]


def test_an_answer_that_nobody_wants_any_more_leaves_its_lane(answering, targets):
    for _ in range(server_pool.LANES + 1):
        answering.stream(targets[0], {**QUESTION, "max_tokens": 4000}, lambda chunk: True)
    assert answering.complete(targets[0], QUESTION)["choices"]


def test_small_questions_are_answered_while_models_come_and_go(answering, tmp_path):
    """More base models than stay loaded: a server is let go of while somebody else still asks it."""
    targets = [Target(tmp_path / f"{number}.gguf") for number in range(MOST_BASES + 2)]
    for seed, target in enumerate(targets):
        write_gguf(target.gguf, seed)

    def ask(number):
        answering.tokens(targets[number % len(targets)], "the thin")
        answering.check_tokens(targets[-number % len(targets)], [1], "prompt")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(ask, range(60)))
