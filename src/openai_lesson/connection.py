"""Finding the service and connecting the official client to it.

`connect` returns an ordinary `openai.OpenAI` client. By default it finds the service on this machine, or starts
it, and sets ``OPENAI_BASE_URL`` and ``OPENAI_API_KEY``, so that any other code in the notebook reaches it too.
The service is started as a command and spoken to over HTTP, like any other host of this API.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import openai

from openai_lesson import keys
from openai_lesson.errors import LessonError
from openai_lesson.prepare import Form

OPENAI_URL = "https://api.openai.com/v1"
IDLE_SECONDS = 2 * 60 * 60
_SET_HERE = "OPENAI_LESSON_LOCAL_URL"


@dataclass(frozen=True)
class Host:
    """What suits the host that a client speaks to.

    `model` is the model to fine-tune there, and `form` the form of its training data and of its questions:
    ``"completion"`` as in 2022, or ``"chat"``.
    """

    name: str
    local: bool
    model: str
    form: Form


def connect(to: str | None = None) -> openai.OpenAI:
    """Connect the official client.

    Args:
        to: nothing for the service on this machine (or for the address in ``OPENAI_BASE_URL``, where the learner
            set one), ``"local"`` for this machine in any case, ``"openai"`` for OpenAI with the learner's own
            key, or another host's base URL.

    Returns:
        The client. ``OPENAI_BASE_URL`` and ``OPENAI_API_KEY`` are set to match.

    Raises:
        LessonError: the service can't be started, or there is no key for the host.
    """
    given_url, given_key = _given()
    to = to or given_url
    if to in (None, "local"):
        url, key = _local()
        os.environ[_SET_HERE] = url
    else:
        url = OPENAI_URL if to == "openai" else str(to)
        key = _key_for(to, given_key)
    os.environ["OPENAI_BASE_URL"], os.environ["OPENAI_API_KEY"] = url, key
    client = openai.OpenAI()
    print(f"Connected to {host(client).name} ({url})")
    return client


def host(client: openai.OpenAI) -> Host:
    """What suits the host that `client` speaks to."""
    name = urlsplit(str(client.base_url)).hostname or ""
    if name in ("127.0.0.1", "localhost", "::1") or client.api_key.startswith("sk-local-"):
        return Host("the service on this machine", True, "ada", "completion")
    known = "OpenAI" if name.endswith("openai.com") else name
    return Host(known, False, "gpt-4.1-nano-2025-04-14", "chat")


def _given() -> tuple[str | None, str]:
    """Address and key that the learner set in the environment, and not an earlier `connect`."""
    url = os.environ.get("OPENAI_BASE_URL") or None
    if url and url == os.environ.get(_SET_HERE):
        return None, ""
    return url, os.environ.get("OPENAI_API_KEY", "")


def _key_for(name: str, given: str) -> str:
    if name == "openai" and given.startswith("sk-local-"):
        given = ""
    key = given or keys.load(name)
    if not key:
        raise LessonError(
            f"There is no key for {name}. Enter it once, hidden, with:\n"
            f"    from openai_lesson import keys; keys.ask({name!r})\n"
            "or use the service on this machine, which needs none:  connect('local')"
        )
    return key


def _local() -> tuple[str, str]:
    """The base URL of the service on this machine and a key for it. Starts it if it does not run."""
    status = _status()
    require_base(status)
    url = status["url"] if status["url"] and _answers(status["url"]) else _start(status)
    return url, _local_key(status["home"], url)


def _command(*words: str) -> list[str]:
    return [sys.executable, "-m", "openai_local", *words]


def _output(*words: str) -> str:
    done = subprocess.run(_command(*words), capture_output=True, text=True)
    if done.returncode != 0:
        raise LessonError(done.stderr.strip() or f"openai-local {words[0]} failed without saying why.")
    return done.stdout.strip()


def _status() -> dict[str, Any]:
    return json.loads(_output("status", "--json"))


def require_base(status: dict[str, Any] | None = None) -> None:
    """Fetch the base model of the service on this machine, unless it is here; shows a progress bar.

    Raises:
        LessonError: it can't be fetched; the message says why.
    """
    if (status or _status())["base_ready"]:
        return
    said = ""
    with subprocess.Popen(_command("bases", "fetch"), stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        assert process.stdout is not None
        for piece in io.TextIOWrapper(
            process.stdout, "utf-8", "replace", "\r"
        ):  # a progress bar overwrites itself
            said += piece
            print(piece, end="", flush=True)
    if process.returncode != 0:
        raise LessonError(said.strip().splitlines()[-1].removeprefix("openai-local: "))


@contextmanager
def own_service() -> Iterator[None]:
    """Stop the service on this machine at the end of the block, unless it ran before."""
    ran_before = _status()["url"]
    try:
        yield
    finally:
        if not ran_before:
            _output("stop")


def _answers(url: str) -> bool:
    try:
        openai.OpenAI(base_url=url, api_key="none", max_retries=0, timeout=5).models.list()
    except openai.AuthenticationError:
        return True  # it lives, and wants a real key
    except openai.APIError:
        return False
    return True


def _start(status: dict[str, Any]) -> str:
    command = _command("serve", "--port", "0", "--idle-timeout", str(IDLE_SECONDS))
    with Path(status["log"]).open("ab") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, text=True, **_detached()
        )
    assert process.stdout is not None
    with process.stdout as output:
        url = output.readline().strip()
    return url or _wait_for_other(status)


def _detached() -> dict[str, Any]:
    """How to start a process that outlives the notebook."""
    if sys.platform == "win32":
        return {"creationflags": subprocess.DETACHED_PROCESS | subprocess.CREATE_NEW_PROCESS_GROUP}
    return {"start_new_session": True}


def _wait_for_other(status: dict[str, Any]) -> str:
    """Another notebook may be starting the service at this very moment; then ours steps back."""
    for _ in range(20):
        if url := _status()["url"]:
            return url
        time.sleep(0.5)
    log = Path(status["log"])
    said = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:] or ["nothing"]
    raise LessonError(f"The service on this machine did not start. It said: {said[0]}\nMore is in {log}.")


def _local_key(home: str, url: str) -> str:
    name = f"local:{home}"
    key = keys.load(name)
    if key:
        try:
            openai.OpenAI(base_url=url, api_key=key).models.list()
            return key
        except openai.AuthenticationError:
            pass  # the service's home was emptied since
    key = _output("keys", "new", "lesson", "--home", home)
    keys.save(name, key)
    return key
