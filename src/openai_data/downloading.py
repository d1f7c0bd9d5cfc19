"""Fetching a file from the web into a temporary folder, with a bar and a limit."""

import re
import urllib.error
import urllib.request
from collections.abc import Container, Iterator
from contextlib import AbstractContextManager, contextmanager
from http.client import HTTPException
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import IO
from urllib.parse import unquote, urlsplit

from tqdm import tqdm

from openai_data.errors import LessonError

MOST_BYTES = 512 * 1024 * 1024
"""OpenAI takes no larger training file."""
_SECONDS = 60
_NOT_IN_NAMES = re.compile(r"[^\w .,()+@=~#-]")
_LONGEST_NAME = 120


def is_url(text: str) -> bool:
    """Whether a text is an address on the web."""
    return text.lower().startswith(("http://", "https://"))


def name_of(url: str) -> str:
    """What the file at an address is called, without folders; empty if it has no name.

    Whoever made the address chose the name. So what could lead to another folder, on any system, or means
    something to a shell, becomes ``_``, and a very long name loses its beginning.
    """
    name = PurePosixPath(unquote(urlsplit(url).path)).name
    return _NOT_IN_NAMES.sub("_", name)[-_LONGEST_NAME:]


@contextmanager
def download(url: str, name: str = "file", *, page: bool = False) -> Iterator[Path]:
    """Fetch a file, and call it `name`. It is there until the end of the block. With `page`, it may be a web page.

    Raises:
        LessonError: it can't be fetched, it is a web page and must not be, or it is larger than 512 MB.
    """
    with TemporaryDirectory() as folder:
        path = Path(folder) / name
        try:
            request = urllib.request.Request(url, headers={"User-Agent": "openai-lesson"})
            with urllib.request.urlopen(request, timeout=_SECONDS) as answer, path.open("wb") as out:
                if not page and answer.headers.get_content_type() == "text/html":
                    raise LessonError(f"{url} is a web page, not a file. Look there for its raw file.")
                _copy(url, answer, out)
        except (urllib.error.URLError, HTTPException, TimeoutError, ValueError) as error:
            why = getattr(error, "reason", error)
            raise LessonError(
                f"{url} can't be fetched: {why}. Download it in your browser, then name the file."
            ) from None
        yield path


def download_table(url: str, endings: Container[str]) -> AbstractContextManager[Path]:
    """Fetch what may be a web page: it counts as one if its name has none of the endings of files with tables."""
    name = name_of(url) or "page"
    name = name if Path(name).suffix.lower() in endings else f"{Path(name).stem}.html"
    return download(url, name, page=True)


def _copy(url: str, answer: IO[bytes], out: IO[bytes]) -> None:
    received = 0
    with tqdm(desc="Download", unit="B", unit_scale=True, disable=None, leave=False) as bar:
        while piece := answer.read(1 << 16):
            received += len(piece)
            if received > MOST_BYTES:
                raise LessonError(f"{url} is larger than 512 MB, the most that a training file may have.")
            out.write(piece)
            bar.update(len(piece))
