"""What goes wrong in the service's threads: told once, and never in the way of other jobs."""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import ParamSpec, TypeVar

from openai_local import disk

log = logging.getLogger(__name__)
P = ParamSpec("P")
T = TypeVar("T")


class Aside:
    """Does things one after the other, inside ``with``. One that fails does not hold up the others.

    Its error is raised at the end of the block; of several, the first.
    """

    def __init__(self) -> None:
        """Nothing has failed."""
        self._error: Exception | None = None

    def run(self, act: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | None:
        """Do something. Returns what it returns, or None if it fails."""
        try:
            return act(*args, **kwargs)
        except Exception as error:
            self._error = self._error or error
            return None

    def __enter__(self) -> Aside:
        """Begin."""
        return self

    def __exit__(self, *_: object) -> None:
        """Raise what was kept."""
        if self._error:
            raise self._error


class Troubles:
    """Writes into the log what goes wrong again and again: once, as the log needs room on the disk too."""

    def __init__(self, where: Path) -> None:
        """`where` is the home, for the sentences."""
        self._where = where
        self._told: dict[Hashable, str] = {}

    def note(self, what: Hashable, error: Exception) -> None:
        """Something failed, and will be tried again."""
        if self._told.get(what) == repr(error):
            return
        self._told[what] = repr(error)
        if said := disk.sentence(error, self._where):
            log.warning("%s The service goes on as soon as it can.", said)
        else:
            log.error("the service stumbled and goes on", exc_info=error)

    def over(self, what: Hashable) -> None:
        """It works."""
        self._told.pop(what, None)
