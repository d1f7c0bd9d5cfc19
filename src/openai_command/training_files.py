"""Uploads, and the files of a fine-tune: ``-t`` and ``-v`` name a file's id, a path, or an address on the web."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import openai
from openai.types import FileObject
from tqdm import tqdm

from openai_command.prepare_data import can_ask
from openai_data.downloading import download, is_url, name_of
from openai_data.errors import LessonError

_RAW = (".csv", ".tsv", ".xlsx", ".txt", ".json")
"""What is prepared first."""


def require(*names: str | None) -> None:
    """Raise `LessonError` if a file that is named by its path is not there, or must be prepared first."""
    for name in names:
        if name is None or _is_id(name):
            continue
        path = Path(name_of(name)) if is_url(name) else Path(name)
        if not is_url(name) and not path.is_file():
            if path.is_dir():
                raise LessonError(f"{path} is a folder, not a file.")
            instead = ". Make one from your data with:  openai tools fine_tunes.prepare_data -f YOUR_FILE"
            if (prepared := path.with_name(f"{path.stem}_prepared.jsonl")).is_file():
                instead = f", but there is {prepared}. Did you mean that?"
            raise LessonError(f"There is no file {path} in {Path.cwd()}{instead}")
        if path.suffix.lower() in _RAW:
            raise LessonError(
                f"{name} is not in the form that a fine-tune takes (JSONL). Prepare it first:  "
                f"openai tools fine_tunes.prepare_data -f {name}"
            )


def _is_id(name: str) -> bool:
    return bool(re.fullmatch(r"file-\w+", name)) and not Path(name).exists()


def send(client: openai.OpenAI, path: Path, *, name: str | None = None, purpose: str = "fine-tune") -> FileObject:
    """Upload a file of any kind, read piece by piece as it goes out, with a bar where there is a terminal.

    It is called `name` there (nothing: as here). Raises `LessonError` if it can't be read.
    """
    try:
        file, size = path.open("rb"), path.stat().st_size
    except OSError as error:
        raise LessonError(f"{path} can't be read: {error.strerror}.") from None
    what: Any = purpose
    with file, tqdm.wrapattr(file, "read", size, desc="Upload progress", disable=None, leave=False) as reader:
        return client.files.create(file=(name or path.name, reader), purpose=what)


@dataclass(frozen=True)
class TrainingFiles:
    """Finds or uploads the files of a fine-tune.

    `say` prints what happens. With `check`, a file of the same name and size that was uploaded before is pointed
    out, and where someone can answer, they are asked which to use.
    """

    client: openai.OpenAI
    say: Callable[[str], None]
    check: bool = True

    def id_of(self, named: str) -> str:
        """The id of a file that is there already, or that is uploaded now. One that can't be: a `LessonError`."""
        if is_url(named):
            name = name_of(named) or "download"
            with download(named) as path:
                return self._id(path, name if name.endswith(".jsonl") else f"{name}.jsonl", named)
        return named if _is_id(named) else self._id(Path(named), Path(named).name, named)

    def _id(self, path: Path, name: str, named: str) -> str:
        if self.check and (again := self._again(name, path.stat().st_size)):
            return again
        file = send(self.client, path, name=name)
        self.say(f"Uploaded file from {named}: {file.id}")
        return file.id

    def _again(self, name: str, size: int) -> str:
        """The id of an earlier upload that is to be used again, or nothing."""
        files = self.client.files.list(purpose="fine-tune")
        ids = [file.id for file in files if file.filename == name and file.bytes == size]
        if not ids:
            return ""
        self.say(
            f"Found potentially duplicated files with name '{name}', purpose 'fine-tune' and size {size} bytes"
        )
        self.say("\n".join(ids))
        if not can_ask():
            self.say(f"Nobody can be asked here, so it is uploaded again. To use the earlier one:  -t {ids[0]}")
            return ""
        while True:
            try:
                answer = input("Enter a file ID to reuse that file, or nothing to upload this one: ").strip()
            except EOFError:
                return ""
            if answer in ids:
                self.say(f"Reusing already uploaded file: {answer}")
            if answer in ("", *ids):
                return answer
            self.say(f"'{answer}' is none of these IDs.")
