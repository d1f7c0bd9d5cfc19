"""Training on more and more threads, and how a notebook reacts next to it.

    .venv/bin/python benchmarks/threads.py [TURNS]

- Steps a second: the same training process with 1, 2, 4 … threads up to the number of cores, TURNS times in turn
  (three if nothing is said). Counted are the steps after the first epoch.
- Reactions: a real kernel (ipykernel) is sent small cells, as JupyterLab would, while nothing else runs and while
  a job trains, in turn. Measured is the time from sending to the kernel's answer.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

from jupyter_client.blocking import BlockingKernelClient
from jupyter_client.manager import start_new_kernel

from machine import spread, table, tell
from steps import apart, in_training, write_examples

EXAMPLES, TOKENS, BATCH, EPOCHS = 32, 48, 8, 5
CELLS = {"`1 + 1`": "1 + 1", "`sum(range(1_000_000))`": "sum(range(1_000_000))"}
REPEATS = 60


def counts() -> list[int]:
    """1, 2, 4 … up to the number of cores, and that itself."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    powers = [2**power for power in range(cores.bit_length()) if 2**power <= cores]
    return sorted({*powers, cores})


def steps_per_second(file: Path, turns: int) -> dict[int, list[float]]:
    """Of training with so many threads."""
    found: dict[int, list[float]] = {threads: [] for threads in counts()}
    first, last = EXAMPLES // BATCH, EPOCHS * EXAMPLES // BATCH
    for turn in range(turns):
        for threads, rates in found.items():
            steps = apart(file, last, threads=threads, n_epochs=EPOCHS, batch_size=BATCH)
            rates.append((last - first) / (steps.ended[last - 1] - steps.ended[first - 1]))
            tell(f"turn {turn + 1}: {threads} threads, {rates[-1]:.2f} steps a second")
    return found


def reactions(client: BlockingKernelClient) -> dict[str, list[float]]:
    """Milliseconds until the kernel has answered each cell, again and again."""
    found: dict[str, list[float]] = {name: [] for name in CELLS}
    for _ in range(REPEATS):
        for name, code in CELLS.items():
            begun = time.perf_counter()
            client.execute(code, store_history=False)
            client.get_shell_msg(timeout=60)
            found[name].append(1000 * (time.perf_counter() - begun))
            time.sleep(0.02)
    return found


def next_to_training(file: Path, turns: int) -> dict[tuple[str, str], list[float]]:
    """Milliseconds of each cell, by its name and by what runs next to it."""
    found: dict[tuple[str, str], list[float]] = {}
    manager, client = start_new_kernel(kernel_name="python3")
    try:
        reactions(client)  # to warm up
        for turn in range(turns):
            tell(f"turn {turn + 1}: a notebook alone, then next to training")
            for name, times in reactions(client).items():
                found.setdefault((name, "alone"), []).extend(times)
            with in_training(file):
                for name, times in reactions(client).items():
                    found.setdefault((name, "training"), []).extend(times)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    return found


def main() -> None:
    """Measure, and print both tables."""
    turns = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    with tempfile.TemporaryDirectory() as folder:
        file = write_examples(Path(folder) / "examples.jsonl", EXAMPLES, TOKENS)
        rates = steps_per_second(file, turns)
        times = next_to_training(file, turns)
    one = statistics.median(rates[1])
    rows = [
        [str(threads), spread(values, 2), f"{statistics.median(values) / one:.2f}"]
        for threads, values in rates.items()
    ]
    print(table(["threads", "steps a second", "times one thread"], rows))
    print(f"\nSteps of {BATCH} examples of about {TOKENS} tokens, after the first epoch.\n")
    cells = []
    for name in CELLS:
        alone, busy = times[name, "alone"], times[name, "training"]
        ratio = statistics.median(busy) / statistics.median(alone)
        cells.append([name, spread(alone), spread(busy), f"{ratio:.1f}"])
    print(table(["cell", "alone, ms", "next to training, ms", "times as long"], cells))
    print(f"\nThe median of {turns * REPEATS}, and the quickest and the slowest.")


if __name__ == "__main__":
    main()
