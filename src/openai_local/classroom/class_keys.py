"""Keys for a class: new ones for those who have none, on a hand-out.

A service that is started again with the same roster finds everybody's keys and makes none: only their hashes are
kept, so they can't be shown again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from openai_local.classroom.handout import Strip, write_handout
from openai_local.classroom.roster import Learner
from openai_local.errors import LocalError
from openai_local.home import Home
from openai_local.service.auth import hash_key, make_key
from openai_local.service.store import Store


@dataclass(frozen=True)
class Made:
    """How many learners got a key now, how many had one, and where the hand-out lies (None if none was needed)."""

    new: int
    known: int
    handout: Path | None


def make_class_keys(home: Home, url: str, learners: Sequence[Learner], instructor: str) -> Made:
    """Make keys for those of a class who have none, and write the hand-out with them.

    Args:
        home: where the keys and the hand-out are kept.
        url: the base URL that learners type.
        learners: the class.
        instructor: whose key sees everything.

    Raises:
        LocalError: the hand-out can't be written; then there are no new keys either.
    """
    store = Store(home.database)
    try:
        keys = store.keys()
        known = {key.name for key in keys}
        new = [learner for learner in learners if learner.name not in known]
        strips = [Strip(learner.name, learner.shown, make_key(store, learner.name)) for learner in new]
        if not any(key.instructor and key.name == instructor for key in keys):
            strips.insert(0, Strip(instructor, instructor, make_key(store, instructor, instructor=True), True))
        handout = _write(home, store, url, strips) if strips else None
    finally:
        store.close()
    return Made(len(new), len(learners) - len(new), handout)


def _write(home: Home, store: Store, url: str, strips: Sequence[Strip]) -> Path:
    try:
        return write_handout(home, url, strips)
    except OSError as error:
        for strip in strips:
            if key := store.find_key(hash_key(strip.key)):
                store.revoke(key.id)
        raise LocalError(
            f"The hand-out can't be written to {home.path}: {error.strerror}. No key was made. Make room, and "
            "start the service again."
        ) from None
