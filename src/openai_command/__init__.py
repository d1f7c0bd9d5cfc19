"""The commands ``openai`` of 2022 and ``openai-lesson``."""

import sysconfig
from pathlib import Path

from openai_data.errors import LessonError

CHECKOUT = Path(__file__).parents[2]
"""The folder with pyproject.toml, if the package was installed with ``pip install -e``."""


def shipped(what: str, name: str, installed: str) -> Path:
    """A file that comes with the package: at `name` in the checkout, or `installed` below the folder ``share``.

    If it is in neither place, that is a `LessonError`, which says `what` it belongs to.
    """
    places = (CHECKOUT / name, Path(sysconfig.get_path("data")) / "share" / installed)
    if found := next((place for place in places if place.is_file()), None):
        return found
    here, there = (place.parent for place in places)
    raise LessonError(f"{what} are neither in {here} nor in {there}. Install the package again.")
