"""Unpacking the base model for training, next to transformers: seconds and memory.

    .venv/bin/python benchmarks/conversion.py [TURNS]

Both get the same GGUF file and make of it the folder that training loads. Each is a process of its own, in turn,
TURNS times (three if nothing is said). At last both folders' weights are compared.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from pathlib import Path

from machine import measured, spread, table, tell
from openai_local.home import default_cache
from openai_local.models.base_models import SMOLLM2

HERE = """
import sys
from pathlib import Path
from openai_local.models.conversion import convert
convert(Path(sys.argv[1]), Path(sys.argv[2]))
"""
TRANSFORMERS = """
import sys
from pathlib import Path
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
path = Path(sys.argv[1])
model = AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=path.name, dtype=torch.float16)
fresh = AutoModelForCausalLM.from_config(model.config, dtype=torch.float16)  # it refuses to save the other
fresh.load_state_dict(model.state_dict())
del fresh.config.quantization_config
fresh.save_pretrained(sys.argv[2])
AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name).save_pretrained(sys.argv[2])
"""


def difference(one: Path, other: Path) -> float:
    """The greatest difference of any two weights."""
    from safetensors.torch import load_file

    ours, theirs = (load_file(folder / "model.safetensors") for folder in (one, other))
    return max(float((ours[name].float() - theirs[name].float()).abs().max()) for name in ours)


def main() -> None:
    """Measure, and print a table."""
    turns = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    source = str(SMOLLM2.at(default_cache()).gguf)
    found: dict[str, list[tuple[float, float]]] = {"here": [], "transformers": []}
    with tempfile.TemporaryDirectory() as folder:
        for turn in range(turns):
            for name, program in (("here", HERE), ("transformers", TRANSFORMERS)):
                tell(f"turn {turn + 1}: {name}")
                target = str(Path(folder) / f"{name}-{turn}")
                found[name].append(measured([sys.executable, "-c", program, source, target], stdout=2))
        apart = difference(*(Path(folder) / f"{name}-0" for name in found))
    (seconds, memory), (their_seconds, their_memory) = (zip(*found[name], strict=True) for name in found)
    ratio = statistics.median(their_seconds) / statistics.median(seconds)
    rows = [
        ["seconds", spread(seconds), spread(their_seconds), f"{ratio:.1f}"],
        ["memory, MB", spread(memory, 0), spread(their_memory, 0), ""],
    ]
    print(table(["", "here", "transformers", "transformers / here"], rows))
    print(f"\nThe weights differ by {apart:.1g} at most.")


if __name__ == "__main__":
    main()
