"""How fast `prepare_data` is, next to the tool of 2022: seconds and memory for 10 thousand to a million rows.

    .venv/bin/python benchmarks/prepare_data.py [ROWS …]

Both tools take all suggestions, on the same file, in turn, each in a process of its own; the files that they write
are compared. The tool of 2022 gets an environment of its own, in a folder for caches, once.
"""

from __future__ import annotations

import csv
import filecmp
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import platformdirs

OLD = ("openai==0.28.1", "pandas<3", "openpyxl")
SIZES = (10_000, 100_000, 1_000_000)
TURNS = {10_000: 5, 100_000: 3}  # larger files get two


def old_tool() -> Path:
    """The command of 2022."""
    folder = platformdirs.user_cache_path("openai-lesson", appauthor=False) / "prepare-0.28"
    if not (folder / "ready").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        subprocess.run([str(folder / "bin" / "pip"), "install", "--quiet", *OLD], check=True)
        (folder / "ready").touch()
    return folder / "bin" / "openai"


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


def measure(command: list[str]) -> tuple[float, float]:
    """Wall time in seconds, and the largest memory in MB."""
    begun = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - begun
    if status:
        raise SystemExit(f"{' '.join(command)} failed")
    return seconds, usage.ru_maxrss / (1024 * 1024 if sys.platform == "darwin" else 1024)


def main() -> None:
    """Measure and print a table."""
    tools = {"2022": [str(old_tool())], "here": [sys.executable, "-m", "openai_lesson.cli.openai"]}
    print("     rows    MB | 2022: s   MB | here: s   MB | times as fast")
    for rows in [int(size) for size in sys.argv[1:]] or SIZES:
        found: dict[str, list[tuple[float, float]]] = {name: [] for name in tools}
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "rows.csv"
            write_rows(path, rows)
            for _ in range(TURNS.get(rows, 2)):
                written = []
                for name, command in tools.items():
                    found[name].append(
                        measure([*command, "tools", "fine_tunes.prepare_data", "-q", "-f", str(path)])
                    )
                    written.append(path.with_name("rows_prepared.jsonl").rename(path.with_name(f"{name}.jsonl")))
                if not filecmp.cmp(*written, shallow=False):
                    raise SystemExit("the two tools wrote different files")
            size = path.stat().st_size / 1e6
        (old, old_mb), (new, new_mb) = (map(statistics.median, zip(*found[name], strict=True)) for name in tools)
        print(
            f"{rows:>9,} {size:>5.0f} | {old:>7.1f} {old_mb:>4.0f} | {new:>7.1f} {new_mb:>4.0f} | {old / new:.1f}"
        )


if __name__ == "__main__":
    main()
