"""A browser without a window, for tests: a page that one can click in, and a JupyterLab on a folder to look at.

Pictures are kept in pytest's cache folder (``.pytest_cache/d/pictures``) to be looked at.
"""

import json
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

SETTINGS = {
    "apputils-extension/themes": {"adaptive-theme": True},
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    "notebook-extension/tracker": {"windowingMode": "none"},
}
"""JupyterLab's: light or dark as the browser is, no questions, and all cells drawn at once."""


@contextmanager
def lab(folder: Path, config: Path) -> Iterator[str]:
    """A JupyterLab on a folder. Yields its address.

    Args:
        folder: what it shows.
        config: an empty folder for its settings.
    """
    for name, settings in SETTINGS.items():
        path = config / "lab" / "user-settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(settings))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = ["--no-browser", "--port", str(port), "--ServerApp.port_retries=0", "--IdentityProvider.token="]
    options += ["--LabApp.expose_app_in_browser=True"]  # so that a test can give JupyterLab's own commands
    server = subprocess.Popen(
        [sys.executable, "-m", "jupyterlab", *options, "--allow-root"], cwd=folder, stderr=subprocess.DEVNULL
    )
    address = f"http://127.0.0.1:{port}"
    try:
        _wait_for(address)
        yield address
    finally:
        server.terminate()
        try:
            server.wait(timeout=30)
        except subprocess.TimeoutExpired:  # it also ends its kernels; on a busy machine that takes long
            server.kill()
            server.wait()


def _wait_for(address: str) -> None:
    for _ in range(150):
        try:
            with urllib.request.urlopen(f"{address}/api") as answer:
                assert "version" in json.load(answer)
                return
        except OSError:
            time.sleep(0.2)
    pytest.fail("JupyterLab did not start.")


@contextmanager
def page(
    width: int = 1300, height: int = 900, scheme: str = "light", switches: Sequence[str] = ()
) -> Iterator[Any]:
    """A page of a browser without a window (playwright's). Skips the test where there is no browser.

    Args:
        width: of the window, in pixels.
        height: of the window, in pixels.
        scheme: what the person who looks likes better, ``light`` or ``dark``.
        switches: of the browser's command line, besides the usual ones.
    """
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if not found:
        pytest.skip("There is no Chromium here to look at pages with.")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as player:
        browser = player.chromium.launch(executable_path=found, args=["--no-sandbox", "--disable-gpu", *switches])
        opened = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
        opened.set_default_timeout(60_000)
        yield opened
        browser.close()


def command(page: Any, name: str, **arguments: Any) -> None:
    """Give one of JupyterLab's own commands, as its menus and keys do. Waits until it is done."""
    page.evaluate(
        "async ([name, more]) => { await window.jupyterapp.commands.execute(name, more) }", [name, arguments]
    )


def begin(page: Any, name: str, **arguments: Any) -> None:
    """Give a command and don't wait for its end."""
    page.evaluate("([name, more]) => { window.jupyterapp.commands.execute(name, more) }", [name, arguments])
