"""Programs that only a release needs: each in an environment of its own, which is thrown away afterwards.

They come from the package index like everything else, and their hashes are in `requirements.lock`, too.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[1]
LOCK = ROOT / "requirements.lock"
PINS = ROOT / "constraints.txt"


@contextmanager
def installed(name: str) -> Iterator[Path]:
    """The path of a program, such as `uv`, as long as the block lasts."""
    with tempfile.TemporaryDirectory() as folder:
        _run("venv", "--without-pip", folder)
        _run("pip", "--python", folder, "install", "--quiet", "--require-hashes", "--constraint", str(LOCK), name)
        yield Path(folder, "Scripts" if os.name == "nt" else "bin", name)


def _run(*words: str) -> None:
    subprocess.run([sys.executable, "-m", *words], check=True)
