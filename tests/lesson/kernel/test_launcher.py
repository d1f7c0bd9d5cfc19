"""JupyterLab in a browser without a window: the launcher's tile, and a notebook with the lesson's lines.

Two pictures are kept in pytest's cache folder (``.pytest_cache/d/pictures``) to be looked at. What the browser
shows is read from its page.
"""

import json
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NAMES = "sun moon star tree leaf root bird fish stone rain wind fire".split()
CELLS = [
    "from openai import OpenAI\nOpenAI().models.list().data[0].id",
    "export OPENAI_API_KEY=abc\nopenai tools fine_tunes.prepare_data -f questions.csv --quiet",
    "$ openai api fine_tunes.create -t questions_prepared.jsonl -m ada",
    "%jobs",
    "%%ask ada --max-tokens 12\nWhat is sin?",
    "import os\nos.environ['OPENAI_SECRET'] = 'not-' + 'for-everybody'\nprint(os.environ['OPENAI_SECRET'])",
]


@pytest.fixture(scope="module")
def browser():
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if not found:
        pytest.skip("There is no Chromium here to look at JupyterLab with.")
    return found


@pytest.fixture
def lab(tmp_path, tiny_cache, monkeypatch) -> Iterator[str]:
    """The address of a JupyterLab whose folder has a notebook that was run."""
    monkeypatch.setenv("OPENAI_LOCAL_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("OPENAI_LOCAL_CACHE", str(tiny_cache))
    monkeypatch.setenv("JUPYTER_CONFIG_DIR", str(tmp_path / "jupyter"))
    folder = tmp_path / "folder"
    folder.mkdir()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = ["--no-browser", "--port", str(port), "--ServerApp.port_retries=0", "--IdentityProvider.token="]
    options += ["--allow-root"]
    server = subprocess.Popen(
        [sys.executable, "-m", "jupyterlab", *options], cwd=folder, stderr=subprocess.DEVNULL
    )
    address = f"http://127.0.0.1:{port}"
    _write_notebook(folder)
    _wait_for(address)
    yield address
    server.terminate()
    server.wait(timeout=30)
    subprocess.run([sys.executable, "-m", "openai_local", "stop"], capture_output=True, check=True)


def _write_notebook(folder: Path) -> None:
    rows = "".join(f"What is a {name}?,It is the {name}.\n" for name in NAMES)
    (folder / "questions.csv").write_text(f"prompt,completion\n{rows}")
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in CELLS])
    notebook.metadata.kernelspec = {"name": "openai", "display_name": "OpenAI", "language": "python"}
    NotebookClient(notebook, kernel_name="openai", timeout=120, resources={"metadata": {"path": folder}}).execute()
    nbformat.write(notebook, folder / "first.ipynb")


def _wait_for(address: str) -> None:
    for _ in range(150):
        try:
            with urllib.request.urlopen(f"{address}/api") as answer:
                assert "version" in json.load(answer)
                return
        except OSError:
            time.sleep(0.2)
    pytest.fail("JupyterLab did not start.")


def look(browser: str, address: str, profile: Path, picture: Path, size: str, until: str) -> str:
    """Keep a picture of a page as the browser shows it, and return the page.

    On a busy machine the browser may look too early; it looks again unless the page holds `until`.
    """
    options = (
        f"--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-sync --window-size={size}"
    )
    options += " --disable-background-networking --disable-component-update --virtual-time-budget=15000 --dump-dom"
    command = [browser, *options.split(), f"--user-data-dir={profile}", f"--screenshot={picture}", address]
    for _ in range(3):
        page = subprocess.run(command, capture_output=True, text=True, timeout=120).stdout
        if until in page:
            break
    return page


def test_the_tile_and_a_notebook(browser, lab, tmp_path, request):
    pictures = request.config.cache.mkdir("pictures")
    with ThreadPoolExecutor() as pool:
        picture = pictures / "launcher.png"
        one = pool.submit(look, browser, f"{lab}/lab", tmp_path / "1", picture, "1300,800", "jp-LauncherCard")
        address = f"{lab}/lab/workspaces/other/tree/first.ipynb"
        page = look(browser, address, tmp_path / "2", pictures / "notebook.png", "1300,1800", "[secret]")
        launcher = one.result()
    tile = re.search(r'<div class="jp-LauncherCard[^>]*title="OpenAI".*?</div></div>', launcher, re.S)
    assert tile and "/kernelspecs/openai/logo" in tile[0], "the launcher has no tile with the logo"
    text = re.sub(r"<[^>]+>", "", page)
    for shown in ("smollm2-135m-instruct", "Job complete! Status: succeeded", "what comes of it", "[secret]"):
        assert shown in text, f"the notebook does not show {shown!r}"
    assert text.count("for-everybody") == 1, "in the cell, not below it"
