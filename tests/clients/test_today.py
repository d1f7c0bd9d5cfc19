"""Today's clients, each in an environment of its own: nothing is changed for them but address and key."""

import os
import shutil
import subprocess

import pytest
from environments import HERE, npm_with, python_with


@pytest.fixture(scope="session")
def environments(request):
    return request.config.cache.mkdir("clients")


def drive(service, client, *command):
    """Run a program against the service. Returns what it printed."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("OPENAI_", "PYTHON"))}
    address = {"OPENAI_BASE_URL": service.url, "OPENAI_API_KEY": client.api_key}
    done = subprocess.run(command, env=plain | address, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.mark.parametrize("major", [3, 2, 1])
def test_the_python_package(major, environments, service, client, pairs):
    programs = python_with(environments, f"openai<{major + 1},>={major}", f"openai-{major}")
    said = drive(service, client, str(programs / "python"), str(HERE / "today.py"), str(pairs)).splitlines()
    assert said[0].startswith(f"openai {major}.") and said[-1] == "done", said


def test_the_npm_package(environments, service, client, pairs, tmp_path):
    node, folder = npm_with(environments, "openai")
    script = folder / "today.mjs"  # an import is looked up from where the script lies
    shutil.copyfile(HERE / "today.mjs", script)
    said = drive(service, client, node, str(script), str(pairs)).splitlines()
    assert said[-1] == "done", said
