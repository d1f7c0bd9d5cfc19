"""Runs benchmarks one after the other, and writes what they print to ``RESULTS.md``.

    .venv/bin/python benchmarks/run.py [NAME …]

With names, only these are run, and only their sections are replaced. A benchmark is a program here: the first line
of its docstring is its title, and it prints Markdown. One that fails leaves a sentence, and the others go on.
"""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from datetime import date
from pathlib import Path

from machine import describe, tell, timed

HERE = Path(__file__).parent
ORDER = (
    "training",
    "roofline",
    "growth",
    "threads",
    "conversion",
    "answering",
    "agreement",
    "classroom",
    "learners",
    "prepare_data",
    "redaction",
)
_SECTION = re.compile(r"^<!-- (\w+) -->\n(.*?)(?=^<!-- \w+ -->\n|\Z)", re.MULTILINE | re.DOTALL)


def title(program: Path) -> str:
    """The first line of a program's docstring, without its full stop."""
    return (
        (ast.get_docstring(ast.parse(program.read_text(encoding="utf-8"))) or program.stem)
        .splitlines()[0]
        .rstrip(".")
    )


def run(program: Path) -> tuple[str, int]:
    """What a program prints, shown as it comes, and its exit code."""
    said = []
    with subprocess.Popen(
        [sys.executable, str(program)], stdout=subprocess.PIPE, text=True, encoding="utf-8"
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            said.append(line)
    return "".join(said).strip(), process.returncode


def section(program: Path, machine: str = "") -> str:
    """A program's section of the results: title, what it printed, how long it took, on which day and `machine`."""
    tell(f"=== {program.stem}")
    seconds, (said, code) = timed(lambda: run(program))
    parts = [f"## {title(program)}", said]
    if code:
        parts.append(f"**`{program.stem}` failed with exit code {code}; what stands above is not complete.**")
    took = f"{seconds / 60:.0f} min" if seconds >= 100 else f"{seconds:.0f} s"
    parts.append(f"`benchmarks/{program.name}`, {date.today()}, took {took}.")
    if machine:
        parts[-1] += f" This was on another machine than the one above:\n\n{machine}"
    return "\n\n".join(filter(None, parts)) + "\n\n"


def sections(results: str) -> dict[str, str]:
    """The sections of an earlier ``RESULTS.md`` by their names."""
    return {found[1]: found[2].strip() + "\n\n" for found in _SECTION.finditer(results)}


def head(machine: str) -> str:
    """What stands above all sections."""
    return f"# Results\n\nWritten by `make bench` on {date.today()}, on this machine:\n\n{machine}\n\n"


def machine_of(results: str) -> str:
    """The machine in the head of an earlier ``RESULTS.md``; empty if there is none."""
    found = re.search(r"on this machine:\n\n(.*?)\n\n", results, re.DOTALL)
    return found[1] if found else ""


def same(machine: str, other: str) -> bool:
    """Whether two descriptions are of the same kind of machine: their first line and what PyTorch finds there."""
    return machine.splitlines()[::2][:2] == other.splitlines()[::2][:2]


def write(path: Path, found: dict[str, str], above: str) -> None:
    """Write ``RESULTS.md`` so that a reader sees the old one or the new one; `above` stands over the sections."""
    known = [name for name in ORDER if name in found]
    others = [name for name in found if name not in ORDER]
    text = above + "".join(f"<!-- {name} -->\n{found[name]}" for name in [*known, *others])
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    part.write_text(text.rstrip() + "\n", encoding="utf-8")
    part.replace(path)


def main() -> int:
    """Run what is asked for. Returns 1 if any of it failed."""
    programs = [HERE / f"{name}.py" for name in sys.argv[1:] or ORDER]
    if missing := [program.stem for program in programs if not program.exists()]:
        tell(f"There is no benchmark {', '.join(missing)}. There are: {', '.join(ORDER)}.")
        return 2
    machine, path, failed = describe(), HERE / "RESULTS.md", False
    for program in programs:
        earlier = path.read_text(encoding="utf-8") if path.exists() else ""
        found = sections(earlier)
        others = {name for name in found if name not in (wanted.stem for wanted in programs)}
        kept = bool(others) and not same(machine, machine_of(earlier))  # its figures are another machine's
        new = section(program, machine if kept else "")
        failed |= " failed with exit code " in new
        write(path, found | {program.stem: new}, earlier.split("<!--")[0] if kept else head(machine))
    tell(f"{path} is written.")
    return int(failed)


if __name__ == "__main__":
    raise SystemExit(main())
