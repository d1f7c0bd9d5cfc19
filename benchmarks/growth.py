"""How training grows: time and memory by the number of examples, and by their length.

    .venv/bin/python benchmarks/growth.py [TURNS]

Each row is a training process as the service starts it, with the defaults, TURNS times in turn (two if nothing is
said). The examples are pieces of the Larger Catechism.

- By number: only the first STEPS steps are run; the first ones of any training, where the layers below those that
  learn are computed too. What a whole training takes is reckoned from that and from the pace of the second time.
- By length: two epochs of a few examples; the pace of the second is what all later ones have.
- The states that are kept grow with the tokens seen, up to a limit. The memory of a whole training is at most what
  was measured and what there was still room for.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
from pathlib import Path

from machine import spread, table, tell
from openai_local.home import default_cache
from openai_local.models.base_models import SMOLLM2
from openai_local.training.job_folder import settle
from openai_local.training.lora import CACHE_BYTES, choose_device, choose_dtype
from steps import Steps, apart, write_examples

NUMBERS, TOKENS, STEPS = (100, 1_000, 10_000), 48, 24
LENGTHS, FEW, BATCH = (64, 256, 1_024), 12, 4


def by_length(folder: Path, turns: int) -> dict[int, list[Steps]]:
    """Two epochs with examples of each length."""
    files = {length: write_examples(folder / f"{length}.jsonl", FEW, length) for length in LENGTHS}
    found: dict[int, list[Steps]] = {length: [] for length in LENGTHS}
    for turn in range(turns):
        for length, file in files.items():
            tell(f"turn {turn + 1}: {FEW} examples of {length} tokens")
            found[length].append(apart(file, 1_000, n_epochs=2, batch_size=BATCH))
    return found


def by_number(folder: Path, turns: int) -> dict[int, list[Steps]]:
    """The first steps with so many examples."""
    files = {number: write_examples(folder / f"{number}.jsonl", number, TOKENS) for number in NUMBERS}
    found: dict[int, list[Steps]] = {number: [] for number in NUMBERS}
    for turn in range(turns):
        for number, file in files.items():
            tell(f"turn {turn + 1}: {number} examples")
            found[number].append(apart(file, STEPS))
    return found


def length_rows(found: dict[int, list[Steps]]) -> list[list[str]]:
    """Rows of the table by length."""
    epoch = FEW // BATCH
    return [
        [
            f"{statistics.mean(run.tokens[-1] for run in runs) / 2 / FEW:,.0f}",
            spread([run.pace(1, epoch) for run in runs], 2),
            spread([run.pace(epoch, 2 * epoch) for run in runs], 2),
            spread([run.peak_mb for run in runs], 0),
        ]
        for runs in found.values()
    ]


def number_rows(found: dict[int, list[Steps]], again: float) -> list[list[str]]:
    """Rows of the table by number; `again` are the seconds for a thousand tokens that were seen before."""
    rows = []
    state = (
        choose_dtype(choose_device()).itemsize
        * json.loads((SMOLLM2.at(default_cache()).weights / "config.json").read_text())["hidden_size"]
    )
    for number, runs in found.items():
        chosen = settle("auto", "auto", "auto", number)
        seen = min(STEPS, number // chosen.batch_size)
        once = statistics.median(run.pace(1, seen) for run in runs)
        thousands = runs[0].tokens[seen - 1] / (seen * chosen.batch_size) * number / 1000
        minutes = thousands * (once + (chosen.n_epochs - 1) * again) / 60
        kept = (
            min(CACHE_BYTES, thousands * 1000 * state) - min(CACHE_BYTES, runs[0].tokens[seen - 1] * state)
        ) / 2**20
        peak = statistics.median(run.peak_mb for run in runs)
        rows.append(
            [
                f"{number:,}",
                spread([run.settled for run in runs]),
                spread([run.pace(1, seen) for run in runs], 2),
                spread([run.peak_mb for run in runs], 0),
                f"{peak + kept:,.0f}",
                f"{chosen.n_epochs}",
                f"{minutes:,.0f}",
            ]
        )
    return rows


def main() -> None:
    """Measure, and print both tables."""
    turns = int(sys.argv[1]) if len(sys.argv) > 1 else 2
    with tempfile.TemporaryDirectory() as folder:
        lengths, numbers = by_length(Path(folder), turns), by_number(Path(folder), turns)
    again = statistics.median(run.pace(FEW // BATCH, 2 * FEW // BATCH) for run in lengths[LENGTHS[0]])
    print(
        table(
            ["tokens each", "seconds for 1,000 tokens, the first time", "later", "peak memory, MB"],
            length_rows(lengths),
        )
    )
    print(f"\n{FEW} examples, batches of {BATCH}, two epochs.\n")
    headings = ["examples", "seconds until the data is read", "seconds for 1,000 tokens, the first time"]
    headings += [f"peak memory in {STEPS} steps, MB", "at most, whole", "epochs", "minutes in all (reckoned)"]
    print(table(headings, number_rows(numbers, again)))
    print(
        f"\nAbout {TOKENS} tokens each. Only {STEPS} steps were run. The last column reckons the first epoch with "
        f"the pace of these, and the others with {again:.2f} s for 1,000 tokens, the pace of {LENGTHS[0]} tokens "
        "each. "
        f"Kept states take {CACHE_BYTES / 2**20:,.0f} MB at most; those that do not fit are computed each time."
    )


if __name__ == "__main__":
    main()
