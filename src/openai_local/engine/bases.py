"""The base models that one home knows: the built-in one, and those that a user registered.

The built-in one lies in the cache, as it can be fetched again. A registered one is the user's own, so it lies in
the home: ``bases/NAME/`` with ``base.json``, ``model.gguf`` and ``weights/``. The folders are read anew at each
question, so a service knows a base as soon as it is registered.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from openai_local.engine.base import BASES, STAND_INS, Base, find_base
from openai_local.errors import LocalError
from openai_local.home import Home, write_whole

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


@dataclass(frozen=True)
class Entry:
    """One base model.

    Args:
        name: its id in the API.
        title: what people call it.
        licence: the name of its licence.
        folder: where its files lie, whether they are there or not.
        created: when it was published or registered, in seconds since 1970.
        architecture: one of `ARCHITECTURES`.
        parameters: how many numbers it is made of.
        built_in: whether it came with this program.
    """

    name: str
    title: str
    licence: str
    folder: Path
    created: int
    architecture: str
    parameters: int
    built_in: bool = False

    @property
    def gguf(self) -> Path:
        """The file that llama.cpp loads."""
        return self.folder / "model.gguf"

    @property
    def weights(self) -> Path:
        """The folder that training reads."""
        return self.folder / "weights"

    @property
    def ready(self) -> bool:
        """Whether its files are there."""
        return self.gguf.exists() and self.weights.exists()

    @property
    def training_bytes(self) -> int:
        """About how much memory training takes: the weights in 16 and in 32 bits, and what comes with them."""
        return 6 * self.parameters + 800_000_000

    def require(self) -> None:
        """Raise `LocalError` unless it is `ready`."""
        if self.ready:
            return
        if self.built_in:
            BASES[self.name].require(self.folder.parent.parent)
        raise LocalError(
            f"Files of the base model {self.name} are missing in {self.folder}. Remove it and add it again:  "
            f"openai-local bases remove {self.name}"
        )


class Bases:
    """All base models of one home."""

    def __init__(self, home: Home, cache: Path) -> None:
        """Registered ones lie in `home`, built-in ones in `cache`."""
        self.folder, self.cache = home.bases, cache

    def all(self) -> list[Entry]:
        """The built-in ones, then the registered ones by name."""
        registered = (self._read(folder.name) for folder in sorted(self.folder.glob("[a-z0-9]*")))
        return [self._built_in(base) for base in BASES.values()] + [entry for entry in registered if entry]

    def find(self, name: str) -> Entry | None:
        """The base that `name` means: its own name, or a name that the built-in one stands in for."""
        if base := find_base(name):
            return self._built_in(base)
        return self._read(name) if _NAME.fullmatch(name) else None

    def require(self, name: str) -> Entry:
        """The base called `name`, with all its files.

        Raises:
            LocalError: there is none, or files are missing.
        """
        entry = self.known(name)
        entry.require()
        return entry

    def known(self, name: str) -> Entry:
        """The base called `name`, whether its files are there or not.

        Raises:
            LocalError: there is none.
        """
        entry = self.find(name)
        if entry is None:
            known = ", ".join(entry.name for entry in self.all())
            raise LocalError(
                f"There is no base model {name} here. There are: {known}. Add one with:  "
                "openai-local bases add NAME PATH"
            )
        return entry

    def check_new(self, name: str) -> None:
        """Raise `LocalError` unless a new base may be called `name`."""
        if not _NAME.fullmatch(name) or name.endswith("."):
            raise LocalError(
                f"{name!r} can't be a base model's name: it has 1 to 64 small letters, digits, dots, - and _, and "
                "begins with a letter or digit.  For example:  openai-local bases add my-model PATH"
            )
        if name in STAND_INS or name in BASES:
            raise LocalError(f"{name} already means the built-in base model. Choose another name.")
        if (self.folder / name).exists():
            raise LocalError(
                f"There is a base model {name} already. Choose another name, or remove that one first:  "
                f"openai-local bases remove {name}"
            )

    def note(self, folder: Path, **facts: Any) -> Entry:
        """Write ``base.json`` into a folder that will become a base; `facts` are the fields of `Entry`."""
        entry = Entry(folder=folder, **facts)
        kept = {key: value for key, value in asdict(entry).items() if key not in ("folder", "built_in")}
        write_whole(folder / "base.json", json.dumps(kept, indent=2))
        return entry

    def remove(self, name: str) -> None:
        """Forget a registered base and delete its files. Whether something needs it must have been asked before.

        Raises:
            LocalError: there is none of that name, or it is a built-in one.
        """
        if find_base(name):
            raise LocalError(f"{name} means the built-in base model, which can't be removed.")
        if not _NAME.fullmatch(name) or not (self.folder / name).exists():
            self.known(name)
        gone = self.folder / f".{name}.{os.getpid()}.gone"
        (self.folder / name).rename(gone)
        shutil.rmtree(gone, ignore_errors=True)

    def _built_in(self, base: Base) -> Entry:
        return Entry(
            name=base.name,
            title=base.title,
            licence=base.licence,
            folder=base.folder(self.cache),
            created=base.created,
            architecture=base.architecture,
            parameters=base.parameters,
            built_in=True,
        )

    def _read(self, name: str) -> Entry | None:
        folder = self.folder / name
        try:
            facts = json.loads((folder / "base.json").read_text(encoding="utf-8"))
            return Entry(**{**facts, "name": name, "folder": folder})
        except (OSError, ValueError, TypeError):
            return None
