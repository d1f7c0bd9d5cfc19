"""How right a model is, asked in the environment of the peers: the same code for theirs and for ours.

    python measure.py WEIGHTS DATA [ADAPTER]

Loads the base in WEIGHTS, with the PEFT adapter in ADAPTER if there is one, and prints what `measure_all` finds,
as JSON. DATA holds ``training.json``, ``reworded.json`` and ``general.json``: lists of
``{"input_ids": …, "completion_mask": …}``.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch

Rows = list[dict[str, list[int]]]


def load(data: Path) -> dict[str, Rows]:
    """The sets of questions with their answers, as tokens."""
    return {name: json.loads((data / f"{name}.json").read_text()) for name in ("training", "reworded", "general")}


@torch.no_grad()
def measure(model: Any, rows: Rows) -> dict[str, float]:
    """How many answers are likeliest in every token, as greedy answers are, and the mean loss of a token."""
    exact, loss, tokens = 0, 0.0, 0
    for row in rows:
        ids = torch.tensor([row["input_ids"]], device=model.device)
        counts = torch.tensor(row["completion_mask"][1:]).bool()
        logits, targets = model(input_ids=ids).logits[0, :-1][counts].float(), ids[0, 1:][counts]
        exact += int((logits.argmax(-1) == targets).all())
        loss += float(torch.nn.functional.cross_entropy(logits, targets, reduction="sum"))
        tokens += len(targets)
    return {"exact": exact, "loss": loss / tokens}


def measure_all(model: Any, sets: dict[str, Rows]) -> dict[str, dict[str, float]]:
    """`measure` for each set."""
    model.eval()
    found = {name: measure(model, rows) for name, rows in sets.items()}
    model.train()
    return found


def main() -> None:
    """Measure one adapter, or the base."""
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    weights, data, *adapters = map(Path, sys.argv[1:])
    model = AutoModelForCausalLM.from_pretrained(weights, dtype=torch.float32)
    for adapter in adapters:
        model = PeftModel.from_pretrained(model, adapter)
    print(json.dumps(measure_all(model, load(data))))


if __name__ == "__main__":
    main()
