"""Text that a base model writes by itself: what it would say if nobody trained it.

Training spares what this text uses (`directions`). Half of it are plain texts, half are questions with answers:
given only the beginning of a user's turn, a chat model writes a question, and then answers it (Xu et al., 2024,
"Magpie"). It is written once, when a base is fetched or added, and kept beside its weights; so is what the layers
that never learn make of it.

All texts grow together, a token a step, each with the keys and values of the tokens before; a text whose next
token is given (of the template) takes that one.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from openai_local.home import arriving, write_whole
from openai_local.models.base_models import GENERAL_TEXT
from openai_local.training.lora import LoraModel, choose_dtype
from openai_local.training.network import Llama, Past
from openai_local.training.tokenisation import Encoder, Example

TEXTS = 40
QUESTION, WRITTEN = 24, 60  # tokens, at most: of a question, and of an answer or a plain text
TEMPERATURE = 0.7
SEED = 1648
_MARK = "\u2063question\u2063"
_STATES = "general_text.states"  # not *.safetensors: those are taken for weights when the folder is registered


def of(folder: Path, llama: Llama, encoder: Encoder) -> list[Example]:
    """The texts, written now if nobody has done it yet, and kept in `folder`, which is `Base.weights`."""
    path = folder / GENERAL_TEXT
    try:
        texts = [[int(token) for token in text] for text in json.loads(path.read_text(encoding="utf-8")) if text]
    except (OSError, ValueError, TypeError):  # nobody has, or somebody has spoiled it
        texts = []
    if not texts:
        lanes = [*_lanes(encoder)]
        grow(llama, lanes, encoder.end, TEMPERATURE)
        texts = [lane.tokens for lane in lanes]
        with contextlib.suppress(OSError):  # a folder that others keep: it is written for this job alone
            write_whole(path, json.dumps(texts))
    return [Example(text, [False] * len(text)) for text in texts]


def make(folder: Path) -> None:
    """Let the base of these weights write its texts, before any job needs them."""
    device = torch.device("cpu")
    model = LoraModel(folder, device=device, dtype=choose_dtype(device))
    recall(model, of(folder, model.llama, Encoder(folder)))


def recall(model: LoraModel, texts: Sequence[Example]) -> None:
    """Give a model what its frozen layers make of the texts, found now if nobody has, and kept beside it."""
    path, mark = model.folder / _STATES, _mark(model, texts)
    if (states := _kept(path, mark)) is not None:
        model.know(texts, states)
        return
    states = torch.cat([model.lower([text]) for text in texts])
    with contextlib.suppress(OSError, SafetensorError), arriving(path, f".{_STATES}.{os.getpid()}.part") as part:
        save_file({"states": states.cpu()}, part, metadata={"of": mark})


def _kept(path: Path, mark: str) -> Tensor | None:
    try:
        with safe_open(path, framework="pt") as file:
            return file.get_tensor("states") if file.metadata()["of"] == mark else None
    except (OSError, SafetensorError, TypeError, KeyError):  # not there, or spoiled
        return None


def _mark(model: LoraModel, texts: Sequence[Example]) -> str:
    """What the states hang on. Another kind of processor adds up in another order: it finds its own."""
    machine = [model.device.type, str(model.head.dtype), torch.backends.cpu.get_cpu_capability()]
    facts = [torch.__version__, *machine, len(model.frozen), [text.tokens for text in texts]]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


@dataclass
class Lane:
    """One text that is being written."""

    given: list[int]  # the tokens that come next, whatever the model would say
    turn: Sequence[int] | None  # what comes between question and answer; None in an answer or a plain text
    room: int  # how many tokens it may still write
    tokens: list[int] = field(default_factory=list)

    def take(self, said: int, end: int) -> int:
        """The next token, which is the one that was `said` unless another is given."""
        if self.given:
            token = self.given.pop(0)
        else:
            token, self.room = said, self.room - 1
            if self.turn is not None and (token == end or self.room <= 0):
                token, *self.given = self.turn
                self.turn, self.room = None, WRITTEN
            elif token == end:
                self.room = 0
        self.tokens.append(token)
        return token

    @property
    def over(self) -> bool:
        """Whether nothing more is to be written."""
        return not self.given and self.room <= 0


@torch.no_grad()
def grow(llama: Llama, lanes: Sequence[Lane], end: int, temperature: float) -> None:
    """Let a base write all texts to their ends, always the same on one kind of machine.

    With the temperature 0 each token is the likeliest; otherwise it is drawn, with `SEED`. `end` is the token
    that ends a text.
    """
    chance = torch.Generator().manual_seed(SEED)
    pasts = [Past() for _ in llama.layers]
    said, position = [end] * len(lanes), 0
    while not all(lane.over for lane in lanes):
        tokens = [end if lane.over else lane.take(own, end) for lane, own in zip(lanes, said, strict=True)]
        logits = _logits(llama, torch.tensor(tokens, device=llama.embedding.device), position, pasts)
        if temperature:
            weights = torch.softmax(logits / temperature, -1)
            said = torch.multinomial(weights, 1, generator=chance)[:, 0].tolist()
        else:
            said = logits.argmax(-1).tolist()
        position += 1


def _logits(llama: Llama, tokens: Tensor, position: int, pasts: list[Past]) -> Tensor:
    """For one more token of each text, what comes next: (texts, vocabulary)."""
    angles = llama.angles(torch.tensor([position], device=tokens.device))
    states = llama.embedding[tokens]
    for layer, past in zip(llama.layers, pasts, strict=True):
        states = layer(states, None, angles, past=past)
    return (llama.normalise(states) @ llama.head.T).float().cpu()


def _lanes(encoder: Encoder) -> Iterator[Lane]:
    opening = _opening(encoder)
    for number in range(TEXTS):
        if opening and number % 2:
            before, turn = opening
            yield Lane([*encoder.start, *before], turn, QUESTION)
        else:
            yield Lane([*(encoder.start or [encoder.end])], None, WRITTEN)


def _opening(encoder: Encoder) -> tuple[list[int], list[int]] | None:
    """What a chat template writes before a user's words and between them and the answer, or None without one."""
    if encoder.template is None:
        return None
    message: dict[str, Any] = {"role": "user", "content": _MARK}
    try:
        whole = encoder.template.render(messages=[message], add_generation_prompt=True)
        before, after = whole.split(_MARK)
    except Exception:  # a template can do whatever Python can't
        return None
    turn = encoder.tokens(after)
    return (encoder.tokens(before), turn) if turn else None
