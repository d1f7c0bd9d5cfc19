"""The notebooks: their form, and that they run."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from openai_lesson.running import ORDER, Echo, run_lesson

FOLDER = Path(__file__).parents[1] / "notebooks"
NOTEBOOKS = {name: json.loads((FOLDER / name).read_text(encoding="utf-8")) for name in ORDER}


def source(cell):
    return "".join(cell["source"])


@pytest.mark.parametrize("name", ORDER)
def test_form(name):
    notebook = NOTEBOOKS[name]
    assert notebook["metadata"]["kernelspec"]["name"] == "openai"
    assert "widgets" not in notebook["metadata"]
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1)), "run from top to bottom"
    assert all(output["output_type"] != "error" for cell in code for output in cell["outputs"])
    assert all(len(source(cell).splitlines()) <= 12 for cell in code), "each cell does one thing"
    assert not any(re.search(r"^\s*[!%]|pip install", source(cell), re.M) for cell in code)
    assert not re.search(r"sk-[A-Za-z0-9_-]{16,}|/(home|Users|tmp|root)/", json.dumps(notebook))
    text = "".join(source(cell) for cell in notebook["cells"] if cell["cell_type"] == "markdown")
    assert "**You will be able to**" in text and "## Key points" in text and re.search(r"about \d+ minutes", text)
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", text):
        assert (FOLDER / target).exists(), f"{name} links to {target}"


@pytest.fixture
def environment(tmp_path, tiny_cache, monkeypatch):
    """A home of its own with the tiny model; the service that the notebooks start is stopped at the end."""
    for key, value in {"OPENAI_LOCAL_HOME": str(tmp_path / "home"), "OPENAI_LOCAL_CACHE": str(tiny_cache)}.items():
        monkeypatch.setenv(key, value)
    yield
    subprocess.run([sys.executable, "-m", "openai_local", "stop"], capture_output=True, check=True)


def test_nbval(environment, tmp_path):
    """What the checked cells print is what the committed notebooks show, under the kernel `openai`."""
    for name in ORDER:
        shutil.copy(FOLDER / name, tmp_path / name)
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--nbval-lax", "-q", *ORDER]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, env={**os.environ, "TQDM_DISABLE": "1"}
    )
    assert done.returncode == 0, done.stdout[-5000:]
    assert "passed" in done.stdout


def test_a_stock_kernel_runs_them_too(environment, tmp_path, capsys):
    run_lesson(tmp_path / "run", notebooks=FOLDER, kernel="python3")
    shown = capsys.readouterr().out
    assert shown.splitlines()[-1] == "exact recall: 0/107", "the tiny model knows nothing, and says so"
    assert "Epoch 13/13: training loss=" in shown and "trained model" in shown
    for name in ORDER:
        assert json.loads((tmp_path / "run" / name).read_text())["cells"]


@pytest.mark.model
def test_the_lesson_is_learned(tmp_path, monkeypatch, capsys):
    """The real model, the real data, the defaults: at least 102 of 107 answers word for word."""
    monkeypatch.setenv("OPENAI_LOCAL_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("OMP_NUM_THREADS")  # all cores, unlike the tiny model
    try:
        run_lesson(tmp_path / "run", notebooks=FOLDER)
    finally:
        subprocess.run([sys.executable, "-m", "openai_local", "stop"], capture_output=True, check=True)
    last = capsys.readouterr().out.splitlines()[-1]
    known = re.fullmatch(r"exact recall: (\d+)/107", last)
    assert known and int(known[1]) >= 102, last


def test_echo_shows_what_changes_in_place_once_elsewhere(capsys):
    echo = Echo()
    for step in range(3):
        echo.in_place(f"step {step}")
    echo.stream("stdout", "exact recall: 5/107\n")
    assert capsys.readouterr().out == "step 2\nexact recall: 5/107\n"
    assert echo.recall == "exact recall: 5/107"
