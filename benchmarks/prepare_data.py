"""`prepare_data` next to the tool of 2022: seconds and memory for 10 thousand to a million rows.

    .venv/bin/python benchmarks/prepare_data.py [ROWS …]

Both tools take all suggestions, on the same file, in turn, each in a process of its own; the files that they write
are compared. The tool of 2022 gets an environment of its own, in a folder for caches, once.
"""

from __future__ import annotations

import csv
import filecmp
import random
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from machine import environment_for, measured, spread, table, tell

OLD = ("openai==0.28.1", "pandas<3", "openpyxl")
SIZES = (10_000, 100_000, 1_000_000)
TURNS = {10_000: 5, 100_000: 3}  # larger files get two


def old_tool() -> Path:
    """The command of 2022."""
    return environment_for("prepare-0.28", OLD).with_name("openai")


def write_rows(path: Path, count: int) -> None:
    """Write questions and answers of invented words, about 245 bytes a row."""
    chance = random.Random(1)
    letters = "abcdefghijklmnopqrstuvwxyz"
    words = ["".join(chance.choices(letters, k=chance.randint(2, 9))) for _ in range(20_000)]

    def sentence(shortest: int, longest: int) -> str:
        return " ".join(chance.choices(words, k=chance.randint(shortest, longest))).capitalize()

    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["prompt", "completion"])
        for number in range(count):
            writer.writerow([sentence(6, 14) + "?" * (number % 97 > 0), sentence(14, 40) + "."])


def main() -> None:
    """Measure and print a table."""
    tools = {"2022": [str(old_tool())], "here": [sys.executable, "-m", "openai_command.openai"]}
    rows = [compare(tools, int(size)) for size in sys.argv[1:] or SIZES]
    print(table(["rows", "size", "2022: seconds", "memory", "here: seconds", "memory", "2022 / here"], rows))


def compare(tools: dict[str, list[str]], rows: int) -> list[str]:
    """Both tools' times and memory for a file of so many rows."""
    seconds: dict[str, list[float]] = {name: [] for name in tools}
    memory: dict[str, list[float]] = {name: [] for name in tools}
    tell(f"{rows:,} rows")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.csv"
        write_rows(path, rows)
        for _ in range(TURNS.get(rows, 2)):
            written = []
            for name, command in tools.items():
                words = [*command, "tools", "fine_tunes.prepare_data", "-q", "-f", str(path)]
                took, most = measured(words, stdout=subprocess.DEVNULL)
                seconds[name].append(took)
                memory[name].append(most)
                written.append(path.with_name("rows_prepared.jsonl").rename(path.with_name(f"{name}.jsonl")))
            if not filecmp.cmp(written[0], written[1], shallow=False):
                raise SystemExit("the two tools wrote different files")
        size = path.stat().st_size / 1e6
    cells = []
    for name in tools:
        cells += [spread(seconds[name]), f"{statistics.median(memory[name]):,.0f} MB"]
    ratio = statistics.median(seconds["2022"]) / statistics.median(seconds["here"])
    return [f"{rows:,}", f"{size:.0f} MB", *cells, f"{ratio:.1f}"]


if __name__ == "__main__":
    main()
