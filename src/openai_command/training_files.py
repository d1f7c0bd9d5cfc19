"""The files of a fine-tune: what ``-t`` and ``-v`` name is a file's id, a path, or an address on the web."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import openai

from openai_command.prepare_data import can_ask
from openai_command.uploading import send
from openai_data.downloading import download, is_url, name_of
from openai_data.errors import LessonError

_RAW = (".csv", ".tsv", ".xlsx", ".txt", ".json")
"""What is prepared first."""


def require(*names: str | None) -> None:
    """Look whether files that are named by their paths are there, before anything is begun.

    Raises:
        LessonError: one is not there, or it must be prepared first.
    """
    for name in names:
        if name is None or _is_id(name):
            continue
        path = Path(name_of(name)) if is_url(name) else Path(name)
        if not is_url(name) and not path.is_file():
            raise LessonError(_missing(path))
        if path.suffix.lower() in _RAW:
            raise LessonError(
                f"{name} is not in the form that a fine-tune takes (JSONL). Prepare it first:  "
                f"openai tools fine_tunes.prepare_data -f {name}"
            )


def _is_id(name: str) -> bool:
    return bool(re.fullmatch(r"file-\w+", name)) and not Path(name).exists()


def _missing(path: Path) -> str:
    if path.is_dir():
        return f"{path} is a folder, not a file."
    prepared = path.with_name(f"{path.stem}_prepared.jsonl")
    if prepared.is_file():
        return f"There is no file {path} in {Path.cwd()}, but there is {prepared}. Did you mean that?"
    return (
        f"There is no file {path} in {Path.cwd()}. Make one from your data with:  "
        "openai tools fine_tunes.prepare_data -f YOUR_FILE"
    )


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
        """The id of a file that is there already, or that is uploaded now.

        Raises:
            LessonError: there is no such file, or it can't be read or fetched.
        """
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
