"""Writes requirements.lock: all packages that make installs, with the SHA-256 of each of their files.

    make lock

uv finds out what `pyproject.toml` asks for, on every system and from Python 3.11 on, and asks the package index
for the hashes. Versions stay as they are in `constraints.txt`. To take others, change or delete lines there first.
That file is written anew, too: the same versions, without hashes.

PyTorch's own index has smaller files of the same version, without what graphics cards need. Their hashes stand in
`torch-cpu.txt` and are added, so that pip takes either.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from programs import LOCK, PINS, ROOT, installed

SMALLER = Path(__file__).with_name("torch-cpu.txt")
HEAD = """\
# What make installs, with the SHA-256 of every file that may be taken. Written by `make lock`, never by hand.
# The versions are chosen in constraints.txt.
"""
OLDEST = "3.11"
_ENTRY = re.compile(
    r"^([\w.-]+)==([^\s;]+)(?: ; ([^\\\n]*[^\\\s]))?((?: \\\n +--hash=sha256:\w{64})*)$", re.MULTILINE
)


@dataclass(frozen=True)
class Locked:
    """A package in the lock: where it is needed (`marker`, empty if everywhere), and the SHA-256 of its files."""

    name: str
    version: str
    marker: str
    hashes: frozenset[str]


def locked(text: str) -> Iterator[Locked]:
    """The packages in a lock, in its order."""
    for entry in _ENTRY.finditer(text):
        hashes = frozenset(re.findall(r"sha256:(\w{64})", entry[4]))
        yield Locked(entry[1], entry[2], entry[3] or "", hashes)


def resolved(uv: Path) -> str:
    """What uv makes of `pyproject.toml`, with the versions in `constraints.txt`."""
    words = [str(uv), "pip", "compile", "pyproject.toml", "--extra", "test", "--group", "release"]
    words += ["--universal", "--python-version", OLDEST, "--fork-strategy", "fewest", "--generate-hashes"]
    words += ["--constraint", PINS.name, "--no-header", "--quiet"]
    said = subprocess.run(words, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout
    return said.replace(f"    #   -c {PINS.name}\n", "")  # each line has that reason


def with_smaller(text: str, listed: str) -> str:
    """The lock with PyTorch's smaller files, whose hashes and names are `listed`.

    Raises:
        SystemExit: they are of another version of PyTorch than the lock's.
    """
    [torch] = [package for package in locked(text) if package.name == "torch"]
    files = [line.split() for line in listed.splitlines() if not line.startswith("#")]
    for _, name in files:
        if not name.startswith(f"torch-{torch.version}+cpu-"):
            sys.exit(
                f"{SMALLER.name} has {name}, but PyTorch is {torch.version} now. Its first lines say what to do."
            )
    more = "".join(f" \\\n    --hash=sha256:{sha256}" for sha256, _ in files)
    return _ENTRY.sub(lambda entry: entry[0] + more if entry[1] == "torch" else entry[0], text)


def main() -> None:
    """Write both files."""
    with installed("uv") as uv:
        text = with_smaller(resolved(uv), SMALLER.read_text(encoding="utf-8"))
    pins = [f"{package.name}=={package.version}" for package in locked(text)]
    LOCK.write_text(HEAD + text, encoding="utf-8", newline="\n")
    PINS.write_text("\n".join(pins) + "\n", encoding="utf-8", newline="\n")
    print(f"{LOCK.name} and {PINS.name} are written: {len(pins)} packages")


if __name__ == "__main__":
    main()
