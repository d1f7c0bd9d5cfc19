"""What a model was trained on: kept as a few facts when the data itself is gone.

A job's directory has its data as long as the job may need it. When it is over the data goes: it may be large, and
somebody who deletes an upload wants it deleted. What a model card says of it stays in ``data.json``.
"""

from __future__ import annotations

import contextlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from openai_local.engine.base import sha256
from openai_local.home import write_whole

FILES = ("training_file", "validation_file")


@dataclass(frozen=True)
class Origin:
    """A file that was trained or validated with.

    Attributes:
        sha256: of its bytes.
        examples: how many it had.
        plain: whether these were prompts and completions; otherwise conversations.
    """

    sha256: str
    examples: int
    plain: bool


def data_file(folder: Path, param: str) -> Path:
    """Where a job's directory has its ``training_file`` or ``validation_file``."""
    return folder / f"{param}.jsonl"


def noted(folder: Path) -> Path:
    """Where the facts are kept."""
    return folder / "data.json"


def origins(folder: Path) -> dict[str, Origin]:
    """What is known of a job's files, by the parameter's name: noted, or seen in them while they are there."""
    found = {}
    for param in FILES:  # before the note: what goes meanwhile is noted by then
        with contextlib.suppress(FileNotFoundError):
            found[param] = _look(data_file(folder, param))
    with contextlib.suppress(FileNotFoundError, ValueError, AttributeError, TypeError):  # none, or a damaged one
        known = json.loads(noted(folder).read_text(encoding="utf-8"))
        found |= {param: Origin(**facts) for param, facts in known.items()}
    return found


def let_go(folder: Path) -> None:
    """Remove the data of a job that is over. What is known of it is noted first, if a model was made of it."""
    files = [path for param in FILES if (path := data_file(folder, param)).exists()]
    if not files:
        return
    if any(folder.glob("*.gguf")):
        write_whole(noted(folder), json.dumps({param: asdict(facts) for param, facts in origins(folder).items()}))
    for path in files:
        path.unlink()


def _look(path: Path) -> Origin:
    with path.open(encoding="utf-8-sig") as file:
        lines = (line for line in file if line.strip())
        first = next(lines, "{}")
        return Origin(sha256(path), 1 + sum(1 for _ in lines), "prompt" in json.loads(first))
