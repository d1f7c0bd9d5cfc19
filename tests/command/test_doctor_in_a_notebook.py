"""The doctor as a child of a real kernel: it must tell the Jupyter behind the notebook from that kernel."""

import json
import os
import re
import shlex
import subprocess
import sys
import sysconfig

import pytest

from openai_command.lesson import main

NOTEBOOK = """
import sys, nbformat
from nbclient import NotebookClient
cell = nbformat.v4.new_code_cell(sys.argv[1])
NotebookClient(nbformat.v4.new_notebook(cells=[cell]), kernel_name="openai").execute()
print("".join(output.text for output in cell.outputs))
"""
OURS = 'OK       Jupyter takes the kernel "OpenAI" of this environment.'


@pytest.fixture(autouse=True)
def user(tmp_path, tiny_cache, monkeypatch):
    """The user's own kernels, and the tiny base model."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "jupyter"))
    monkeypatch.setenv("OPENAI_LOCAL_CACHE", str(tiny_cache))
    monkeypatch.delenv("JPY_PARENT_PID", raising=False)
    monkeypatch.setenv("VIRTUAL_ENV", sys.prefix)
    return tmp_path / "jupyter" / "kernels"


def run(python, cell, **environment):
    words = [str(python), "-c", NOTEBOOK, cell]
    done = subprocess.run(words, env=os.environ | environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_jupyter_of_this_environment():
    said = run(sys.executable, "import openai_lesson as lesson\nlesson.doctor()")
    assert re.search(r"^OK       This is .* Jupyter runs in it\.$", said, re.M) and OURS in said
    bad = r"^WRONG    The file of the base model .*\n {9}Mend it:  openai-local bases fetch$"
    assert re.search(bad, said, re.M), "what mends it stands below"


def test_the_jupyter_of_another_environment_also_from_a_shell_in_between(user, tmp_path):
    """What that Jupyter says of its kernelspecs counts."""
    (other := tmp_path / "other" / "bin").mkdir(parents=True)
    (other / "python").symlink_to(sys.executable)
    assert main(["kernel", "install", "--user"]) == 0
    spec = json.loads((user / "openai" / "kernel.json").read_text())
    listed = json.dumps({"kernelspecs": {"openai": {"resource_dir": str(user / "openai"), "spec": spec}}})
    (other / "jupyter").write_text(f"#!/bin/sh\necho {shlex.quote(listed)}\n")
    (other / "jupyter").chmod(0o755)
    look = "from openai_command.doctor import CHECKS; print(CHECKS['the environment'](), *CHECKS['the kernel']())"
    line = f"{shlex.quote(sys.executable)} -c {shlex.quote(look)}"
    packages = [
        os.environ.get("PYTHONPATH"),
        sysconfig.get_path("purelib"),
    ]
    path = os.pathsep.join(filter(None, packages))
    said = run(other / "python", f"!{line}\n!sh -c {shlex.quote(line + '; true')}", PYTHONPATH=path)
    assert said.count("Jupyter itself runs in another one (~/other/bin)") == said.count(OURS) == 2, said
