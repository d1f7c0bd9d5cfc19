"""Keys planted in every channel that a kernel has; then the saved notebook and the history file are read."""

import json
import os
import sqlite3
import sys

import nbformat
import pytest
from nbclient import NotebookClient

from openai_command.redaction import MASK
from openai_lesson import keys

# Put together here, so that no tool takes this file for one with a key in it.
TOKEN = "hf_" + "qQwWeErRtTyYuUiIoOpP"
KEPT = "kept-" + "4f3e2d1c0b9a"
SHAPE = "sk-" + "proj-Ab3dEf6hIj9kLm2nOp5qRs8tUv"
TYPED = "typed-" + "7788-99aa"

START = "from pathlib import Path\nt, k, s = Path('planted.txt').read_text().split()"
CHANNELS = {
    "print": "print(t, k, s)",
    "standard error": "import sys; print('x', t, k, s, file=sys.stderr)",
    "pieces": "import time\nfor p in (s[:9], s[9:20], s[20:], ' ', t[:5], t[5:]):\n"
    "    print(p, end='', flush=True); time.sleep(0.05)",
    "letters": "for c in t:\n    print(c, end='', flush=True)",
    "half a secret": "print(t[:14], end='')",
    "the descriptor": "import os; os.write(1, f'{t} {s}\\n'.encode()); import time; time.sleep(0.3)",
    "a result": "[t, {k: s}]",
    "HTML": "from IPython.display import HTML, display\nHTML(f'<b title=\"{t}\">{s}</b>')",
    "display": "display({'text/plain': t, 'application/json': {'a': [k, {s: s}]}}, raw=True)",
    "an update": "shown = display(HTML('<p>wait</p>'), display_id=True)\nshown.update(HTML(f'<p>{t}{s}</p>'))",
    "a table": "import pandas as pd\npd.DataFrame({'key': [t, k, s * 3]})",
    "a traceback": "def use(key):\n    raise ValueError(f'bad {t}')\nuse(s)",
    "a cause": "try:\n    {}[t]\nexcept KeyError as e:\n    raise RuntimeError(s) from e",
    "an exit": "import sys; sys.exit(s)",
    "a command": "!echo $HUB_TOKEN\n!cat planted.txt",
    "its output": "lines = !cat planted.txt\nlines",
    "%env": "%env HUB_TOKEN",
    "%%bash": "%%bash\necho $HUB_TOKEN; cat planted.txt >&2",
    "a progress bar": "from tqdm import tqdm\nfor _ in tqdm(range(2), desc=t, disable=False):\n    pass",
    "a log": "import logging\nlogging.warning('using %s', s)",
    "a warning": "import warnings\nwarnings.warn(t)",
    "a thread": "import threading\nw = threading.Thread(target=print, args=(t,)); w.start(); w.join()",
    "a child": "import subprocess, sys\nsubprocess.run([sys.executable, '-c', f'print({t!r})'])\ntime.sleep(0.3)",
    "an image in text": "display({'image/svg+xml': f'<svg><title>{t}</title></svg>'}, raw=True)",
    "Markdown": "from IPython.display import Markdown\nMarkdown(f'`{s}`')",
    "without pretty printing": "%pprint\n{'a': t}",
}
LINE = f"export LATER_SECRET={TYPED}\n!echo $LATER_SECRET"
"""A cell that makes something secret which it holds itself: the history must not have it."""
LITERAL = f"open('it-ran', 'w')\nkey = '{SHAPE}'"


@pytest.fixture(params=["openai", "python3"])
def kernel(request, tmp_path, monkeypatch):
    """The lesson's kernel, and a stock one in which the extension is loaded."""
    monkeypatch.setenv("HUB_TOKEN", TOKEN)
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    keys.save("elsewhere", KEPT)
    (tmp_path / "planted.txt").write_text(f"{TOKEN} {KEPT} {SHAPE}\n")
    return request.param


def run(kernel, folder, cells):
    """The cells' outputs as JSON, one text per cell, from the notebook as it was saved."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    os.environ.pop("PYTEST_CURRENT_TEST", None)  # with it, a kernel does not look at descriptors
    place = {"metadata": {"path": folder}}
    settings = {"timeout": 60, "allow_errors": True, "ipython_hist_file": "", "resources": place}
    NotebookClient(notebook, kernel_name=kernel, **settings).execute()
    nbformat.write(notebook, folder / "saved.ipynb")
    saved = json.loads((folder / "saved.ipynb").read_text(encoding="utf-8"))
    assert not any(secret in json.dumps(saved["metadata"]) for secret in (TOKEN, KEPT, SHAPE, TYPED))
    return [json.dumps(cell["outputs"], ensure_ascii=False) for cell in saved["cells"]]


@pytest.mark.skipif(sys.platform == "win32", reason="the planted commands are those of a Unix shell")
def test_nothing_leaves(kernel, tmp_path):
    first = START if kernel == "openai" else f"{START}\n%load_ext openai_lesson"
    outputs = run(kernel, tmp_path, [first, *CHANNELS.values(), LINE, LITERAL])
    for name, shown in zip(["the start", *CHANNELS, "a line", "a literal key"], outputs, strict=True):
        found = [secret for secret in (TOKEN, KEPT, SHAPE, TYPED, TOKEN[:12]) if secret in shown]
        assert not found, f"{name} shows {found}: {shown[:500]}"
        assert MASK in shown or name in ("the start", "a literal key"), f"{name} shows nothing: {shown[:500]}"
    assert "was not run" in outputs[-1] and "keys.ask()" in outputs[-1] and not (tmp_path / "it-ran").exists()
    _read_history(tmp_path / "ipython")


def _read_history(folder):
    path = folder / "profile_default" / "history.sqlite"
    with sqlite3.connect(path) as database:
        cells = [row[0] for row in database.execute("select source_raw from history order by line")]
    assert len(cells) == len(CHANNELS) + 3, "each cell is kept"
    assert f"export LATER_SECRET={MASK}" in cells[-2] and f"key = '{MASK}'" in cells[-1]
    for file in folder.rglob("*"):
        content = file.read_bytes() if file.is_file() else b""
        assert not any(secret.encode() in content for secret in (TOKEN, KEPT, SHAPE, TYPED)), file


def test_masking_can_be_switched_off_knowingly(tmp_path, monkeypatch):
    monkeypatch.setenv("HUB_TOKEN", TOKEN)
    show = "import os; print(os.environ['HUB_TOKEN'])"
    outputs = run("openai", tmp_path, [show, "%masking off", show, "%masking on", show])
    assert [TOKEN in shown for shown in outputs] == [False, False, True, False, False]
    assert "saved with the notebook" in outputs[1]
    monkeypatch.setenv("OPENAI_LESSON_MASKING", "off")
    assert TOKEN in run("openai", tmp_path, [show])[0]
