"""The kernel "OpenAI" as Jupyter starts it."""

import os
import sysconfig

import pytest
from jupyter_client.manager import start_new_kernel


@pytest.fixture
def execute(tmp_path, monkeypatch):
    """Runs a cell in a kernel that was started without the environment being activated."""
    scripts = sysconfig.get_path("scripts")
    kept = [folder for folder in os.environ["PATH"].split(os.pathsep) if folder != scripts]
    monkeypatch.setenv("PATH", os.pathsep.join(kept))
    (tmp_path / "json.py").write_text("raise SystemExit('a file of the learner was taken for a module')")
    manager, client = start_new_kernel(kernel_name="openai", cwd=str(tmp_path))
    said = []

    def collect(message):
        content = message["content"]
        said.append(content.get("text", "") or "\n".join(content.get("traceback", [])))

    def run(code):
        said.clear()
        client.execute_interactive(code, output_hook=collect, timeout=60)
        return "".join(said)

    yield run
    client.stop_channels()
    manager.shutdown_kernel(now=True)


def test_the_command_is_found(execute):
    assert "openai-lesson" in execute("!openai --version")


def test_nobody_is_asked(execute, tmp_path):
    (tmp_path / "c.csv").write_text("prompt,completion\nWhat?,That.\nWho?,She.\n")
    said = execute("!openai tools fine_tunes.prepare_data -f c.csv")
    assert "Nobody can answer here" in said and "Wrote modified file to `c_prepared.jsonl`" in said, said
