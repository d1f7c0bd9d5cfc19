"""Asks whether a hole is known in one of the versions that make installs.

    make release-check

pip-audit asks the package index about each line of `constraints.txt`. Exit code 0: no hole is known. 1: some are.
2: the index could not be asked, or not about all; then nothing is known, and a release has to wait.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from programs import PINS, installed

SECONDS = 900


def asked(pip_audit: Path, pins: Path) -> tuple[list[dict[str, Any]], str]:
    """What pip-audit found out about each line, and its last words if it found out nothing."""
    with TemporaryDirectory() as folder:
        report = Path(folder, "report.json")
        words = ["--requirement", str(pins), "--disable-pip", "--no-deps", "--progress-spinner", "off"]
        words += ["--format", "json", "--output", str(report), "--timeout", "30"]
        done = subprocess.run([str(pip_audit), *words], stderr=subprocess.PIPE, text=True, timeout=SECONDS)
        if not report.is_file() or not (text := report.read_text(encoding="utf-8")):
            said = [line for line in done.stderr.splitlines() if line.strip()]
            return [], said[-1] if said else f"exit code {done.returncode}"
    return json.loads(text)["dependencies"], ""


def verdict(packages: list[dict[str, Any]], reason: str, pinned: int) -> tuple[str, int]:
    """What to print, and the exit code.

    Args:
        packages: pip-audit's own list: each has `vulns`, or `skip_reason` if the index knew nothing of it.
        reason: why there is no list.
        pinned: how many packages were to be asked about.
    """
    known = [package for package in packages if "skip_reason" not in package]
    if reason or len(known) < pinned:
        why = reason or next((one["skip_reason"] for one in packages if "skip_reason" in one), "it gave no answer")
        return f"NOT CHECKED: the index was asked about {pinned} packages and answered for {len(known)}: {why}", 2
    lines = [
        f"{package['name']} {package['version']}: {hole['id']}, "
        f"mended in {', '.join(hole['fix_versions']) or 'no version'}"
        for package in known
        for hole in package["vulns"]
    ]
    if lines:
        return "\n".join(
            [*lines, f"{len(lines)} known holes: change these lines in constraints.txt, then  make lock"]
        ), 1
    return f"No hole is known in any of {pinned} packages.", 0


def main() -> int:
    """Ask, and say it."""
    pinned = sum("==" in line for line in PINS.read_text(encoding="utf-8").splitlines())
    try:
        with installed("pip-audit") as program:
            packages, reason = asked(program, PINS)
    except subprocess.SubprocessError as error:
        packages, reason = [], str(error)
    said, code = verdict(packages, reason, pinned)
    print(said)
    return code


if __name__ == "__main__":
    sys.exit(main())
