"""The learner's keys: whether one is needed, and where it comes from. No key is ever shown."""

from __future__ import annotations

import os
import stat
from urllib.parse import urlsplit

from openai_command import settings
from openai_command.doctor import place
from openai_command.doctor.line import Line, ok, warning, wrong
from openai_command.doctor.service import chosen_address
from openai_data.errors import LessonError
from openai_lesson import connection, keys


def key() -> list[Line]:
    """The key for the host that the learner chose, and the file with the keys."""
    file = _file()
    if file and file.mend and "damaged" in file.text:
        return [file]
    return [_key(), *([file] if file else [])]


def _key() -> Line:
    """Where the key comes from; the order is that of `openai_lesson.connection`."""
    _, url = chosen_address()
    hostname = urlsplit(url).hostname or ""
    if not url or connection.is_local(hostname):
        return _for_this_machine()
    name = "openai" if connection.is_openai(hostname) else url
    if connection.suits(os.environ.get("OPENAI_API_KEY", ""), hostname):
        return ok(f"The key for {hostname} comes from {_origin()}.")
    if keys.load(name):
        return ok(f"The key for {hostname} comes from the file with your keys.")
    ask = f"from openai_lesson import keys; keys.ask('{name}')"
    return wrong(
        f"There is no key for {hostname}. It is asked for, hidden, and kept.", f'{place.python()} -c "{ask}"'
    )


def _for_this_machine() -> Line:
    given = os.environ.get("OPENAI_API_KEY", "")
    if connection.looks_real(given):
        return ok(
            f"A key comes from {_origin()}. The command openai takes it to OpenAI; the notebooks stay on this "
            "machine, which needs none."
        )
    if given and not given.startswith("sk-local-"):
        return ok(f"No key is needed on this machine. What {_origin()} says is not a real one.")
    if keys.load("openai"):
        return ok("A key for OpenAI is in the file with your keys. On this machine none is needed.")
    return ok("No key is set. On this machine none is needed.")


def _origin() -> str:
    """Where ``OPENAI_API_KEY`` was set: in the file ``.env`` that the kernel reads, or elsewhere."""
    file = settings.nearest()
    if file and settings.read(file).get("OPENAI_API_KEY") == os.environ.get("OPENAI_API_KEY"):
        return "OPENAI_API_KEY in the file .env"
    return "the environment variable OPENAI_API_KEY"


def _file() -> Line | None:
    """What is wrong with the file, if anything."""
    path = keys.path()
    if not path.exists():
        return None
    try:
        keys.load("openai")
    except LessonError:
        return wrong(f"The file with your keys ({place.shown(path)}) is damaged.", place.delete(path))
    if not place.WINDOWS and path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        return warning(
            f"Others on this machine can read the file with your keys ({place.shown(path)}).",
            f"chmod 600 {place.quoted(path)}",
        )
    return None
