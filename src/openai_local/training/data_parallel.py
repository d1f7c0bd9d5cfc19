"""Losses and gradients of a batch, computed by threads that share its examples.

Most products of a small model are too small for several cores: they wait for each other at the end of every one.
So each thread takes some of the examples, computes alone, and they meet once in a step, when their gradients are
added. On two cores that is about a tenth faster, and another busy program slows it much less.

A thread lays its examples into rows of about `ROW_TOKENS` tokens, so that memory is bounded by the longest one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from openai_local.training.lora import AnswerLoss, Dropped, LoraModel, pack, rows
from openai_local.training.metrics import Classes, Score
from openai_local.training.tokenisation import Example

KNOWN = 0.95
"""The probability that every token of an answer needs for the example not to be learned from the next time."""
T = TypeVar("T")


class DataParallel:
    """A model and the threads that work with it, each with its share of the cores."""

    def __init__(self, model: LoraModel, prompt_weight: float, most: int, check: Callable[[], None]) -> None:
        """`check` is called before each row, and may raise an error that ends the work.

        There are at most `most` threads, and no more than cores; a GPU gets one, as it shares work itself.
        """
        self.model, self.prompt_weight, self.check = model, prompt_weight, check
        self.known: dict[int, bool] = {}
        """By an example's `id`, whether every token of its answer had at least `KNOWN` when it was last seen."""
        cores = torch.get_num_threads()
        self.size = max(1, min(most, cores)) if model.device.type == "cpu" else 1
        share = max(1, cores // self.size)
        self._pool = ThreadPoolExecutor(self.size, "trainer", initializer=lambda: torch.set_num_threads(share))

    def map(
        self,
        function: Callable[[list[Example]], T],
        examples: Sequence[Example],
        work: Callable[[Example], int] = lambda example: len(example.tokens),
    ) -> list[T]:
        """Call `function` with each thread's share of `examples`, and return what it returns.

        Who gets what depends on the examples' lengths only, so the same step always gives the same numbers. An
        error of one thread is raised when all are done.
        """
        futures = [self._pool.submit(function, share) for share in shares(examples, self.size, work)]
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
        """How well a batch was said, and the gradients of its loss; none if all of it is known.

        Examples that were known the last time take part in the forward pass only. What is `dropped`
        of the others is not attended to (`pack`).
        """
        total = sum(example.weight(self.prompt_weight) for example in batch)
        return _added(self.map(lambda share: _added(self._parts(share, total, dropped)), batch, self._work))

    def _work(self, example: Example) -> int:
        return len(example.tokens) * (1 if self.known.get(id(example)) else 2)

    def _parts(
        self, share: list[Example], total: float, dropped: Dropped | None
    ) -> Iterator[tuple[Score, list[Tensor]]]:
        known = [example for example in share if self.known.get(id(example))]
        if known:
            yield self._measure(known, total), []
        if rest := [example for example in share if not self.known.get(id(example))]:
            yield from (self._learn(row, total, dropped) for row in rows(rest))

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
    def _measure(self, share: list[Example], total: float = 1.0) -> Score:
        return sum((self._forward(examples, total)[0] for examples in rows(share)), Score())

    def _forward(
        self, examples: list[Example], total: float, dropped: Dropped | None = None
    ) -> tuple[Score, Tensor]:
        self.check()
        row = pack(examples, self.model.device, self.prompt_weight, dropped)
        hidden = self.model.hidden(examples, row)
        loss, right, p = AnswerLoss.apply(hidden, row.targets, row.weights, self.model.head, total)
        answers = row.owners >= 0
        wrong = row.owners[answers & ~right].unique()
        unsure = {*row.owners[answers & (p < KNOWN)].tolist()}
        self.known |= {id(example): number not in unsure for number, example in enumerate(examples)}
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
    score, gradients = Score(), list[Tensor]()
    for other, more in parts:
        score += other
        if gradients and more:
            torch._foreach_add_(gradients, more)
        else:
            gradients = gradients or more
    return score, gradients


def shares(examples: Sequence[Example], count: int, work: Callable[[Example], int]) -> list[list[Example]]:
    """Deal examples out, the longest first, each to who has the fewest tokens so far.

    There are at most `count` lists, none empty.
    """
    hands: list[list[Example]] = [[] for _ in range(count)]
    works = [0] * count
    for example in sorted(examples, key=work, reverse=True):
        least = works.index(min(works))
        hands[least].append(example)
        works[least] += work(example)
    return [hand for hand in hands if hand]
