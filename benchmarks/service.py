"""A service of its own for a benchmark: a new home, a free port, a key, and nothing left behind."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import openai
import psutil

from openai_local.home import Home


@dataclass(frozen=True)
class Service:
    """A service that listens.

    Args:
        home: its folder.
        client: the official client, connected to it with an instructor's key.
        pid: of its process.
    """

    home: Home
    client: openai.OpenAI
    pid: int


@contextmanager
def service(*options: str) -> Iterator[Service]:
    """Start a service with an empty home; at the end stop it and what it trains, and remove the home.

    Args:
        options: what ``openai-local serve`` takes besides, such as ``--learners 30``.

    Raises:
        SystemExit: it does not start, for example as the base model is not here.
    """
    with tempfile.TemporaryDirectory(prefix="openai-local-", ignore_cleanup_errors=True) as folder:
        environment = {**os.environ, "OPENAI_LOCAL_HOME": folder, "NO_PROXY": "127.0.0.1"}
        local(["bases", "fetch"], environment)
        command = [sys.executable, "-m", "openai_local", "serve", "--port", "0", *options]
        log = Path(folder) / "service.log"
        with log.open("wb") as said:
            process = subprocess.Popen(
                command,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=said,
                stdin=subprocess.DEVNULL,
                text=True,
                start_new_session=True,  # Ctrl-C reaches the benchmark alone, which then stops the service
            )
        assert process.stdout is not None
        try:
            if not (url := process.stdout.readline().strip()):
                raise SystemExit(f"The service did not start: {log.read_text().strip()}")
            key = local(["keys", "new", "benchmark", "--instructor"], environment)
            os.environ["NO_PROXY"] = "127.0.0.1"
            client = openai.OpenAI(base_url=url, api_key=key, max_retries=0)
            yield Service(Home.at(Path(folder)), client, process.pid)
        finally:
            trained = psutil.Process(process.pid).children() if process.poll() is None else []
            process.terminate()
            process.wait(timeout=60)
            for training in trained:  # it would go on
                with suppress(psutil.NoSuchProcess):
                    training.kill()
            psutil.wait_procs(trained, timeout=10)


def local(words: list[str], environment: dict[str, str]) -> str:
    """Run the command ``openai-local`` and return what it prints.

    Raises:
        SystemExit: it fails; the message is its own.
    """
    done = subprocess.run(
        [sys.executable, "-m", "openai_local", *words], env=environment, stdout=subprocess.PIPE, text=True
    )
    if done.returncode:
        raise SystemExit(f"openai-local {' '.join(words)} failed")
    return done.stdout.strip()
