"""How well a model says what it should: sums of losses and hits, classification metrics, the table of results.

Classification metrics are those that the fine-tunes of 2022 could have. Each different completion is a class. The
model chooses by the first token in which the classes differ: its probability for each class's token there, among
those tokens, is the probability of the class.

Left out: classes of which two share that token. They are refused.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from openai_local.home import write_whole
from openai_local.training.dataset import DataError
from openai_local.training.tokenisation import Encoder, Example


@dataclass
class Score:
    """Sums over examples."""

    loss: float = 0.0  # weighted nats
    weight: float = 0.0  # the weights' sum; 1 for each token of an answer
    right: int = 0  # tokens of answers that the model found likeliest
    tokens: int = 0  # tokens of answers in all
    exact: int = 0  # examples whose answer was right in every token
    examples: int = 0  # examples in all

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

    def named(self, kind: str) -> dict[str, float]:
        """Under the names of OpenAI's metrics; `kind` is ``train``, ``valid`` or ``full_valid``."""
        return {f"{kind}_loss": round(self.mean_loss, 5), f"{kind}_mean_token_accuracy": round(self.accuracy, 5)}

    def columns(self, kind: str) -> dict[str, float]:
        """Under the names in a row of the journal."""
        return {
            f"{kind}_loss": self.mean_loss,
            f"{kind}_accuracy": self.accuracy,
            f"{kind}_sequence_accuracy": self.sequence_accuracy,
        }


@dataclass(frozen=True)
class Classes:
    """The classes of a data set."""

    answers: tuple[tuple[int, ...], ...]  # each class's tokens
    place: int  # how many tokens all of them begin with in common
    positive: int | None  # the number of the positive class; None with more than two
    betas: tuple[float, ...]  # of the F-scores for the positive class

    @classmethod
    def find(
        cls,
        examples: Sequence[Example],
        encoder: Encoder,
        *,
        n_classes: int | None = None,
        positive_class: str | None = None,
        betas: Sequence[float] = (),
    ) -> Classes:
        """Look for the classes in all examples, training and validation.

        The job says how many they are, or which is the positive one of two. Raises `DataError` if they are not as
        many as was said, or can't be told apart by one token.
        """
        answers = tuple(sorted({example.answer for example in examples}))
        expected = n_classes or 2
        if len(answers) != expected:
            message = f"The files have {len(answers)} different completions, not {expected} classes."
            raise DataError(message, code="invalid_n_classes", param="classification_n_classes")
        columns = enumerate(zip(*answers, strict=False))
        place = next((i for i, column in columns if len(set(column)) > 1), None)
        if any(example.counts[0] for example in examples):
            raise DataError("An empty prompt can't be told apart from another.")
        if place is None or len({answer[place] for answer in answers}) < len(answers):
            message = "Two classes begin with the same token. Choose names that differ at once, such as 1, 2, 3."
            raise DataError(message, code="invalid_classes", param="compute_classification_metrics")
        positive = None
        if positive_class is not None:
            texts = [encoder.tokenizer.decode(list(answer)).strip() for answer in answers]
            if positive_class.strip() not in texts:
                message = f"No completion is {positive_class!r}; there are {', '.join(map(repr, texts))}."
                param = "classification_positive_class"
                raise DataError(message, code="invalid_positive_class", param=param)
            positive = texts.index(positive_class.strip())
        return cls(answers, place, positive, tuple(dict.fromkeys([1.0, *map(float, betas)])))

    @property
    def tokens(self) -> list[int]:
        """The token that tells each class."""
        return [answer[self.place] for answer in self.answers]

    def position(self, example: Example) -> int:
        """Where in an example that token stands."""
        return example.counts.index(True) + self.place

    def metrics(self, examples: Sequence[Example], probabilities: np.ndarray) -> dict[str, float]:
        """The metrics under the names of 2022.

        The examples have the answers that are true, and the probabilities of each class are of the shape
        (examples, classes).
        """
        truth = np.array([self.answers.index(example.answer) for example in examples])
        if self.positive is None:
            found = _multiclass(truth, probabilities)
        else:
            found = _binary(truth == self.positive, probabilities[:, self.positive], self.betas)
        return {f"classification/{name}": float(value) for name, value in found.items()}


def _multiclass(truth: np.ndarray, probabilities: np.ndarray) -> dict[str, Any]:
    said = probabilities.argmax(axis=1)
    shares = [(truth == c).mean() * _f(said == c, truth == c, 1.0) for c in range(probabilities.shape[1])]
    return {"accuracy": (said == truth).mean(), "weighted_f1_score": sum(shares)}


def _binary(truth: np.ndarray, scores: np.ndarray, betas: Sequence[float]) -> dict[str, Any]:
    said = scores > 0.5
    hits = (said & truth).sum()
    found = {
        "accuracy": (said == truth).mean(),
        "precision": hits / max(1, said.sum()),
        "recall": hits / max(1, truth.sum()),
    }
    if truth.any() and not truth.all():  # else these two say nothing
        found |= {"auroc": _auroc(truth, scores), "auprc": _auprc(truth, scores)}
    return found | {f"f{beta}": _f(said, truth, beta) for beta in betas}


def _f(said: np.ndarray, truth: np.ndarray, beta: float) -> float:
    """F-beta (C. J. van Rijsbergen, 1979): (1 + β²)·hits / ((1 + β²)·hits + β²·missed + false alarms)."""
    hits, missed, alarms = (said & truth).sum(), (~said & truth).sum(), (said & ~truth).sum()
    return (1 + beta**2) * hits / max(1e-9, (1 + beta**2) * hits + beta**2 * missed + alarms)


def _auroc(truth: np.ndarray, scores: np.ndarray) -> float:
    """The share of pairs (true, false) in which the true one has the higher score; a tie counts half."""
    difference = scores[truth][:, None] - scores[~truth][None, :]
    return float((np.sign(difference) + 1).mean() / 2)


def _auprc(truth: np.ndarray, scores: np.ndarray) -> float:
    """Average precision: the sum of precision at each threshold times the recall that the threshold adds."""
    total, area, reached = truth.sum(), 0.0, 0.0
    for threshold in sorted(set(scores.tolist()), reverse=True):
        above = scores >= threshold
        hits = (above & truth).sum()
        area += (hits / total - reached) * hits / above.sum()
        reached = hits / total
    return area


TODAY = {
    "step": "step",
    "train_loss": "train_loss",
    "train_accuracy": "train_accuracy",
    "valid_loss": "valid_loss",
    "valid_mean_token_accuracy": "valid_accuracy",
}
OF_2022 = {
    "step": "step",
    "elapsed_tokens": "elapsed_tokens",
    "elapsed_examples": "elapsed_examples",
    "training_loss": "train_loss",
    "training_sequence_accuracy": "train_sequence_accuracy",
    "training_token_accuracy": "train_accuracy",
    "validation_loss": "valid_loss",
    "validation_sequence_accuracy": "valid_sequence_accuracy",
    "validation_token_accuracy": "valid_accuracy",
}
"""Column: the name in a row of `Journal.rows`."""


def write_table(path: Path, rows: Iterable[dict[str, Any]], *, of_2022: bool) -> None:
    """Write the rows as CSV, whole or not at all. Several rows for one step are put together.

    In the form of 2022 a column is there only if some row has a value in it, as it was then, and the
    classification metrics follow at the end.
    """
    steps: dict[int, dict[str, Any]] = {}
    for row in rows:
        steps.setdefault(row["step"], {}).update(row)
    columns = dict(OF_2022 if of_2022 else TODAY)
    if of_2022:
        known = {name for row in steps.values() for name in row}
        metrics = (name for row in steps.values() for name in row if name.startswith("classification/"))
        columns = {title: name for title, name in columns.items() if name in known}
        columns |= {name: name for name in dict.fromkeys(metrics)}
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(columns)
    for row in steps.values():
        cells = (row.get(name) for name in columns.values())
        table.writerow([f"{cell:.5f}" if isinstance(cell, float) else cell for cell in cells])
    write_whole(path, text.getvalue())
