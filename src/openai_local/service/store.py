"""What is kept: files, jobs, checkpoints, events, models and keys in the database, and the files beside it.

Files, jobs, checkpoints and models are kept as the JSON of the official client's own types, in one table, in the
order in which they were made; beside the JSON stands who owns it and what the service alone needs to know. Of what
was deleted the place in that order stays, so that a list can be paged through while things vanish from it. Every
method is one transaction, on disk when it returns, and `together` makes one of several (`Database`).

A file on disk comes and goes with what the database says of it: a kill at any moment leaves neither without the
other. On its way it has a hidden name (`coming`, `going`). What the database knows when the service starts gets
its name back; what it does not know is removed (`settle`). So nothing that was acknowledged is lost, and nothing
half-written is ever seen.
"""

import contextlib
import json
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Generic, Literal, ParamSpec, TypeVar

import anyio.to_thread
from openai.types import FileObject, Model
from openai.types.fine_tuning import FineTuningJob, FineTuningJobEvent
from openai.types.fine_tuning.jobs import FineTuningJobCheckpoint

from openai_local.service.database import Database
from openai_local.training.job_folder import new_id

Object = FileObject | FineTuningJob | FineTuningJobCheckpoint | Model
T = TypeVar("T", FileObject, FineTuningJob, FineTuningJobCheckpoint, Model)
P = ParamSpec("P")
R = TypeVar("R")
Order = Literal["asc", "desc"]
_ON_THE_WAY = ".moving"


class UnknownCursorError(Exception):
    """A list shall go on behind an object that is not in it."""


class Page(list[R], Generic[R]):
    """Some objects in order, and whether there are more behind them."""

    has_more: bool = False


@dataclass(frozen=True)
class Key:
    """What is kept of a key: whose it is, and Unix times. The key itself is not known any more."""

    id: str
    name: str
    instructor: bool
    created_at: int
    used_at: int | None = None


class Store(Database):
    """The database of one home."""

    def __init__(self, path: Path, *, check: bool = False) -> None:
        super().__init__(path, check=check)
        self._changes = dict[str, int]()

    async def aside(self, look: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Look something up from the event loop: in a thread, if that may wait for somebody who writes."""
        if not self.waits:
            return look(*args, **kwargs)
        return await anyio.to_thread.run_sync(partial(look, *args, **kwargs))

    def add(self, item: Object, owner: str, **private: Any) -> None:
        """Add a file, job or model. `private` is kept beside it and never leaves the service."""
        with self.together():
            self.change("DELETE FROM objects WHERE id = ? AND kind = ''", (item.id,))
            self.change(
                "INSERT INTO objects (kind, id, owner, body, private) VALUES (?, ?, ?, ?, ?)",
                (type(item).__name__, item.id, owner, _dump(item), json.dumps(private)),
            )

    def get(self, kind: type[T], id_: str, owner: str | None = None) -> T | None:
        """The object with this id, or None; with `owner`, only if it is theirs."""
        row = self._row("body", kind, id_, owner)
        return _construct(kind, json.loads(row)) if row else None

    def private(self, kind: type[T], id_: str, owner: str | None = None) -> dict[str, Any]:
        """What was kept beside an object; empty if there is none, or with `owner` if it is not theirs."""
        row = self._row("private", kind, id_, owner)
        return json.loads(row) if row else {}

    def note_private(self, kind: type[T], id_: str, **fields: Any) -> None:
        """Keep more things beside an object."""
        with self.together():
            private = json.dumps(self.private(kind, id_) | fields)
            query = "UPDATE objects SET private = ? WHERE kind = ? AND id = ?"
            self.change(query, (private, kind.__name__, id_))

    def owner(self, kind: type[T], id_: str) -> str:
        """Who owns an object; empty if there is none."""
        return self._row("owner", kind, id_) or ""

    def stored(self, owner: str) -> int:
        """How many bytes somebody's files and models take."""
        query = """SELECT total(coalesce(json_extract(body, '$.bytes'), json_extract(private, '$.bytes')))
            FROM objects WHERE kind IN ('FileObject', 'Model') AND owner = ?"""
        return int(self.ask(query, (owner,))[0][0])

    def last_turns(self) -> dict[str, int]:
        """For each owner of jobs that were started, the number of the last one's turn."""
        query = """SELECT owner, max(json_extract(private, '$.turn')) AS turn FROM objects
            WHERE kind = 'FineTuningJob' GROUP BY owner HAVING turn IS NOT NULL"""
        return dict(self.ask(query))

    def changes(self, id_: str) -> int:
        """How often an object or a job's events were changed since the store was opened; steps don't count.

        It grows when the change can be read, and not before. So who has looked at a job with this number, and
        finds the same number again, has missed nothing.
        """
        return self._changes.get(id_, 0)

    def _changed(self, id_: str) -> None:
        self._changes[id_] = self._changes.get(id_, 0) + 1

    def update(self, kind: type[T], id_: str, change: Callable[[T], None]) -> T | None:
        """Let `change` alter an object and keep the result, in one step. Returns it, or None if there is none."""
        with self.together():
            item = self.get(kind, id_)
            if item is not None:
                change(item)
                query = "UPDATE objects SET body = ? WHERE kind = ? AND id = ?"
                self.change(query, (_dump(item), kind.__name__, id_))
                self.afterwards(partial(self._changed, id_))
        return item

    def delete(self, kind: type[T], id_: str) -> bool:
        """Remove an object. Returns whether it was there."""
        query = "UPDATE objects SET kind = '', body = '{}', private = '{}' WHERE kind = ? AND id = ?"
        return self.change(query, (kind.__name__, id_)) > 0

    def page(
        self,
        kind: type[T],
        *,
        owner: str | None = None,
        after: str | None = None,
        limit: int = -1,
        order: Order = "desc",
        having: dict[str, str] | None = None,
        **fields: str | None,
    ) -> Page[T]:
        """Objects in the order they were made (``desc``: newest first), at most `limit`; -1 for all.

        With `owner` only what belongs to them, behind the object with the id `after`, whose metadata are `having`
        all of these, and whose top-level `fields` have these values, such as ``status="queued"``. Raises
        `UnknownCursorError` if `after` is no id, or somebody else's.
        """
        where, values = ["kind = ?"], list[str | None]([kind.__name__])
        scope = {} if owner is None else {"owner": owner}
        for name, value in fields.items():
            where.append(f"json_extract(body, '$.{name}') IS ?")
            values.append(value)
        for name, text in (having or {}).items():
            where.append("EXISTS (SELECT 1 FROM json_each(body, '$.metadata') WHERE key = ? AND value = ?)")
            values += [name, text]
        return self._page("objects", scope, where, values, (after, limit, order), partial(_construct, kind))

    def table(self, kind: type[T], *fields: str, status: Collection[str] = ()) -> list[tuple[Any, ...]]:
        """A few fields of all objects of a kind, newest first: much less work than the objects.

        For each object come its id, its owner, and the `fields`, such as ``body.status`` or ``private.bytes``;
        None where it has no such field. With `status`, only objects that have one of these.
        """
        paths = (field.partition(".") for field in fields)
        columns = "".join(f", json_extract({column}, '$.{path}')" for column, _, path in paths)
        which = f" AND json_extract(body, '$.status') IN ({', '.join('?' * len(status))})" if status else ""
        query = f"SELECT id, owner{columns} FROM objects WHERE kind = ?{which} ORDER BY seq DESC"
        return self.ask(query, (kind.__name__, *status))

    def _row(self, column: str, kind: type[T], id_: str, owner: str | None = None) -> str | None:
        query = f"SELECT {column} FROM objects WHERE kind = ? AND id = ? AND owner = coalesce(?, owner)"
        rows = self.ask(query, (kind.__name__, id_, owner))
        return rows[0][0] if rows else None

    def _page(
        self, table: str, scope: dict[str, str], where: list[str], values: list[Any], which: Any, read: Any
    ) -> Page[Any]:
        """`scope` holds for the cursor `after` too, `where` for the objects alone; `read` is done with each."""
        after, limit, order = which
        within = "".join(f" AND {column} = ?" for column in scope)
        if after is not None:
            found = self.ask(f"SELECT seq FROM {table} WHERE id = ?{within}", (after, *scope.values()))
            if not found:
                raise UnknownCursorError(after)
            where.append(f"seq {'<' if order == 'desc' else '>'} ?")
            values.append(found[0][0])
        query = f"SELECT body FROM {table} WHERE {' AND '.join(where)}{within} ORDER BY seq {order} LIMIT ?"
        rows = self.ask(query, [*values, *scope.values(), limit + 1 if limit >= 0 else -1])
        page = Page(read(json.loads(body)) for (body,) in rows[: limit if limit >= 0 else None])
        page.has_more = 0 <= limit < len(rows)
        return page

    def add_events(self, job: str, events: Collection[FineTuningJobEvent]) -> None:
        """Add events to a job; one whose id is known already is left out."""
        rows = [(job, event.id, _dump(event)) for event in events]
        with self.together():
            self.change_each("INSERT OR IGNORE INTO events (job, id, body) VALUES (?, ?, ?)", rows)
            if any(event.type != "metrics" for event in events):
                self.afterwards(partial(self._changed, job))

    def events(self, job: str, *, after: str | None = None, limit: int = 20, order: Order = "desc") -> Page[Any]:
        """A job's events as they go out, dictionaries; the arguments are those of `page`."""
        return self._page("events", {"job": job}, ["1"], [], (after, limit, order), lambda event: event)

    def add_key(self, name: str, hash_: str, *, instructor: bool = False) -> None:
        """Keep the hash of a key that belongs to `name`."""
        query = "INSERT INTO keys (id, hash, name, instructor, created_at) VALUES (?, ?, ?, ?, ?)"
        self.change(query, (new_id("key"), hash_, name, instructor, int(time.time())))

    def keys(self) -> list[Key]:
        """All keys, oldest first."""
        return self._keys("ORDER BY rowid")

    def find_key(self, hash_: str) -> Key | None:
        """The key with this hash, or None."""
        return next(iter(self._keys("WHERE hash = ?", hash_)), None)

    def revoke(self, id_: str) -> bool:
        """Forget a key. Returns whether it was there."""
        return self.change("DELETE FROM keys WHERE id = ?", (id_,)) > 0

    def _keys(self, which: str, *values: str) -> list[Key]:
        rows = self.ask(f"SELECT id, name, instructor, created_at, used_at FROM keys {which}", values)
        return [Key(id_, name, bool(instructor), *times) for id_, name, instructor, *times in rows]

    def activity(self) -> dict[str, tuple[int, int]]:
        """How many answers each name has asked for, and when it called last (Unix time)."""
        rows = self.ask("SELECT name, asked, seen_at FROM activity")
        return {name: (asked, seen_at) for name, asked, seen_at in rows}

    def note_activity(self, names: dict[str, tuple[int, int]], keys: dict[str, int]) -> None:
        """Keep `activity` of some names, and when keys were used last, by their ids."""
        with self.together():
            query = "INSERT OR REPLACE INTO activity (name, asked, seen_at) VALUES (?, ?, ?)"
            self.change_each(query, [(name, *found) for name, found in names.items()])
            query = "UPDATE keys SET used_at = ? WHERE id = ?"
            self.change_each(query, [(at, id_) for id_, at in keys.items()])


def _dump(item: Object | FineTuningJobEvent) -> str:
    return item.to_json(indent=None, warnings=False)


def _construct(kind: type[T], item: dict[str, Any]) -> T:
    """As the client reads an answer, without checks: a job may be ``paused``, which its type does not know."""
    return kind.construct(**item)


def _hidden(path: Path) -> Path:
    return path.with_name(f".{path.name}{_ON_THE_WAY}")


@contextlib.contextmanager
def coming(path: Path) -> Iterator[Path]:
    """Bring a file: the block writes it to the place that it is given, then tells the database of it."""
    part = _hidden(path)
    try:
        yield part
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    part.replace(path)


@contextlib.contextmanager
def going(path: Path) -> Iterator[Callable[[], None]]:
    """Remove a file: the block calls what it is given, then tells the database. The file may be gone already."""
    part, went = _hidden(path), False

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


def settle(folder: Path, below: str, known: Callable[[Path], bool]) -> None:
    """Bring to an end what an earlier service was killed in, in a folder or those `below` it (a pattern, ``*/``).

    `known` says whether the database knows a file.
    """
    for part in list(folder.glob(f"{below}.*{_ON_THE_WAY}")):
        path = part.with_name(part.name[1 : -len(_ON_THE_WAY)])
        if known(path):
            part.replace(path)
        else:
            part.unlink()
