"""Threads that share the work of one step.

Most products of a small model are too small for several cores: they wait for each other at the end of every one.
So each worker takes some of the examples, computes alone, and they meet once in a step, when their gradients are
added. On two cores that is about a tenth faster, and another busy program slows it much less.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

from openai_local.training.tokens import Example

T = TypeVar("T")


class Crew:
    """The workers of one job, each a thread with its share of the cores."""

    def __init__(self, most: int, device: torch.device) -> None:
        """At most `most` workers, and no more than there are cores; a GPU gets one, as it shares work itself."""
        cores = torch.get_num_threads()
        self.size = max(1, min(most, cores)) if device.type == "cpu" else 1
        share = max(1, cores // self.size)
        self._pool = ThreadPoolExecutor(self.size, "trainer", initializer=lambda: torch.set_num_threads(share))

    def map(self, function: Callable[[list[Example]], T], examples: Sequence[Example]) -> list[T]:
        """Call `function` with each worker's share of `examples`, and return what it returns.

        Who gets what depends on the examples' lengths only, so the same step always gives the same numbers. An
        error of one worker is raised when all are done.
        """
        futures = [self._pool.submit(function, share) for share in shares(examples, self.size)]
        errors = [error for future in futures if (error := future.exception())]
        if errors:
            raise errors[0]
        return [future.result() for future in futures]


def shares(examples: Sequence[Example], count: int) -> list[list[Example]]:
    """Deal examples out, the longest first, each to who has the fewest tokens so far.

    Returns:
        At most `count` lists, none empty.
    """
    hands: list[list[Example]] = [[] for _ in range(count)]
    tokens = [0] * count
    for example in sorted(examples, key=lambda example: len(example.tokens), reverse=True):
        least = tokens.index(min(tokens))
        hands[least].append(example)
        tokens[least] += len(example.tokens)
    return [hand for hand in hands if hand]
