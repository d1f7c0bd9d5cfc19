"""``openai-local keys new``, ``list``, ``renew`` and ``revoke``: who may call the service.

They work on the database, whether the service runs or not. It looks there at each request, so a new key counts at
once, and so does it that one was revoked.
"""

import contextlib
import difflib
import json
import re
import time
from argparse import Namespace

from openai_local.errors import LocalError
from openai_local.home import Home
from openai_local.service.auth import make_key
from openai_local.service.store import Key, Store


def check_name(name: str) -> None:
    """Raise `LocalError` for what can't be a key's name."""
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", name):
        message = "A key's name has 1 to 64 letters, digits, - or _.  For example:  openai-local keys new ada"
        raise LocalError(message)


def _store(arguments: Namespace) -> contextlib.closing[Store]:
    return contextlib.closing(Store(Home.open(arguments.home).database))


def _new(arguments: Namespace) -> None:
    check_name(arguments.name)
    with _store(arguments) as store:
        print(make_key(store, arguments.name, instructor=arguments.instructor))


def _list(arguments: Namespace) -> None:
    with _store(arguments) as store:
        keys = store.keys()
    if arguments.json:
        told = ("name", "id", "created_at", "used_at")
        print(json.dumps([{name: getattr(key, name) for name in told} | {"role": _role(key)} for key in keys]))
    elif not keys:
        print("There are no keys yet. Make one with:  openai-local keys new NAME")
    else:
        rows = [("NAME", "ID", "ROLE", "MADE", "LAST USED")]
        rows += [(key.name, key.id, _role(key), _date(key.created_at), _date(key.used_at)) for key in keys]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for row in rows:
            print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _role(key: Key) -> str:
    return "instructor" if key.instructor else "learner"


def _date(seconds: float | None) -> str:
    return "never" if seconds is None else time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))


def _renew(arguments: Namespace) -> None:
    """The new key has the role of the one that was made last. It is there before the others go."""
    with _store(arguments) as store:
        old = _of(store.keys(), arguments.name)
        print(make_key(store, arguments.name, instructor=old[-1].instructor))
        for key in old:
            store.revoke(key.id)


def _revoke(arguments: Namespace) -> None:
    which = arguments.which
    with _store(arguments) as store:
        keys = store.keys()
        found = [key for key in keys if key.id == which] or _of(keys, which)
        for key in found:
            store.revoke(key.id)
    name = found[0].name
    print(f"{len(found)} key(s) of {name} can't be used any more. What was made with them is still there.")


def _of(keys: list[Key], name: str) -> list[Key]:
    if found := [key for key in keys if key.name == name]:
        return found
    near = difflib.get_close_matches(name, {key.name for key in keys}, 1)
    meant = f"Is it {near[0]}?  " if near else ""
    raise LocalError(f"There is no key of {name}. {meant}All keys:  openai-local keys list")


COMMANDS = {"new": _new, "list": _list, "renew": _renew, "revoke": _revoke}
