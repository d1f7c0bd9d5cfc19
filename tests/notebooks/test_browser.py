"""The notebooks as a learner meets them: JupyterLab in a browser, run all, look, in light and dark."""

import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

import browsing
from openai_command.notebooks import ORDER

FOLDER = Path(__file__).parents[2] / "notebooks"
RED = ".jp-OutputArea-output[data-mime-type='application/vnd.jupyter.error']"
READY = "() => window.jupyterapp.shell.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'"
STDERR = ".jp-OutputArea-output[data-mime-type='application/vnd.jupyter.stderr']"


@pytest.fixture
def address(tmp_path, tiny_cache, monkeypatch):
    monkeypatch.setenv("OPENAI_LOCAL_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("OPENAI_LOCAL_CACHE", str(tiny_cache))
    monkeypatch.setenv("JUPYTER_CONFIG_DIR", str(tmp_path / "jupyter"))
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "runtime"))
    folder = tmp_path / "folder"
    folder.mkdir()
    for name in ORDER:
        text = (FOLDER / name).read_text(encoding="utf-8")
        # The tiny model is trained in seconds: with the pauses of a learner there would be nothing left to follow.
        (folder / name).write_text(text.replace("time.sleep(3)", "time.sleep(0.1)"), encoding="utf-8")
    with browsing.lab(folder, tmp_path / "jupyter") as found:
        yield found
    subprocess.run([sys.executable, "-m", "openai_local", "stop"], capture_output=True, check=True)


def run_all(page, name):
    """Open a notebook and run all its cells. Returns what the training card showed, one after the other."""
    browsing.command(page, "docmanager:open", path=name)
    notebook = page.locator(".jp-NotebookPanel:visible")
    notebook.locator(".jp-CodeCell").first.wait_for()
    page.wait_for_function(READY)
    browsing.begin(page, "notebook:run-all-cells")
    notebook.locator(".jp-InputPrompt", has_text="[*]").first.wait_for(state="attached")
    prompts = notebook.locator(".jp-CodeCell .jp-InputPrompt")
    deadline, shown = time.monotonic() + 120, []
    while not all(re.fullmatch(r"\[\d+\]:", prompt) for prompt in prompts.all_text_contents()):
        assert time.monotonic() < deadline, f"{name} is still running: {prompts.all_text_contents()}"
        pictures = notebook.locator(".jp-RenderedSVG img").evaluate_all("all => all.map(one => one.src)")
        shown += [picture for picture in pictures[:1] if picture not in shown]
        page.wait_for_timeout(100)
    return notebook, shown


def keep(page, notebook, pictures, name):
    """Keep pictures of the whole notebook, light and dark."""
    height = notebook.evaluate("e => Math.max(...[...e.querySelectorAll('*')].map(one => one.scrollHeight))") + 120
    page.set_viewport_size({"width": 1300, "height": min(height, 12_000)})
    notebook.evaluate("e => e.querySelectorAll('*').forEach(one => { one.scrollTop = 0 })")
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        page.wait_for_timeout(1000)
        page.screenshot(path=pictures / f"{name}-{scheme}.png")
    page.emulate_media(color_scheme="light")
    page.set_viewport_size({"width": 1300, "height": 900})


def test_a_learner_runs_them_all(address, request):
    pictures = request.config.cache.mkdir("pictures")
    with browsing.page() as page:
        page.goto(f"{address}/lab?reset")
        page.locator(".jp-DirListing-itemText").first.wait_for()
        for name in ORDER:
            notebook, shown = run_all(page, name)
            assert notebook.locator(RED).count() == 0, f"{name} shows an error"
            assert notebook.locator(STDERR).count() == 0, f"{name} shows something red"
            if name.startswith("02"):
                assert len(shown) > 3, f"the card did not move, but showed {len(shown)} pictures"
            if name.startswith("03"):
                play(page, notebook)
            keep(page, notebook, pictures, name.removesuffix(".ipynb"))
            browsing.command(page, "docmanager:save")
            browsing.command(page, "kernelmenu:shutdown")
            browsing.command(page, "application:close")


def play(page, notebook):
    """Ask something in the playground, and see both models answer."""
    box = notebook.locator(".widget-vbox, .jupyter-widgets.widget-box").first
    box.locator("input[type=text]").first.fill("What is a star?")
    before = box.inner_text()
    box.get_by_role("button", name="Ask").click()
    page.wait_for_function("([e, old]) => e.innerText !== old", arg=[box.element_handle(), before])
    box.get_by_role("button", name="Ask").wait_for()
