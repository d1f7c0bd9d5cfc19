"""What a job is trained with, and how each ``auto`` is settled. Needs no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

EXAMPLE_TOKENS = 2048
"""An example's length at which it is cut."""


@dataclass(frozen=True)
class Hyperparameters:
    """What a job is trained with, once every ``auto`` is settled."""

    n_epochs: int
    batch_size: int
    learning_rate_multiplier: float


def settle(n_epochs: Any, batch_size: Any, learning_rate_multiplier: Any, n_examples: int) -> Hyperparameters:
    """Replace each ``auto``.

    About 1,400 examples are seen in all (3 to 25 epochs), in twenty batches an epoch (of 1 to 16 examples):
    enough for a hundred questions and answers to be learned by heart.
    """

    def given(value: Any, auto: Any) -> Any:
        return auto if value == "auto" else value

    return Hyperparameters(
        n_epochs=given(n_epochs, min(25, max(3, round(1400 / n_examples)))),
        batch_size=given(batch_size, min(16, max(1, round(n_examples / 20)))),
        learning_rate_multiplier=given(learning_rate_multiplier, 1.0),
    )
