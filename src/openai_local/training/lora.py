"""A base model with LoRA on its upper layers, fed with packed examples.

Three things make training quick on a machine without a GPU:

- Several examples lie in one row, without padding; a mask keeps each from seeing its neighbours.
- Only the upper layers learn. What the layers below make of an example never changes, so it is computed when the
  example first comes, and kept (as long as there is room in `CACHE_BYTES`).
- Logits are computed only where a token counts, and their gradient only for words that matter (`AnswerLoss`).

Left out: architectures whose layers differ among themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from openai_local.models.adapter import Factors, write_adapter
from openai_local.training.directions import Directions, find, watched
from openai_local.training.network import Layer, Llama
from openai_local.training.tokenisation import Example

LEARNING = 1 / 3
"""The share of the layers that learns, from the top: 10 of 30."""
RANK = 128
SCALE = 2.0
CACHE_BYTES = 1 << 30
ROW_TOKENS = 512

Dropped = Mapping[int, Sequence[bool]]
"""By an example's `id`, whether each of its tokens is dropped."""


@dataclass(frozen=True)
class Row:
    """Packed examples.

    `mask` is added to the attention's scores: 0 where one token may attend to another (an earlier one of its own
    example), else -∞.
    """

    ids: Tensor  # the tokens, shape (tokens,)
    positions: Tensor  # of each token in its own example, shape (tokens,)
    mask: Tensor  # shape (1, 1, tokens, tokens)
    places: Tensor  # the positions whose next token counts, shape (targets,)
    targets: Tensor  # those next tokens, shape (targets,)
    weights: Tensor  # of each target in the loss, shape (targets,)
    owners: Tensor  # the number of each target's example, or -1 for a token of a prompt, shape (targets,)


def pack(
    examples: Sequence[Example],
    device: torch.device,
    prompt_weight: float = 0.0,
    dropped: Dropped | None = None,
) -> Row:
    """Lay examples one behind the other. With a `prompt_weight`, the prompts' tokens count too, with it.

    No other token attends to one that is `dropped`.
    """
    lengths = torch.tensor([len(example.tokens) for example in examples])
    owner = torch.repeat_interleave(torch.arange(len(examples)), lengths)
    ids = torch.tensor([token for example in examples for token in example.tokens])
    positions = torch.cat([torch.arange(int(length)) for length in lengths])
    seen = (owner[:, None] == owner[None, :]).tril()
    if dropped:
        seen &= ~torch.tensor([own for example in examples for own in dropped[id(example)]])
        seen |= torch.eye(len(ids), dtype=torch.bool)  # each sees itself
    mask = torch.zeros(len(ids), len(ids)).masked_fill(~seen, -torch.inf)
    answers = torch.tensor([counts for example in examples for counts in example.counts])
    weights = torch.where(answers, 1.0, prompt_weight)
    weights[positions == 0] = 0.0  # nothing stands before the first token of an example
    targets = weights.nonzero()[:, 0]
    owners = torch.where(answers, owner, -1)[targets]
    row = (ids, positions, mask[None, None], targets - 1, ids[targets], weights[targets], owners)
    return Row(*(tensor.to(device) for tensor in row))


def rows(examples: Sequence[Example]) -> Iterator[list[Example]]:
    """Cut examples into rows of about `ROW_TOKENS` tokens."""
    row: list[Example] = []
    filled = 0
    for example in examples:
        if row and filled + len(example.tokens) > ROW_TOKENS:
            yield row
            row, filled = [], 0
        row.append(example)
        filled += len(example.tokens)
    yield row


class LoraModel:
    """The model in training."""

    def __init__(self, folder: Path, *, device: torch.device, dtype: torch.dtype) -> None:
        """Load the base from its Hugging Face folder and put LoRA on its upper layers."""
        self.folder, self.device = folder, device
        self.llama = Llama(folder, device=device, dtype=dtype)
        layers, self.head = self.llama.layers, self.llama.head
        first = len(layers) - max(1, round(len(layers) * LEARNING))
        self.frozen, self._learning = layers[:first], layers[first:]
        linears = [linear for layer in self._learning for linear in layer.linear.values()]
        self.rank = min(RANK, *(linear.weight.shape[1] for linear in linears))
        self.directions = [Directions.none(self.rank, linear.weight.shape[1], device) for linear in linears]
        self.parameters = [
            linear.add_lora(one.a, SCALE) for linear, one in zip(linears, self.directions, strict=True)
        ]
        self._kept: dict[int, Tensor] = {}
        self._room = CACHE_BYTES

    @torch.no_grad()
    def aim(
        self, examples: Sequence[Example], general: Sequence[Example], check: Callable[[], None] = lambda: None
    ) -> None:
        """Find the directions in which the layers shall learn, one after the other. Only the base is asked.

        `check` is called before each row in each layer, and may raise an error that ends the work.
        """
        texts = [[self._begin(row) for row in rows(kind)] for kind in (examples, general)]
        found = []
        for layer in self._learning:
            moments = []
            with watched(layer) as linears:
                for kind in texts:
                    for number, (row, states) in enumerate(kind):
                        check()
                        kind[number] = row, layer(states, row.mask, self.llama.angles(row.positions))
                    moments.append([linear.mean() for linear in linears])
            found += [find(task, usual, self.rank) for task, usual in zip(*moments, strict=True)]
        for own, one in zip(self.directions, found, strict=True):
            own.become(one)

    def _begin(self, examples: Sequence[Example]) -> tuple[Row, Tensor]:
        return pack(examples, self.device), self.lower(examples)

    def hidden(self, examples: Sequence[Example], row: Row) -> Tensor:
        """The last hidden states at `row.places`, normalised, ready for the head: (targets, width)."""
        *most, last = self._learning
        states = self._pass(self.lower(examples), row, most)
        return self.llama.normalise(last(states, row.mask, self.llama.angles(row.positions), row.places))

    @torch.no_grad()
    def lower(self, examples: Sequence[Example]) -> Tensor:
        """What the frozen layers make of the examples: (tokens, width)."""
        for example in examples:
            size = len(example.tokens) * self.head.shape[1] * self.head.element_size()
            if id(example) not in self._kept and size <= self._room:
                self._room -= size
                # Alone, so that the numbers do not depend on whom it came with first.
                self._kept[id(example)] = self._below(pack([example], self.device))
        found = {id(example): self._kept[id(example)] for example in examples if id(example) in self._kept}
        if rest := [example for example in examples if id(example) not in found]:
            states = self._below(pack(rest, self.device)).split([len(example.tokens) for example in rest])
            found |= {id(example): piece for example, piece in zip(rest, states, strict=True)}
        return torch.cat([found[id(example)] for example in examples])

    def know(self, examples: Sequence[Example], states: Tensor) -> None:
        """Take what the frozen layers make of examples, one behind the other, as somebody has computed it."""
        pieces = states.to(self.device).split([len(example.tokens) for example in examples])
        self._kept |= {id(example): piece for example, piece in zip(examples, pieces, strict=True)}
        self._room -= states.nbytes

    def _below(self, row: Row) -> Tensor:
        return self._pass(self.llama.embedding[row.ids], row, self.frozen)

    def _pass(self, states: Tensor, row: Row, layers: Iterable[Layer]) -> Tensor:
        angles = self.llama.angles(row.positions)
        for layer in layers:
            states = layer(states, row.mask, angles)
        return states

    def write_adapter(self, path: Path) -> None:
        """Write what was learned as a GGUF adapter."""
        write_adapter(path, self.factors(), self.llama.config, SCALE * self.rank)

    def factors(self) -> dict[tuple[int, str], Factors]:
        """The LoRA matrices by layer number and module, for `adapter.write_adapter`."""
        return {
            (number, name): Factors(*(matrix.cpu().numpy() for matrix in pair))
            for number, layer in enumerate(self._learning, start=len(self.frozen))
            for name, pair in layer.factors().items()
        }


class AnswerLoss(torch.autograd.Function):
    """Cross-entropy over the whole vocabulary, with a gradient for the words that matter.

    The loss is exact. Its gradient with respect to the hidden states is (p - y)·W, a product with every word of
    the vocabulary; words whose probability is below `NEGLIGIBLE` at every place of the row are left out of it.
    As the model learns, that is nearly all of them, and the backward half of the head costs almost nothing.
    """

    NEGLIGIBLE = 1e-3

    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, targets: Tensor, weights: Tensor, head: Tensor, total: float
    ) -> tuple[Tensor, Tensor]:
        """Return the weighted sum of -log p(target) / `total`, and whether each target was the likeliest word."""
        p = torch.softmax((hidden @ head.T).float(), dim=-1)
        rows = torch.arange(len(targets), device=targets.device)
        found = p[rows, targets]
        loss = -(weights * found.clamp_min(1e-30).log()).sum() / total
        right = found >= p.amax(dim=-1)
        matters = p.amax(dim=0) > AnswerLoss.NEGLIGIBLE
        matters[targets] = True
        words = matters.nonzero()[:, 0]
        p[rows, targets] -= 1.0
        gradient = (p[:, words] * weights[:, None]).to(head.dtype) @ head[words] / total
        ctx.save_for_backward(gradient)
        ctx.mark_non_differentiable(right)
        return loss, right

    @staticmethod
    def backward(ctx: Any, loss_gradient: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        """Pass on what `forward` computed."""
        (gradient,) = ctx.saved_tensors
        return gradient * loss_gradient.to(gradient.dtype), None, None, None, None


def choose_device() -> torch.device:
    """The GPU or Apple's MPS where there is one, otherwise the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def choose_dtype(device: torch.device) -> torch.dtype:
    """bfloat16 on a GPU that has it, otherwise float32.

    Some processors have units for bfloat16 (AMX). Single products are three to six times as fast there, but a
    whole step is not. And it is not measured before each training which is faster: a job that goes on later must
    get the same numbers.
    """
    return torch.bfloat16 if device.type == "cuda" and torch.cuda.is_bf16_supported() else torch.float32
