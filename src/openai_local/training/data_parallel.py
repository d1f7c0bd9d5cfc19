"""Losses and gradients of a batch, computed by threads that share its examples.

Most products of a small model are too small for several cores: they wait for each other at the end of every one.
So each thread takes some of the examples, computes alone, and they meet once in a step, when their gradients are
added. On two cores that is about a tenth faster, and another busy program slows it much less.

A thread lays its examples into rows of about `ROW_TOKENS` tokens, so that memory is bounded by the longest one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from openai_local.training.lora import AnswerLoss, Dropped, LoraModel, pack, rows
from openai_local.training.metrics import Classes, Score
from openai_local.training.tokenisation import Example

T = TypeVar("T")


class DataParallel:
    """A model and the threads that work with it, each with its share of the cores."""

    def __init__(self, model: LoraModel, prompt_weight: float, most: int, check: Callable[[], None]) -> None:
        """`check` is called before each row, and may raise an error that ends the work.

        There are at most `most` threads, and no more than cores; a GPU gets one, as it shares work itself.
        """
        self.model, self.prompt_weight, self.check = model, prompt_weight, check
        cores = torch.get_num_threads()
        self.size = max(1, min(most, cores)) if model.device.type == "cpu" else 1
        share = max(1, cores // self.size)
        self._pool = ThreadPoolExecutor(self.size, "trainer", initializer=lambda: torch.set_num_threads(share))

    def map(self, function: Callable[[list[Example]], T], examples: Sequence[Example]) -> list[T]:
        """Call `function` with each thread's share of `examples`, and return what it returns.

        Who gets what depends on the examples' lengths only, so the same step always gives the same numbers. An
        error of one thread is raised when all are done.
        """
        futures = [self._pool.submit(function, share) for share in shares(examples, self.size)]
        errors = [error for future in futures if (error := future.exception())]
        if errors:
            raise errors[0]
        return [future.result() for future in futures]

    def aim(self, examples: Sequence[Example], general: Sequence[Example]) -> None:
        """Point the model at its examples, and away from general text (`LoraModel.aim`)."""

        def begin(share: list[Example]) -> None:
            for example in share:
                self.check()
                self.model.lower([example])

        self.map(begin, [*examples, *general])
        self.model.aim(examples, general, self.check)

    def learn(self, batch: Sequence[Example], dropped: Dropped | None = None) -> tuple[Score, list[Tensor]]:
        """How well a batch was said, and the gradients of its loss.

        What is `dropped` of the others is not attended to (`pack`).
        """
        total = sum(example.weight(self.prompt_weight) for example in batch)
        learn = partial(self._learn, total=total, dropped=dropped)
        return _added(self.map(lambda share: _added(map(learn, rows(share))), batch))

    def measure(self, examples: Sequence[Example]) -> Score:
        """How well examples are said that are not learned."""
        return sum(self.map(self._measure, examples), Score())

    @torch.no_grad()
    def class_probabilities(self, classes: Classes, examples: Sequence[Example]) -> np.ndarray:
        """Of each class, for each example: shape (examples, classes)."""
        found = []
        for some in rows(examples):
            row = pack(some, self.model.device)
            hidden, start = self.model.hidden(some, row), 0
            for example in some:
                place = row.places == start + classes.position(example) - 1
                logits = hidden[place][0] @ self.model.head[classes.tokens].T
                found.append(torch.softmax(logits.float(), dim=-1).cpu().numpy())
                start += len(example.tokens)
        return np.stack(found)

    def _learn(self, examples: list[Example], total: float, dropped: Dropped | None) -> tuple[Score, list[Tensor]]:
        score, loss = self._forward(examples, total, dropped)
        return score, [*torch.autograd.grad(loss, self.model.parameters)]

    @torch.no_grad()
    def _measure(self, share: list[Example]) -> Score:
        return sum((self._forward(examples, 1.0)[0] for examples in rows(share)), Score())

    def _forward(
        self, examples: list[Example], total: float, dropped: Dropped | None = None
    ) -> tuple[Score, Tensor]:
        self.check()
        row = pack(examples, self.model.device, self.prompt_weight, dropped)
        hidden = self.model.hidden(examples, row)
        loss, right = AnswerLoss.apply(hidden, row.targets, row.weights, self.model.head, total)
        answers = row.owners >= 0
        wrong = row.owners[answers & ~right].unique()
        score = Score(
            loss=loss.item() * total,
            weight=float(row.weights.sum()),
            right=int((right & answers).sum()),
            tokens=int(answers.sum()),
            exact=len(examples) - len(wrong),
            examples=len(examples),
        )
        return score, loss


def _added(parts: Iterable[tuple[Score, list[Tensor]]]) -> tuple[Score, list[Tensor]]:
    """The sums of scores and of gradients."""
    parts = iter(parts)
    score, gradients = next(parts)
    for other, more in parts:
        score += other
        torch._foreach_add_(gradients, more)
    return score, gradients


def shares(examples: Sequence[Example], count: int) -> list[list[Example]]:
    """Deal examples out, the longest first, each to who has the fewest tokens so far.

    There are at most `count` lists, none empty.
    """
    hands: list[list[Example]] = [[] for _ in range(count)]
    tokens = [0] * count
    for example in sorted(examples, key=lambda example: len(example.tokens), reverse=True):
        least = tokens.index(min(tokens))
        hands[least].append(example)
        tokens[least] += len(example.tokens)
    return [hand for hand in hands if hand]
