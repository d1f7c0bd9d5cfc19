"""The kernel "OpenAI" as Jupyter starts it, and the command in it."""

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import KernelManager, start_new_kernel

from openai_data import local_cli

FOLDER = Path(__file__).parents[2] / "kernel"
SCRIPTS = sysconfig.get_path("scripts")


@pytest.fixture
def others(tmp_path, monkeypatch):
    """The search path of a shell in which another environment is active: its command `openai` is found first."""
    other = tmp_path / "other"
    other.mkdir()
    (other / "openai").write_text("#!/bin/sh\necho another\n")
    (other / "openai").chmod(0o755)
    kept = [folder for folder in os.environ["PATH"].split(os.pathsep) if folder != SCRIPTS]
    monkeypatch.setenv("PATH", os.pathsep.join([str(other), *kept]))
    return [str(other), *kept]


@pytest.fixture(params=["openai", "python3"])
def execute(request, others, tmp_path):
    """Runs a cell in the lesson's kernel, or in a stock one in which the extension is loaded."""
    if request.param == "openai":  # a stock kernel would not start
        (tmp_path / "json.py").write_text("raise SystemExit('a file of the learner was taken for a module')")
    manager, client = start_new_kernel(kernel_name=request.param, cwd=str(tmp_path))
    said = []

    def collect(message):
        content = message["content"]
        said.append(content.get("text", "") or "\n".join(content.get("traceback", [])))

    def run(code):
        said.clear()
        client.execute_interactive(code, output_hook=collect, timeout=60)
        return "".join(said)

    if request.param != "openai":
        run("%load_ext openai_lesson")
    yield run
    client.stop_channels()
    manager.shutdown_kernel(now=True)


def test_the_command_is_found(execute):
    assert "openai-lesson" in execute("!openai --version")


def test_this_environments_commands_come_first(others, monkeypatch):
    for path in ([*others], [*others, SCRIPTS], [SCRIPTS, *others]):
        monkeypatch.setenv("PATH", os.pathsep.join(path))
        local_cli.put_commands_first()
        assert os.environ["PATH"].split(os.pathsep) == [SCRIPTS, *others]
    monkeypatch.delenv("PATH")
    local_cli.put_commands_first()
    assert os.environ["PATH"] == f"{SCRIPTS}{os.pathsep}{os.defpath}", "what is found without a path stays found"


def test_nobody_is_asked(execute, tmp_path):
    (tmp_path / "c.csv").write_text("prompt,completion\nWhat?,That.\nWho?,She.\n")
    said = execute("!openai tools fine_tunes.prepare_data -f c.csv")
    assert "Nobody can answer here" in said and "Wrote modified file to `c_prepared.jsonl`" in said, said


def test_the_client_is_imported_when_it_is_needed():
    code = "import sys, openai_kernel.__main__; sys.exit('openai' in sys.modules or 'httpx2' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.skipif(
    not KernelManager.class_traits().get("transport_encryption"),
    reason="jupyter_client encrypts from version 8.9 on",
)
def test_it_encrypts_if_that_is_required(tmp_path):
    """The keys that the manager makes are used: without them, a kernel could not be spoken to."""
    shutil.copytree(FOLDER, tmp_path / "openai")
    places = KernelSpecManager(kernel_dirs=[str(tmp_path)], ensure_native_kernel=False)
    manager = KernelManager(kernel_name="openai", kernel_spec_manager=places, transport_encryption="required")
    manager.start_kernel(cwd=str(tmp_path))
    client = manager.client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=60)
        assert manager.curve_publickey and client.execute("1", reply=True, timeout=60)["content"]["status"] == "ok"
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
