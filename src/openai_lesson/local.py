"""The service on this machine: whether it runs, starting it, fetching its base model, a key for it.

The service is run as a command and spoken to over HTTP, like any other host of this API; none of it is imported.
"""

import io
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from typing import Any, TextIO

import openai

from openai_data.errors import LessonError
from openai_data.local_cli import command, output
from openai_lesson import keys

IDLE_SECONDS = 2 * 60 * 60


@dataclass(frozen=True)
class Service:
    """A service that listens: its base URL, its home folder, and whether it was started just now."""

    url: str
    home: str
    started: bool = False


def go_directly() -> None:
    """See to it that this machine is reached without a proxy, whatever is set for others."""
    for name in ("no_proxy", "NO_PROXY"):
        known = os.environ.get(name, "")
        if "127.0.0.1" not in known:
            os.environ[name] = ",".join(filter(None, [known, "127.0.0.1", "localhost"]))


def find() -> Service:
    """The service on this machine. Starts it if it does not run, and fetches its base model first.

    Raises:
        LessonError: it can't be started, or the base model can't be fetched.
    """
    status = require_base()
    words = command("serve", "--detached", "--port", "0", "--idle-timeout", str(IDLE_SECONDS))
    how: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    # It outlives the notebook, on Windows too.
    how |= {"start_new_session": True, "creationflags": getattr(subprocess, "DETACHED_PROCESS", 0)}
    told: Any = subprocess.Popen(words, text=True, **how).stdout
    with told:
        said = told.readline().strip()
    if not said.startswith("http"):
        raise LessonError(said.removeprefix("openai-local: ") or f"No service started. See {status['log']}.")
    return Service(said, status["home"], started=said != status["url"])


def running() -> Service | None:
    """The service on this machine if it runs. Raises `LessonError` if its home can't be read."""
    status = _status()
    return Service(status["url"], status["home"]) if status["url"] else None


def _status() -> dict[str, Any]:
    return json.loads(output("status", "--json"))


def require_base() -> dict[str, Any]:
    """Fetch the base model of the service on this machine, unless it is here; shows a progress bar on stderr.

    Returns what ``openai-local status`` said before. Raises `LessonError` if it can't be fetched.
    """
    status = _status()
    if not status["base_ready"]:
        code, said = _show(command("bases", "fetch"), "\r", sys.stderr)  # a progress bar overwrites itself
        if code != 0:
            raise LessonError(said.strip().splitlines()[-1].removeprefix("openai-local: "))
    return status


def doctor() -> None:
    """Look at this machine and say, line by line, whether it is ready for the lesson.

    It prints what ``openai-lesson doctor`` prints in a terminal.
    """
    _show([sys.executable, "-P", "-X", "utf8", "-m", "openai_command.lesson", "doctor"], "\n", sys.stdout)


def _show(words: list[str], line_end: str, where: TextIO) -> tuple[int, str]:
    """Run a command and show what it prints as it comes. Returns its exit code, and all that it printed."""
    said = ""
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        assert process.stdout is not None
        for piece in io.TextIOWrapper(process.stdout, "utf-8", "replace", line_end):
            said += piece
            print(piece, end="", flush=True, file=where)
    return process.returncode, said


def takes(url: str, key: str) -> bool:
    """Whether the service at `url` knows the key."""
    try:
        openai.OpenAI(base_url=url, api_key=key).models.list()
    except openai.AuthenticationError:
        return False
    return True


def own_key(service: Service) -> str:
    """The lesson's own key for the service on this machine. Made once, and again if the home was emptied since."""
    name = f"local:{service.home}"
    key = keys.load(name)
    if key and takes(service.url, key):
        return key
    key = output("keys", "new", "lesson", "--home", service.home)
    keys.save(name, key)
    return key
