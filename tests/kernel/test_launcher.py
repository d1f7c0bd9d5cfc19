"""JupyterLab in a browser without a window: the launcher's tile, and a notebook with the lesson's lines."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

import browsing

NAMES = "sun moon star tree leaf root bird fish stone rain wind fire".split()
CELLS = [
    "from openai import OpenAI\nOpenAI().models.list().data[0].id",
    "export OPENAI_API_KEY=abc\nopenai tools fine_tunes.prepare_data -f questions.csv --quiet",
    "$ openai api fine_tunes.create -t questions_prepared.jsonl -m ada",
    "%jobs",
    "%%ask ada --max-tokens 12\nWhat is sin?",
    "import os\nos.environ['OPENAI_SECRET'] = 'not-' + 'for-everybody'\nprint(os.environ['OPENAI_SECRET'])",
]


@pytest.fixture
def address(tmp_path, tiny_cache, monkeypatch) -> Iterator[str]:
    """The address of a JupyterLab whose folder has a notebook that was run."""
    monkeypatch.setenv("OPENAI_LOCAL_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("OPENAI_LOCAL_CACHE", str(tiny_cache))
    monkeypatch.setenv("JUPYTER_CONFIG_DIR", str(tmp_path / "jupyter"))
    folder = tmp_path / "folder"
    folder.mkdir()
    _write_notebook(folder)
    with browsing.lab(folder, tmp_path / "jupyter") as found:
        yield found
    subprocess.run([sys.executable, "-m", "openai_local", "stop"], capture_output=True, check=True)


def _write_notebook(folder: Path) -> None:
    rows = "".join(f"What is a {name}?,It is the {name}.\n" for name in NAMES)
    (folder / "questions.csv").write_text(f"prompt,completion\n{rows}")
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in CELLS])
    notebook.metadata.kernelspec = {"name": "openai", "display_name": "OpenAI", "language": "python"}
    NotebookClient(notebook, kernel_name="openai", timeout=120, resources={"metadata": {"path": folder}}).execute()
    nbformat.write(notebook, folder / "first.ipynb")


def test_the_tile_and_a_notebook(address, request):
    pictures = request.config.cache.mkdir("pictures")
    with browsing.page(1300, 1800) as page:
        page.goto(f"{address}/lab?reset")
        tile = page.locator(".jp-LauncherCard[title=OpenAI]").first
        tile.wait_for()
        logo = tile.locator("img").get_attribute("src")
        assert logo and "/kernelspecs/openai/logo" in logo, "the launcher has no tile with the logo"
        page.screenshot(path=pictures / "launcher.png")
        page.goto(f"{address}/lab/tree/first.ipynb")
        notebook = page.locator(".jp-NotebookPanel:visible")
        notebook.get_by_text("[secret]").first.wait_for()
        page.screenshot(path=pictures / "notebook.png")
        text = notebook.inner_text()
    for shown in ("smollm2-135m-instruct", "Job complete! Status: succeeded", "what comes of it", "[secret]"):
        assert shown in text, f"the notebook does not show {shown!r}"
    assert text.count("for-everybody") == 1, "in the cell, not below it"
