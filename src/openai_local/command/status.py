"""``openai-local where``, ``status``, ``start``, ``stop``: the service that runs, and where its things are."""

from __future__ import annotations

import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from argparse import Namespace
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import ProxyHandler, build_opener

import psutil
from filelock import FileLock, Timeout

from openai_local.errors import LocalError
from openai_local.home import Home, default_cache, default_home, is_held
from openai_local.models.base_models import SMOLLM2

WAIT_SECONDS = 10.0
"""For a service that another program is starting at this very moment."""


def _where(arguments: Namespace) -> None:
    facts = {"home": str(default_home().absolute()), "cache": str(default_cache().absolute())}
    print(json.dumps(facts) if arguments.json else f"home:  {facts['home']}\ncache: {facts['cache']}")


def _running(home: Home) -> dict[str, Any] | None:
    """Address and process number of the service that holds the home's lock, or None."""
    return home.read_running() if is_held(home.lock) else None


def _status(arguments: Namespace) -> None:
    home = Home.open(arguments.home)
    running = _running(home) or {}
    facts = {name: running.get(name) for name in ("url", "pid", "host")}
    facts |= {"home": str(home.path), "log": str(home.log), "base_ready": SMOLLM2.at(default_cache()).ready}
    if arguments.json:
        print(json.dumps(facts))
    elif running:
        where = f" on {facts['host']}" if facts["host"] else ""
        print(f"A service runs at {facts['url']} (process {facts['pid']}{where}), home {home.path}")
    else:
        print(f"No service runs on {home.path}. Start one with:  openai-local start")


def _start(arguments: Namespace) -> None:
    """Start a service in the background, unless one runs."""
    home, started = Home.open(arguments.home), False
    url = (_running(home) or {}).get("url")
    if not url or not _answers(url):
        url = _spawn(home, arguments.idle_timeout)
        started = bool(url)
    facts = {"url": url or _other(home), "home": str(home.path), "started": started}
    print(json.dumps(facts) if arguments.json else f"A service runs at {facts['url']}, home {home.path}")


def _answers(url: str) -> bool:
    """Whether a service of ours is there: it wants a key, or a certificate that is its own."""
    try:
        build_opener(ProxyHandler({})).open(f"{url}/models", timeout=5).close()
    except HTTPError as error:
        return error.code == 401
    except URLError as error:
        return "CERTIFICATE_VERIFY_FAILED" in str(error.reason)
    except OSError:
        return False
    return True


def _spawn(home: Home, idle_timeout: float | None) -> str:
    """Start ``openai-local serve`` as a process that outlives this one. Returns its address; empty if it ended."""
    alone: dict[str, Any] = {"start_new_session": True}
    if sys.platform == "win32":
        alone = {"creationflags": subprocess.DETACHED_PROCESS | subprocess.CREATE_NEW_PROCESS_GROUP}
    words = [sys.executable, "-P", "-m", "openai_local", "serve", "--port", "0", "--home", str(home.path)]
    words += [] if idle_timeout is None else ["--idle-timeout", str(idle_timeout)]
    with home.log.open("ab") as log:
        pipes: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": log}
        process = subprocess.Popen(words, text=True, **pipes, **alone)
    assert process.stdout is not None
    with process.stdout as said:
        return said.readline().strip()


def _other(home: Home) -> str:
    """The address of a service that somebody else is starting. Raises `LocalError` if none comes."""
    ends, url = time.monotonic() + WAIT_SECONDS, ""
    while time.monotonic() < ends:
        if (url := (_running(home) or {}).get("url", "")) and _answers(url):
            return url
        time.sleep(WAIT_SECONDS / 20)
    if url:
        raise LocalError(
            f"A service at {url} holds the folder {home.path}, and it can't be reached from here. It may run on "
            "another machine that shares the folder. Stop it there:  openai-local stop"
        )
    said = home.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:] or ["nothing"]
    raise LocalError(f"The service on this machine did not start. It said: {said[0]}\nMore is in {home.log}.")


def _is_here(running: dict[str, Any]) -> bool:
    """Whether a service runs here. A laptop's name changes with its network: then the process counts."""
    if running.get("host", socket.gethostname()) == socket.gethostname():
        return True
    try:
        words = psutil.Process(running["pid"]).cmdline()
    except psutil.Error:
        return False
    return "serve" in words and any("openai_local" in word or "openai-local" in word for word in words)


def _stop(arguments: Namespace) -> None:
    home = Home.open(arguments.home)
    running = _running(home)
    if running is None:
        print(f"No service runs on {home.path}.")
        return
    if not _is_here(running):
        raise LocalError(
            f"The service of {home.path} runs on another machine, {running['host']}. Log in there, and type:  "
            f"openai-local stop --home {shlex.quote(str(home.path))}"
        )
    os.kill(running["pid"], signal.SIGTERM)
    try:
        with FileLock(home.lock, timeout=30):
            print(f"Stopped the service at {running['url']}.")
    except Timeout:
        raise LocalError(f"Process {running['pid']} did not stop within 30 seconds. See {home.log}.") from None


COMMANDS = {"where": _where, "status": _status, "start": _start, "stop": _stop}
