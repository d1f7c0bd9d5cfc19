"""How well a model says what it should: sums that add up over rows, batches and epochs."""

from __future__ import annotations

from dataclasses import astuple, dataclass


@dataclass
class Score:
    """Sums over examples.

    Args:
        loss: weighted nats.
        weight: the weights' sum; 1 for each token of an answer.
        right: tokens of answers that the model found likeliest.
        tokens: tokens of answers in all.
        exact: examples whose answer was right in every token.
        examples: examples in all.
    """

    loss: float = 0.0
    weight: float = 0.0
    right: int = 0
    tokens: int = 0
    exact: int = 0
    examples: int = 0

    def __add__(self, other: Score) -> Score:
        """Both together."""
        return Score(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))

    @property
    def mean_loss(self) -> float:
        """Nats per token."""
        return self.loss / max(self.weight, 1e-9)

    @property
    def accuracy(self) -> float:
        """Share of the answers' tokens that were the likeliest, 0 to 1."""
        return self.right / max(1, self.tokens)

    @property
    def sequence_accuracy(self) -> float:
        """Share of examples whose whole answer was the likeliest, token by token, 0 to 1."""
        return self.exact / max(1, self.examples)
