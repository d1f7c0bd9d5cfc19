"""``openai-local where``, ``status`` and ``stop``: the service that runs, and where it keeps what it has."""

import json
import os
import shlex
import signal
import socket
from argparse import Namespace
from typing import Any

import psutil
from filelock import FileLock, Timeout

from openai_local.errors import LocalError
from openai_local.home import Home, default_cache, default_home, is_held
from openai_local.models.base_models import SMOLLM2


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
        print(f"No service runs on {home.path}. Start one with:  openai-local serve")


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


COMMANDS = {"where": _where, "status": _status, "stop": _stop}
