"""What training will be like on this machine: how many epochs, how fast."""

from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

from openai_local.home import Home
from openai_local.models.base_models import SMOLLM2, Bases
from openai_local.training.job_folder import EXAMPLE_TOKENS, Journal, settle

TOKENS_PER_SECOND = 300.0
START_SECONDS = 25.0
MEASURED = "measured on two cores of 2021, as no job was trained here yet"
UNKNOWN = "nobody has measured yet: the first job will tell"
_ENOUGH_TOKENS = 5_000  # a shorter job says little of the speed
_JOBS = 20
_PAUSE = 10  # a step takes so many times as long as most do: the job was paused, or the machine slept


def estimate(home: Home, cache: Path, n_examples: int, model: str = SMOLLM2.name) -> dict[str, Any]:
    """What is known before a job with so many examples starts. Raises `LocalError` if there is no such base.

    Returns ``base`` (its title), ``tokenizer`` (the path of its file, or None before the base was fetched),
    ``window`` (tokens at which an example is cut), ``epochs`` (what ``auto`` becomes), ``tokens_per_second``
    (trained tokens, each epoch counted, as the last long job of this base here tells; None if nobody knows),
    ``start_seconds`` (before the first step), ``measured`` (how that is known).
    """
    base = Bases(home, cache).known(model)
    tokenizer = base.weights / "tokenizer.json"
    speed, guess = _last_speed(home, base.name), TOKENS_PER_SECOND if base.built_in else None
    unmeasured = MEASURED if base.built_in else UNKNOWN
    return {
        "base": base.title,
        "tokenizer": str(tokenizer) if tokenizer.exists() else None,
        "window": EXAMPLE_TOKENS,
        "epochs": settle("auto", "auto", "auto", n_examples).n_epochs,
        "tokens_per_second": speed or guess,
        "start_seconds": START_SECONDS,
        "measured": "as fast as the last job here" if speed else unmeasured,
    }


def _last_speed(home: Home, base: str) -> float | None:
    """Trained tokens per second of the last job of a base here that was long enough to tell."""
    latest = sorted(home.jobs.iterdir(), key=lambda folder: folder.stat().st_mtime, reverse=True)
    for journal in map(Journal, latest[:_JOBS]):
        tokens = (journal.result() or {}).get("trained_tokens") or 0
        if tokens < _ENOUGH_TOKENS or journal.read_job().base != base:
            continue
        moments = [row["created_at"] for row in journal.rows()]
        gaps = [after - before for before, after in pairwise(moments)] or [0]
        steps = [gap for gap in gaps if gap <= _PAUSE * max(1, median(gaps))]
        if seconds := sum(steps):
            return tokens * len(steps) / (len(gaps) + 1) / seconds
    return None
