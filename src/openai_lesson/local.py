"""The service on this machine: whether it runs, starting it, fetching its base model, a key for it.

The service is run as a command and spoken to over HTTP, like any other host of this API; none of it is imported.
"""

import io
import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
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
    status = _status()
    require_base(status)
    if status["url"] and _answers(status["url"]):
        return Service(status["url"], status["home"])
    return Service(_start(status), status["home"], started=True)


def running() -> Service | None:
    """The service on this machine if it runs; nothing is started.

    Raises:
        LessonError: its home can't be read.
    """
    status = _status()
    return Service(status["url"], status["home"]) if status["url"] else None


def _status() -> dict[str, Any]:
    return json.loads(output("status", "--json"))


def require_base(status: dict[str, Any] | None = None) -> None:
    """Fetch the base model of the service on this machine, unless it is here; shows a progress bar on stderr.

    Args:
        status: what the service's command said of itself (nothing: it is asked).

    Raises:
        LessonError: it can't be fetched; the message says why.
    """
    if (status or _status())["base_ready"]:
        return
    code, said = _show(command("bases", "fetch"), "\r", sys.stderr)  # a progress bar overwrites itself
    if code != 0:
        raise LessonError(said.strip().splitlines()[-1].removeprefix("openai-local: "))


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


def _answers(url: str) -> bool:
    try:
        takes(url, "none", max_retries=0, timeout=5)
    except openai.APIError:
        return False
    return True  # it lives, even if it wants another key


def _start(status: dict[str, Any]) -> str:
    words = command("serve", "--port", "0", "--idle-timeout", str(IDLE_SECONDS))
    private = os.open(status["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    with os.fdopen(private, "ab") as log:
        process = subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, text=True, **_detached()
        )
    assert process.stdout is not None
    with process.stdout as said:
        url = said.readline().strip()
    return url or _wait_for_other(status)


def _detached() -> dict[str, Any]:
    """How to start a process that outlives the notebook."""
    if sys.platform == "win32":
        return {"creationflags": subprocess.DETACHED_PROCESS | subprocess.CREATE_NEW_PROCESS_GROUP}
    return {"start_new_session": True}


def _wait_for_other(status: dict[str, Any]) -> str:
    """Another notebook may be starting the service at this very moment; then ours steps back."""
    url = None
    for _ in range(20):
        if (url := _status()["url"]) and _answers(url):
            return url
        time.sleep(0.5)
    if url:
        raise LessonError(
            f"A service at {url} holds the folder {status['home']}, and it can't be reached from here. It may run "
            "on another machine that shares the folder. Stop it there:  openai-local stop"
        )
    log = Path(status["log"])
    said = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:] or ["nothing"]
    raise LessonError(f"The service on this machine did not start. It said: {said[0]}\nMore is in {log}.")


def takes(url: str, key: str, **options: Any) -> bool:
    """Whether the service at `url` knows the key; `options` are those of the client."""
    try:
        openai.OpenAI(base_url=url, api_key=key, **options).models.list()
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
