"""How long examples are in tokens, and what training on them will take.

Tokens are counted with the tokenizer of the base model on this machine, which the command ``openai-local`` names.
In a large table a sample is counted, but every example that might be over the model's window is.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np

from openai_data.column import Column
from openai_data.finding import Finding
from openai_data.local_command import output
from openai_data.table import Table
from openai_figures import Figure
from openai_figures.histogram import histogram

SAMPLE = 4_000
PRICES = {"gpt-4.1-nano": 1.50, "gpt-4.1-mini": 5.00, "gpt-4o-mini": 3.00, "gpt-4.1": 25.00}
"""US dollars per million trained tokens, from OpenAI's page of prices (developers.openai.com/api/docs/pricing)."""
PRICES_OF = "2026-08-05"
EPOCHS_AT_OPENAI = 3
_CHARACTERS_PER_TOKEN = 4.0
_AT_ONCE = 500_000
"""So many characters are tokenised together: what the tokenizer makes of one takes a hundred bytes."""
_BARS = 8
_WIDTH = 30


@dataclass(frozen=True)
class Machine:
    """What ``openai-local estimate`` says of training on this machine."""

    base: str
    tokenizer: str | None
    window: int
    epochs: int
    tokens_per_second: float
    start_seconds: float
    measured: str

    def seconds(self, tokens: int, epochs: int | None = None) -> float:
        """How long training takes: `tokens` in all examples together, each seen `epochs` times."""
        return self.start_seconds + tokens * (epochs or self.epochs) / self.tokens_per_second


@cache
def machine(examples: int) -> Machine:
    """Ask ``openai-local`` what training on so many examples would be like."""
    return Machine(**json.loads(output("estimate", "--examples", str(examples), "--json")))


@dataclass(frozen=True)
class Lengths:
    """The examples' lengths in tokens. A notebook shows them as a histogram.

    Args:
        counted: tokens of each example that was counted.
        total: tokens of all examples; estimated if not all were counted.
        exact: whether all were counted, with the model's own tokenizer.
        too_long: the positions of examples over the model's window.
    """

    counted: np.ndarray
    total: int
    exact: bool
    too_long: list[int] = field(default_factory=list)

    def histogram(self) -> list[tuple[int, int, int]]:
        """Up to eight ranges of equal width: from, up to and including, how many of those counted."""
        low, high = int(self.counted.min()), int(self.counted.max())
        width = max(1, -(-(high - low + 1) // _BARS))
        edges = range(low, high + 1, width)
        return [(e, e + width - 1, int(((self.counted >= e) & (self.counted < e + width)).sum())) for e in edges]

    def bars(self) -> Iterator[str]:
        """The histogram as lines of text."""
        ranges = self.histogram()
        most = max(count for *_, count in ranges)
        for low, high, count in ranges:
            yield f"{low:>6,} to {high:>6,} |{'█' * round(_WIDTH * count / most):<{_WIDTH}}| {count:,}"

    def figure(self) -> Figure:
        """The histogram as a picture, and with bars of text."""
        counted = "examples" if self.exact else f"of {len(self.counted):,} examples"
        text = "\n".join([f"tokens in an example, and how many {counted} have so many:", *self.bars()])
        return Figure(text, histogram(self.histogram(), counted, "tokens in an example"))

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        return self.figure().bundle()

    def __repr__(self) -> str:
        """The bars as text."""
        return repr(self.figure())


def measure(table: Table, prompts: Column, completions: Column, about: Machine) -> Lengths:
    """Count tokens.

    Args:
        table: not empty.
        prompts: its prompts.
        completions: its completions.
        about: the model.
    """
    characters = prompts.lengths + completions.lengths
    chosen: Sequence[int] = range(len(table))
    if len(table) > SAMPLE:
        chosen = random.Random(0).sample(range(len(table)), SAMPLE)  # the same rows each time
    if about.tokenizer is None:
        counted = np.ceil(characters / _CHARACTERS_PER_TOKEN).astype(int)
        return Lengths(counted, int(counted.sum()), False)
    count = _Counter(table, about.tokenizer)
    counted = count(chosen)
    total = round(float(counted.sum()) * (int(characters.sum()) / max(1, int(characters[chosen].sum()))))
    # A token has at least one byte, a character at most four.
    suspects = (characters * 4 > about.window).nonzero()[0].tolist()
    suspects = [position for position in suspects if count.bytes(position) > about.window]
    too_long = [p for p, n in zip(suspects, count(suspects), strict=True) if n > about.window] if suspects else []
    return Lengths(counted, total, len(table) <= SAMPLE, too_long)


class _Counter:
    """Counts the tokens of examples: prompt, completion, and the sign that ends it."""

    def __init__(self, table: Table, tokenizer: str) -> None:
        from tokenizers import Tokenizer

        self.table, self.tokenizer = table, Tokenizer.from_file(tokenizer)

    def _text(self, position: int) -> str:
        return f"{self.table.prompts[position]} {self.table.completions[position].lstrip(' ')}"

    def bytes(self, position: int) -> int:
        return len(self._text(position).encode())

    def __call__(self, positions: Any) -> np.ndarray:
        counts: list[int] = []
        for texts in self._batches(positions):
            counts += [len(found.ids) + 1 for found in self.tokenizer.encode_batch_fast(texts)]
        return np.array(counts)

    def _batches(self, positions: Any) -> Iterator[list[str]]:
        texts: list[str] = []
        characters = 0
        for position in positions:
            texts.append(self._text(position))
            characters += len(texts[-1])
            if characters >= _AT_ONCE:
                yield texts
                texts, characters = [], 0
        if texts:
            yield texts


def over_the_window(table: Table, lengths: Lengths, about: Machine) -> Iterator[Finding]:
    """Examples that the model can't take whole."""
    if lengths.too_long:
        count = len(lengths.too_long)
        what = f"{count} examples have more than {about.window:,} tokens. Training on this machine cuts them there"
        yield Finding("over_the_window", what, [table.numbers[position] for position in lengths.too_long])


def price(tokens: int) -> dict[str, float]:
    """What training would cost at OpenAI, in US dollars per model, for those who may still train there."""
    return {model: tokens * EPOCHS_AT_OPENAI * rate / 1_000_000 for model, rate in PRICES.items()}


def duration(seconds: float) -> str:
    """A duration in words, rounded as one would say it."""
    if seconds < 90:
        return f"{max(5, round(seconds / 5) * 5)} seconds"
    if seconds < 90 * 60:
        return f"{round(seconds / 60)} minutes"
    return f"{round(seconds / 3600)} hours" if seconds < 48 * 3600 else f"{round(seconds / 86400)} days"
