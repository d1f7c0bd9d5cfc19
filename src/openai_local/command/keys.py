"""``openai-local keys new``, ``list``, ``renew`` and ``revoke``: who may call the service.

They work on the database, whether the service runs or not. It looks there at each request, so a new key counts at
once, and so does it that one was revoked.
"""

from __future__ import annotations

import argparse
import contextlib
import difflib
import json
import re
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from openai_local.errors import LocalError
from openai_local.home import Home

if TYPE_CHECKING:
    from openai_local.service.store import Key, Store


def add_commands(keys: Any, home: argparse.ArgumentParser) -> None:
    """Put the four commands below ``openai-local keys``.

    Args:
        keys: what `argparse` made for the actions of ``keys``.
        home: the parser with the option ``--home``.
    """
    new = keys.add_parser("new", parents=[home], help="make a key and print it")
    new.add_argument("name", help="whose key it is: letters, digits, - and _")
    new.add_argument("--instructor", action="store_true", help="it sees what everybody does")
    new.set_defaults(run=_new)
    list_ = keys.add_parser("list", parents=[home], help="which keys there are; a key itself is never shown again")
    list_.add_argument("--json", action="store_true", help="as JSON")
    list_.set_defaults(run=_list)
    renew = keys.add_parser("renew", parents=[home], help="a new key for a name, in place of those that it has")
    renew.add_argument("name", help="whose key it is")
    renew.set_defaults(run=_renew)
    revoke = keys.add_parser("revoke", parents=[home], help="make a key worthless, or all of a name")
    revoke.add_argument("which", metavar="NAME|ID", help="a name, or the id of one key as 'keys list' shows it")
    revoke.set_defaults(run=_revoke)


def check_name(name: str) -> None:
    """Refuse what can't be a key's name.

    Raises:
        LocalError: it has other characters, or too many.
    """
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", name):
        raise LocalError(
            "A key's name has 1 to 64 letters, digits, - or _.  For example:  openai-local keys new ada"
        )


@contextlib.contextmanager
def _store(arguments: argparse.Namespace) -> Iterator[Store]:
    from openai_local.service.store import Store

    store = Store(Home.open(arguments.home).database)
    try:
        yield store
    finally:
        store.close()


def _new(arguments: argparse.Namespace) -> None:
    from openai_local.service.auth import make_key

    check_name(arguments.name)
    with _store(arguments) as store:
        print(make_key(store, arguments.name, instructor=arguments.instructor))


def _list(arguments: argparse.Namespace) -> None:
    with _store(arguments) as store:
        keys = store.keys()
    if arguments.json:
        print(json.dumps([_facts(key) for key in keys]))
    elif not keys:
        print("There are no keys yet. Make one with:  openai-local keys new NAME")
    else:
        rows = [("NAME", "ID", "ROLE", "MADE", "LAST USED")]
        rows += [(key.name, key.id, _role(key), _date(key.created_at), _date(key.used_at)) for key in keys]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for row in rows:
            print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _facts(key: Key) -> dict[str, Any]:
    return {
        "name": key.name,
        "id": key.id,
        "role": _role(key),
        "created_at": key.created_at,
        "used_at": key.used_at,
    }


def _role(key: Key) -> str:
    return "instructor" if key.instructor else "learner"


def _date(seconds: float | None) -> str:
    return "never" if seconds is None else time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))


def _renew(arguments: argparse.Namespace) -> None:
    """The new key has the role of the one that was made last. It is there before the others go."""
    from openai_local.service.auth import make_key

    with _store(arguments) as store:
        keys = store.keys()
        old = [key for key in keys if key.name == arguments.name]
        if not old:
            raise _unknown(arguments.name, keys)
        print(make_key(store, arguments.name, instructor=old[-1].instructor))
        for key in old:
            store.revoke(key.id)


def _revoke(arguments: argparse.Namespace) -> None:
    which = arguments.which
    with _store(arguments) as store:
        keys = store.keys()
        found = [key for key in keys if key.id == which] or [key for key in keys if key.name == which]
        if not found:
            raise _unknown(which, keys)
        for key in found:
            store.revoke(key.id)
    names = ", ".join(sorted({key.name for key in found}))
    print(f"{len(found)} key(s) of {names} can't be used any more. What was made with them is still there.")


def _unknown(which: str, keys: list[Key]) -> LocalError:
    near = difflib.get_close_matches(which, {key.name for key in keys}, 1)
    meant = f"Is it {near[0]}?  " if near else ""
    return LocalError(f"There is no key of {which}. {meant}All keys:  openai-local keys list")
