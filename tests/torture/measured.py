"""How long large training files take, and how much memory: ``python measured.py SCALE FOLDER [SHAPE…]``.

For each shape it prints a line: seconds and mebibytes for a file, and for one that is four times as large. Each is
measured in a process of its own, which has all modules already: the seconds that it had a processor, as others use
the machine too, and the least of some tries
if the first shows no proportion.
"""

import contextlib
import io
import json
import os
import resource
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openai_data as prepare
from openai_command.openai import main as command
from openai_data import tokens
from openai_data.errors import LessonError
from openai_local.home import default_cache
from openai_local.models.base_models import SMOLLM2
from openai_local.training.dataset import DataError, count, read
from openai_local.training.job_folder import EXAMPLE_TOKENS
from openai_local.training.tokenisation import Encoder

TRIES = 3
GOOD = json.dumps({"prompt": "What is sin?", "completion": " A want."}) + "\n"


def filled(prompt: str) -> str:
    return json.dumps({"prompt": prompt, "completion": " x"}) + "\n" + GOOD * 10


def conversation(turns: int) -> str:
    messages = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}] * turns
    return json.dumps({"messages": messages}) + "\n"


def rows(count: int, cell: Callable[[int], str]) -> str:
    return "prompt,completion\n" + "".join(f"{n} {cell(n)}?,{cell(n)} {n % 97}.\n" for n in range(count))


MAKE: dict[str, tuple[str, Callable[[int], str]]] = {
    "tiny lines": (".jsonl", lambda n: GOOD * (5_000 * n)),
    "one huge line": (".jsonl", lambda n: filled("what is the end? " * (50_000 * n))),
    "nested": (".jsonl", lambda n: GOOD * 10 + "[" * (50_000 * n)),
    "a long conversation": (".jsonl", lambda n: conversation(2_000 * n) * 10),
    "no spaces": (".jsonl", lambda n: filled("ab" * (200_000 * n))),
    "only spaces": (".jsonl", lambda n: filled(" " * (400_000 * n) + "x")),
    "one word": (".jsonl", lambda n: filled("\x00" * (100_000 * n))),
    "rows": (".csv", lambda n: rows(5_000 * n, lambda n: "word")),
    "long cells": (".csv", lambda n: rows(2 * n, lambda n: "abc " * 10_000)),
    "endings alike": (".csv", lambda n: rows(3, lambda m: "z" * (20_000 * n + m))),
    "at signs": (".csv", lambda n: rows(20, lambda m: ("a" * 64 + "@") * (60 * n))),
    "columns": (".csv", lambda n: ",".join(f"c{m}" for m in range(500 * n)) + "\n" + "a\n" * (2_000 * n)),
    "one key a line": (".jsonl", lambda n: "".join(f'{{"k{m}": {m}}}\n' for m in range(5_000 * n))),
    "nested tables": (".html", lambda n: "<table><tr><td>" * 200 + "<tr><td>a<td>b" * (500 * n)),
}


FOR_TRAINING = [*MAKE][:7]
"""Those that are checked as before training. The others are prepared."""


def measure(action: Callable[[], object]) -> tuple[float, float]:
    """Seconds and mebibytes of something that is done in a process of its own."""
    reader, writer = os.pipe()
    if not (child := os.fork()):
        before = resource.getrusage(resource.RUSAGE_SELF)
        action()
        after = resource.getrusage(resource.RUSAGE_SELF)
        taken = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        peak = after.ru_maxrss - before.ru_maxrss
        os.write(writer, json.dumps([round(taken, 3), round(peak / 1024, 1)]).encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as answer:
        found = answer.read()
    assert os.waitpid(child, 0)[1] == 0, "it ended badly"
    return json.loads(found)


def in_proportion(found: dict[str, Any]) -> bool:
    """Whether four times as much data takes less than ten times as long: a square would take sixteen times."""
    (seconds, mebibytes), (longer, more) = found["small"], found["large"]
    return longer < 10 * seconds + 0.3 and more < 10 * mebibytes + 100 and more < 60 * found["mebibytes"] + 150


def main() -> None:
    scale, folder, *shapes = sys.argv[1:]
    encoder = Encoder(SMOLLM2.at(default_cache()).weights)
    path_of_tokenizer = str(SMOLLM2.at(default_cache()).weights / "tokenizer.json")
    about = tokens.Machine("tiny", path_of_tokenizer, 2048, 13, 300.0, 15.0, "measured somewhere")
    tokens.machine = lambda examples: about

    def check(path: Path) -> None:
        with contextlib.suppress(DataError):
            count(path)
            for record in read(path):
                encoder.encode(record, EXAMPLE_TOKENS)

    def prepared(path: Path) -> None:
        with contextlib.suppress(LessonError):
            report = prepare.analyse(path)
            report.write(path.with_suffix(".out"))
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            command(["tools", "fine_tunes.prepare_data", "-q", "-f", str(path)])

    for shape in shapes or MAKE:
        ending, make = MAKE[shape]
        action = check if shape in FOR_TRAINING else prepared
        small, large = (Path(folder) / f"{name}{ending}" for name in ("small", "large"))
        small.write_text(make(int(scale)), encoding="utf-8")
        large.write_text(make(int(scale) * 4), encoding="utf-8")
        found: dict[str, Any] = {"shape": shape, "mebibytes": round(large.stat().st_size / 2**20, 2)}
        for _ in range(TRIES):
            for path in (small, large):
                taken = measure(lambda action=action, path=path: action(path))
                found[path.stem] = [*map(min, taken, found.get(path.stem, taken))]
            if in_proportion(found):
                break
        print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
