"""Today's clients, each in an environment of its own: nothing is changed for them but address and key.

All of them run at once, to save time: while one waits for its job, another asks its model.
"""

import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from environments import npm_with, python_with

HERE = Path(__file__).parent
MAJORS = (3, 2, 1)


@pytest.fixture(scope="module")
def running(request, service, client, pairs):
    """The programs, as futures of what they print."""
    cache = request.config.cache.mkdir("clients")
    address = {"OPENAI_BASE_URL": service.url, "OPENAI_API_KEY": client.api_key}
    with ThreadPoolExecutor() as pool:
        programs = {major: pool.submit(drive_python, cache, major, address, pairs) for major in MAJORS}
        yield programs | {"npm": pool.submit(drive_npm, cache, address, pairs)}


def drive_python(cache, major, address, pairs):
    programs = python_with(cache, f"openai<{major + 1},>={major}", f"openai-{major}")
    return drive(address, str(programs / "python"), str(HERE / "today.py"), str(pairs))


def drive_npm(cache, address, pairs):
    node, folder = npm_with(cache, "openai")
    script = folder / "today.mjs"  # an import is looked up from where the script lies
    shutil.copyfile(HERE / "today.mjs", script)
    return drive(address, node, str(script), str(pairs))


def drive(address, *command):
    """Run a program against the service. Returns the lines that it printed."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("OPENAI_", "PYTHON"))}
    done = subprocess.run(command, env=plain | address, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout.splitlines()


@pytest.mark.parametrize("major", MAJORS)
def test_the_python_package(running, major):
    said = running[major].result()
    assert said[0].startswith(f"openai {major}.") and said[-1] == "done", said


def test_the_npm_package(running):
    said = running["npm"].result()
    assert said[-1] == "done", said
