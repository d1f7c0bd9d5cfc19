"""A job is a directory: what to train, how the training process tells what it does, and how others read it.

The service writes ``job.json``; the training process appends lines to ``events.jsonl`` and ends with
``result.json``. Nothing else is shared, so a job runs the same way as a child process or on another machine with
a common file system, outlives a crash of the service, and can be read by a person.

What a process does again after a crash it also tells again, under the same ids; a reader leaves out what it
knows. What the disk does not take, because it is full or read-only, the training process keeps and offers again
until it does. A line that can't be read, after a power cut, is left out.

The directory has the job's data as long as the job may need it. When it is over the data goes: it may be large,
and somebody who deletes an upload wants it deleted. What a model card says of it stays in ``data.json``.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import secrets
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

from openai_local import disk
from openai_local.home import write_whole
from openai_local.models.base_models import sha256

EXAMPLE_TOKENS = 2048
"""An example's length at which it is cut."""
FILES = ("training_file", "validation_file")
WAIT_SECONDS = 1.0
"""How long the training process waits before it offers the disk again what it did not take."""
T = TypeVar("T")


class Paused(Exception):  # noqa: N818 (no error)
    """The training process shall end, and its job is not over."""


class Stuck(Paused):
    """It shall end while the disk takes nothing, so the last step that was told is not the last one done."""


def new_id(prefix: str) -> str:
    """An id of OpenAI's shape, such as ``ftjob-3f9a…``: the prefix and 24 random hexadecimal digits."""
    return f"{prefix}-{secrets.token_hex(12)}"


def derived_id(prefix: str, *parts: str | int) -> str:
    """An id of the same shape that is always the same for the same parts."""
    return f"{prefix}-{hashlib.sha256('/'.join(map(str, parts)).encode()).hexdigest()[:24]}"


@dataclass(frozen=True)
class Job:
    """What to train: the content of ``job.json``. ``None`` and ``"auto"`` are left to the training process.

    The last three are for fine-tunes of 2022: the weight of the prompts' tokens in the loss, what
    `metrics.Classes.find` is asked, and the columns of the table of results.
    """

    id: str
    base: str
    weights: str
    training_file: str
    validation_file: str | None
    seed: int
    n_epochs: int | str
    batch_size: int | str
    learning_rate_multiplier: float | str
    prompt_weight: float = 0.0
    classification: dict[str, Any] | None = None
    of_2022: bool = False


@dataclass(frozen=True)
class Hyperparameters:
    """What a job is trained with, once every ``auto`` is settled."""

    n_epochs: int
    batch_size: int
    learning_rate_multiplier: float


def settle(n_epochs: Any, batch_size: Any, learning_rate_multiplier: Any, n_examples: int) -> Hyperparameters:
    """Replace each ``auto``.

    A batch has half the square root of the number of examples (3 to 16). The lesson's 107 examples are seen
    thirteen times, so that they are known by heart; four times as many are seen half as often (3 to 20 times).
    """
    auto = {
        "n_epochs": min(20, max(3, round(13 * (107 / n_examples) ** 0.5))),
        "batch_size": min(16, max(3, round(n_examples**0.5 / 2))),
        "learning_rate_multiplier": 1.0,
    }
    given = zip(auto, (n_epochs, batch_size, learning_rate_multiplier), strict=True)
    return Hyperparameters(**{**auto, **{name: value for name, value in given if value != "auto"}})


class Journal:
    """One job's directory, written by the training process and read by the service."""

    def __init__(self, folder: Path) -> None:
        """`folder` exists."""
        self.folder = folder
        self.events = folder / "events.jsonl"
        self.lock = folder / "job.lock"
        self.adapter = folder / "adapter.gguf"
        self.table = folder / "results.csv"
        self.log = folder / "train.log"
        self.snapshot = folder / "snapshot.safetensors"
        self._pause = folder / "pause"
        self._waits = folder / "waits"
        self._result = folder / "result.json"
        self._told_to_end = False

    def write_job(self, job: Job) -> None:
        """Write ``job.json``."""
        write_whole(self.folder / "job.json", json.dumps(asdict(job), indent=2))

    def read_job(self) -> Job:
        """Read ``job.json``."""
        return Job(**json.loads((self.folder / "job.json").read_text(encoding="utf-8")))

    def write_pid(self, pid: int) -> None:
        """Write down which process trains."""
        write_whole(self.folder / "pid", str(pid))

    def read_pid(self) -> int | None:
        """The number of the process that trains or trained last, or None."""
        try:
            return int((self.folder / "pid").read_text())
        except (FileNotFoundError, ValueError):
            return None

    def request_pause(self) -> None:
        """Ask the training process to write a snapshot and end."""
        self._pause.touch()

    def forget_pause(self) -> None:
        """Take that back."""
        self._pause.unlink(missing_ok=True)

    def end_soon(self) -> None:
        """Let this process write a snapshot and end. The job itself is not paused: the next process goes on."""
        self._told_to_end = True

    def pause_requested(self) -> bool:
        """Whether the training process shall write a snapshot and end."""
        return self._told_to_end or self._pause.exists()

    def keep(self, write: Callable[[], T]) -> T:
        """Write something in the training process. While the disk does not take it, wait and try again.

        Raises:
            Stuck: the process shall end, and the disk still does not take it.
            OSError: it can't be written for another reason.
        """
        began, said = time.monotonic(), ""
        while True:
            try:
                done = write()
                break
            except OSError as error:
                sentence = disk.sentence(error, self.folder)
                if sentence is None:
                    raise
                if not said:
                    said = sentence.split(" (")[0].split(". ")[0].removesuffix(".")
                    with contextlib.suppress(OSError):  # an empty file often finds room where nothing else does
                        self._waits.touch()
                    with contextlib.suppress(OSError):
                        print(sentence, file=sys.stderr, flush=True)
            if self.pause_requested():
                raise Stuck
            time.sleep(WAIT_SECONDS)
        if said:
            with contextlib.suppress(OSError):
                self._waits.unlink(missing_ok=True)
            seconds = max(1, round(time.monotonic() - began))
            self.event(f"{said}. The training waited {seconds} s and goes on now.", level="warn")
        return done

    def waits(self) -> bool:
        """Whether the training process waits for room on the disk."""
        return self._waits.exists()

    def mend(self) -> None:
        """Remove what a process that was killed left: a last line that nobody has read, and that it waits."""
        self._waits.unlink(missing_ok=True)
        if not self.events.exists():
            return
        lines = self.events.read_bytes().splitlines(keepends=True)
        if lines and not lines[-1].endswith(b"\n"):
            with self.events.open("r+b") as file:
                file.truncate(sum(map(len, lines[:-1])))

    def event(
        self,
        message: str,
        *,
        level: str = "info",
        data: dict[str, Any] | None = None,
        facts: dict[str, Any] | None = None,
        key: str | None = None,
    ) -> None:
        """Tell people something; with `data`, an event of type ``metrics``. With a `key`, once in a job's life.

        `facts` are what the message says, for programs. They go out as the ``data`` of a plain message.
        """
        kind = "message" if data is None else "metrics"
        id_ = derived_id("ftevent", self.folder.name, key) if key else new_id("ftevent")
        self.tell("event", id=id_, level=level, message=message, type=kind, data=data or facts)

    def tell(self, kind: str, **fields: Any) -> None:
        """Append a line.

        Its `kind` is ``event``; ``row``, one of the table of results; ``checkpoint``, when the adapter of a step
        is written; ``hyperparameters``, what ``auto`` became; or ``estimate``, of when training will end (a Unix
        time in seconds).
        """
        line = json.dumps({"kind": kind, "created_at": int(time.time()), **fields})
        self.keep(lambda: self._write_line(line.encode() + b"\n"))

    def _write_line(self, line: bytes) -> None:
        """Write a line whole or not at all."""
        with self.events.open("ab", buffering=0) as file:
            size = file.tell()
            if file.write(line) != len(line):
                file.truncate(size)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.events))

    def checkpoint_file(self, step: int) -> Path:
        """Where the adapter of a step lies."""
        return self.folder / f"step-{step}.gguf"

    def sync(self) -> None:
        """Make sure that all lines are on disk."""
        if self.events.exists():
            with self.events.open("rb+") as file:
                os.fsync(file.fileno())

    def read(self, offset: int = 0) -> Iterator[tuple[int, dict[str, Any]]]:
        """The whole lines from byte `offset` on, each with the offset behind it."""
        if not self.events.exists():
            return
        with self.events.open("rb") as file:
            file.seek(offset)
            for line in file:
                if not line.endswith(b"\n"):
                    return  # still being written
                offset += len(line)
                with contextlib.suppress(ValueError):
                    entry = json.loads(line)
                    if isinstance(entry, dict) and "kind" in entry:
                        yield offset, entry

    def rows(self) -> Iterator[dict[str, Any]]:
        """The rows of the table of results so far."""
        return (entry for _, entry in self.read() if entry["kind"] == "row")

    def finish(self, **result: Any) -> None:
        """End the job: ``status`` is ``succeeded`` or ``failed``."""
        self.keep(self.sync)
        self.keep(lambda: write_whole(self._result, json.dumps(result)))

    def result(self) -> dict[str, Any] | None:
        """What `finish` wrote, or None while the job is not over. One that can't be read has to be made again."""
        try:
            found = json.loads(self._result.read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return None
        return found if isinstance(found, dict) and "status" in found else None


@dataclass(frozen=True)
class Provenance:
    """A file that was trained or validated with.

    `sha256` is of its bytes, `examples` how many it had, and `plain` says whether these were prompts and
    completions; otherwise conversations.
    """

    sha256: str
    examples: int
    plain: bool


def data_file(folder: Path, param: str) -> Path:
    """Where a job's directory has its ``training_file`` or ``validation_file``."""
    return folder / f"{param}.jsonl"


def noted(folder: Path) -> Path:
    """Where a job's directory keeps what is known of its data."""
    return folder / "data.json"


def provenance(folder: Path) -> dict[str, Provenance]:
    """What is known of a job's files, by the parameter's name: noted, or seen in them while they are there."""
    found = {}
    for param in FILES:  # before the note: what goes meanwhile is noted by then
        path = data_file(folder, param)
        with contextlib.suppress(FileNotFoundError), path.open(encoding="utf-8-sig") as file:
            lines = (line for line in file if line.strip())
            first = json.loads(next(lines, "{}"))
            found[param] = Provenance(sha256(path), 1 + sum(1 for _ in lines), "prompt" in first)
    with contextlib.suppress(FileNotFoundError, ValueError, AttributeError, TypeError):  # none, or a damaged one
        known = json.loads(noted(folder).read_text(encoding="utf-8"))
        found |= {param: Provenance(**facts) for param, facts in known.items()}
    return found


def remove_data(folder: Path) -> None:
    """Remove the data of a job that is over. What is known of it is noted first, if a model was made of it."""
    files = [path for param in FILES if (path := data_file(folder, param)).exists()]
    if files and any(folder.glob("*.gguf")):
        known = {param: asdict(facts) for param, facts in provenance(folder).items()}
        write_whole(noted(folder), json.dumps(known))
    for path in files:
        path.unlink()
