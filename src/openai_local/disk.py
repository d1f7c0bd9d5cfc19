"""What a disk or the database refuses, in sentences.

A disk is full, a folder is read-only, a database is damaged: that is nobody's bug, and it may be over in a minute.
So it is told in a sentence, what was there stays, and the same thing is tried again later.
"""

import errno
import sqlite3
from pathlib import Path
from typing import Literal

# Why something can't be written: no room, no permission, a disk that fails, a database that another program holds,
# or one that can't be read any more.
Refusal = Literal["full", "shut", "sick", "busy", "damaged"]
_NUMBERS: dict[Refusal, str] = {
    "full": "ENOSPC EFBIG EDQUOT",
    "shut": "EROFS EACCES EPERM",
    "sick": "EIO ENODEV ENXIO ESTALE ENOLCK",
}
_CODES: dict[Refusal, str] = {
    "full": "FULL",
    "shut": "READONLY PERM CANTOPEN",
    "sick": "IOERR PROTOCOL",
    "busy": "BUSY LOCKED",
    "damaged": "CORRUPT NOTADB",
}
# Not every system has all of these names.
_BY_NUMBER = {getattr(errno, name, -1): kind for kind, names in _NUMBERS.items() for name in names.split()}
_BY_CODE = {getattr(sqlite3, f"SQLITE_{name}"): kind for kind, names in _CODES.items() for name in names.split()}
_HERE: dict[Refusal, str] = {
    "full": "There is no room left on the disk of {where}. What was there is unharmed. Make room, and try again.",
    "shut": "{where} can't be written to ({why}). What was there is unharmed. Make it writable, or choose another "
    "folder with --home DIR.",
    "sick": "The disk of {where} does not work as it should ({why}). Nothing was changed. Look after the disk, or "
    "choose another folder with --home DIR.",
    "busy": "The database of {where} is in use by another program. Try again in a moment.",
    "damaged": "The database of {where} is damaged ({why}). Nothing was changed. {advice}",
}
FOR_CLIENTS: dict[Refusal, str] = {  # what to tell somebody who calls the service: no path, it is none of theirs
    "full": "There is no room left on the service's disk, so this was not kept. What was there is unharmed. "
    "Delete files and models that nobody needs, or ask for room, and try again.",
    "shut": "The service can't write to its folder at the moment, so this was not kept. What was there is "
    "unharmed. Try again later.",
    "sick": "The service's disk does not work as it should, so this was not done. Try again later.",
    "busy": "The service's database is in use by another program. Try again in a moment.",
    "damaged": "The service's database is damaged, so this was not done. Whoever runs the service finds in its "
    "log what to do.",
}


def refusal(error: BaseException) -> Refusal | None:
    """Why the disk or the database refused something; None if `error` says something else."""
    if isinstance(error, OSError):
        if error.errno is None and str(error).endswith("written"):
            return "full"  # numpy's words for it
        return _BY_NUMBER.get(error.errno or 0)
    if isinstance(error, sqlite3.Error):
        return _BY_CODE.get(getattr(error, "sqlite_errorcode", 0) & 0xFF)  # the rest of the number is detail
    return None


def sentence(error: BaseException, where: Path) -> str | None:
    """What to tell at the terminal and in the log, of `where` or the error's own folder; None if no refusal."""
    kind = refusal(error)
    if kind is None:
        return None
    why = error.strerror if isinstance(error, OSError) else error
    named = getattr(error, "filename", None)
    where = Path(named) if named and kind == "shut" else where
    return _HERE[kind].format(where=where, why=why, advice=anew(where))


def anew(home: Path) -> str:
    """What to do when the database of a home is lost."""
    return (
        "Put it back from a backup. If there is none, give the folder another name and start again, with new "
        f"keys. In the old one, uploads lie in {home.name}/files, and trained models in "
        f"{home.name}/jobs/*/adapter.gguf."
    )
