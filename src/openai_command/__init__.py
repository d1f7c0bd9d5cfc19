"""The commands ``openai`` of 2022 and ``openai-lesson``."""

import sysconfig
from pathlib import Path

from openai_data.errors import LessonError

CHECKOUT = Path(__file__).parents[2]
"""The folder with pyproject.toml, if the package was installed with ``pip install -e``."""


def shipped(what: str, name: str, installed: str) -> Path:
    """A file that comes with the package: in the checkout, or where it was installed.

    Args:
        what: what it belongs to, for the sentence.
        name: its path in the checkout.
        installed: its path below the environment's folder ``share``.

    Raises:
        LessonError: it is in neither place.
    """
    places = (CHECKOUT / name, Path(sysconfig.get_path("data")) / "share" / installed)
    if found := next((place for place in places if place.is_file()), None):
        return found
    here, there = (place.parent for place in places)
    raise LessonError(f"{what} are neither in {here} nor in {there}. Install the package again.")
