"""How long examples are in tokens, and what training on them will take.

Tokens are counted with the tokenizer of the base model on this machine, which the command ``openai-local`` names.
In a large table a sample is counted, but every example that might be over the model's window is.
"""

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from openai_data.column import Column
from openai_data.local_cli import output
from openai_data.table import Table

SAMPLE = 4_000
_CHARACTERS_PER_TOKEN = 4.0
_AT_ONCE = 500_000
"""So many characters are tokenised together: what the tokenizer makes of one takes a hundred bytes."""
_BARS, _WIDTH = 8, 30


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
    too_long: Sequence[int] = ()

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

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        from openai_figures.charts import histogram  # only who looks at it needs a picture

        picture = histogram(self.histogram(), self._counted(), "tokens in an example")
        return {"image/svg+xml": picture, "text/plain": repr(self)}

    def __repr__(self) -> str:
        """The bars as text."""
        return "\n".join([f"tokens in an example, and how many {self._counted()} have so many:", *self.bars()])

    def _counted(self) -> str:
        return "examples" if self.exact else f"of {len(self.counted):,} examples"


def measure(table: Table, prompts: Column, completions: Column, about: Machine) -> Lengths:
    """Count the tokens of a table's examples with the model's tokenizer, or estimate them if there is none."""
    characters = prompts.lengths + completions.lengths
    if about.tokenizer is None:
        counted = np.ceil(characters / _CHARACTERS_PER_TOKEN).astype(int)
        return Lengths(counted, int(counted.sum()), False)
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(about.tokenizer)

    def text(position: int) -> str:
        return f"{table.prompts[position]} {table.completions[position].lstrip(' ')}"

    def count(positions: np.ndarray) -> np.ndarray:
        """The tokens of some examples, with the one that ends each."""
        ends = np.diff(characters[positions].cumsum() // _AT_ONCE).nonzero()[0] + 1
        batches = (tokenizer.encode_batch_fast(list(map(text, some))) for some in np.split(positions, ends))
        return np.array([len(found) + 1 for batch in batches for found in batch], dtype=int)

    positions = range(len(table))
    exact = len(table) <= SAMPLE
    chosen = np.array(positions if exact else random.Random(0).sample(positions, SAMPLE))  # the same each time
    counted = count(chosen)
    total = round(float(counted.sum()) * (int(characters.sum()) / max(1, int(characters[chosen].sum()))))
    # A token has at least one byte, a character at most four.
    suspects = [at for at in (characters * 4 > about.window).nonzero()[0] if len(text(at).encode()) > about.window]
    long = np.array(suspects, dtype=int)
    return Lengths(counted, total, exact, long[count(long) > about.window].tolist())
