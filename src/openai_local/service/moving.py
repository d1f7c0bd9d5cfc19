"""Files that come and go together with the database: a kill at any moment leaves neither without the other.

On its way a file has a hidden name. What the database knows when the service starts gets its name back; what it
does not know is removed. So nothing that was acknowledged is lost, and nothing half-written is ever seen.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

_END = ".moving"


def hidden(path: Path) -> Path:
    """Where a file lies while it comes or goes."""
    return path.with_name(f".{path.name}{_END}")


@contextlib.contextmanager
def coming(path: Path) -> Iterator[Path]:
    """Bring a file: the block writes it to the place that it is given, then tells the database of it."""
    part = hidden(path)
    try:
        yield part
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    part.replace(path)


@contextlib.contextmanager
def going(path: Path) -> Iterator[Callable[[], None]]:
    """Remove a file: the block calls what it is given, then tells the database. The file may be gone already."""
    part, went = hidden(path), False

    def go() -> None:
        nonlocal went
        with contextlib.suppress(FileNotFoundError):
            path.replace(part)
            went = True

    try:
        yield go
    except BaseException:
        if went:
            part.replace(path)
        raise
    if went:
        part.unlink(missing_ok=True)


def settle(parts: Iterable[Path], known: Callable[[Path], bool]) -> None:
    """Bring to an end what an earlier service was killed in.

    Args:
        parts: files with hidden names.
        known: whether the database knows the file whose name this will be.
    """
    for part in parts:
        path = part.with_name(part.name[1 : -len(_END)])
        if known(path):
            part.replace(path)
        else:
            part.unlink()


def on_the_way(folder: Path, below: str = "") -> list[Path]:
    """The files in a folder (or in those `below` it, a pattern such as ``*/``) that have hidden names."""
    return list(folder.glob(f"{below}.*{_END}"))
