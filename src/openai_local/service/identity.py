"""Who calls: a name, and whether it is an instructor's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Identity:
    """Somebody whose key is known. What they make belongs to `name`; an instructor sees what everybody made.

    `key` is the id of their key, where this service made it.
    """

    name: str
    instructor: bool = False
    key: str | None = None

    @property
    def sees(self) -> str | None:
        """Whose things they see: the store's argument ``owner``. None means everybody's."""
        return None if self.instructor else self.name


class Door(Protocol):
    """Knows keys.

    `advice` says where one gets a key that it knows, in a sentence.
    """

    advice: str

    async def identify(self, key: str) -> Identity | None:
        """Whose key it is, or None if this door does not know it.

        Raises:
            APIError: it can't be found out now, as somebody else who has to be asked does not answer.
        """
