"""The machine that measures, and how figures are shown: medians with their spread, in Markdown tables.

Figures go to standard output, how far a benchmark is to standard error.
"""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

if TYPE_CHECKING:
    import torch


def describe() -> str:
    """What this machine is, and what training does its arithmetic with, as a list in Markdown."""
    import torch

    from openai_local.training.lora import choose_device, choose_dtype

    device = choose_device()
    dtype = choose_dtype(device)
    rate, threads = product_rate(dtype, device), torch.get_num_threads()
    return "\n".join(
        [
            f"- {_processor()}, {psutil.cpu_count(logical=False) or '?'} cores, {psutil.cpu_count()} threads, "
            f"{psutil.virtual_memory().total / 2**30:.0f} GB of memory",
            f"- {platform.system()} {platform.release()}, Python {platform.python_version()}",
            f"- PyTorch {torch.__version__}, {torch.backends.cpu.get_cpu_capability()}, "
            f"MKL {_has(torch.backends.mkl)}, oneDNN {_has(torch.backends.mkldnn)}",
            f"- training on {device.type} in {_name(dtype)}: large matrix products reach "
            f"{rate / 1e9:,.0f} GFLOP/s with {threads} threads",
        ]
    )


def product_rate(dtype: torch.dtype, device: torch.device, size: int = 1024, seconds: float = 1.0) -> float:
    """Floating-point operations per second of square matrix products, the best of those done in `seconds`."""
    import torch

    a, b = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))

    def product() -> None:
        a @ b
        if device.type == "cuda":
            torch.cuda.synchronize()

    end, best = time.perf_counter() + seconds, float("inf")
    while time.perf_counter() < end:
        best = min(best, timed(product)[0])
    return 2 * size**3 / best


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """How many seconds `work` takes, and what it returns."""
    begun = time.perf_counter()
    found = work()
    return time.perf_counter() - begun, found


def measured(command: Sequence[str], **options: Any) -> tuple[float, float]:
    """Run a command in a process of its own.

    Args:
        command: the program and its words.
        options: what `subprocess.Popen` takes besides.

    Returns:
        Wall time in seconds, and the largest memory in MB.

    Raises:
        SystemExit: the command failed.
    """
    begun = time.perf_counter()
    process = subprocess.Popen(command, **options)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - begun
    process.returncode = os.waitstatus_to_exitcode(status)
    if status:
        raise SystemExit(f"{' '.join(command)} failed")
    return seconds, megabytes(usage.ru_maxrss)


def megabytes(maxrss: int) -> float:
    """The field ``ru_maxrss``, which systems count in different units, in MB."""
    return maxrss / (1024 * 1024 if sys.platform == "darwin" else 1024)


def spread(values: Sequence[float], digits: int = 1) -> str:
    """The median, and the least and the greatest value: ``2.1 (1.9 to 2.6)``."""
    middle, *ends = (f"{value:,.{digits}f}" for value in (statistics.median(values), min(values), max(values)))
    return f"{middle} ({' to '.join(ends)})" if len(values) > 1 else middle


def table(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A table in Markdown; all columns but the first are aligned to the right."""
    rule = ["---", *["---:"] * (len(headings) - 1)]
    return "\n".join("| " + " | ".join(map(str, row)) + " |" for row in [headings, rule, *rows])


def tell(text: str) -> None:
    """Say how far a benchmark is."""
    print(text, file=sys.stderr, flush=True)


def environment_for(name: str, packages: Sequence[str]) -> Path:
    """The Python of an environment that holds a peer, made once in a folder for caches.

    Raises:
        subprocess.CalledProcessError: it can't be made; pip has said why.
    """
    import platformdirs

    folder = platformdirs.user_cache_path("openai-lesson", appauthor=False) / name
    if not (folder / "ready").exists():
        tell(f"making the environment {name}, once")
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, *packages], check=True)
        (folder / "ready").touch()
    return folder / "bin" / "python"


def _processor() -> str:
    if (facts := Path("/proc/cpuinfo")).exists():
        names = [line.split(":", 1)[1].strip() for line in facts.read_text().splitlines() if "model name" in line]
        if names:
            return names[0]
    return platform.processor() or platform.machine()


def _has(library: Any) -> str:
    return "yes" if library.is_available() else "no"


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
