"""A new notebook in the kernel "OpenAI", and in a stock one with the extension, with the tiny model."""

import json
import subprocess
import sys
import time
from itertools import count

import pytest
from jupyter_client.manager import start_new_kernel

from openai_lesson import keys


class Cells:
    """Runs cells in one kernel. `typed` is what is typed into a hidden prompt."""

    def __init__(self, kernel, folder):
        self.manager, self.client = start_new_kernel(kernel_name=kernel, cwd=str(folder))
        self.typed = ""

    def __call__(self, code):
        said = []

        def collect(message):
            content = message["content"]
            data = content.get("data", {})
            said.append(content.get("text") or data.get("text/plain") or "\n".join(content.get("traceback", [])))

        def answer(message):
            assert message["content"]["password"]
            self.client.input(self.typed)

        hooks = {"output_hook": collect, "stdin_hook": answer, "allow_stdin": True}
        reply = self.client.execute_interactive(code, timeout=60, **hooks)
        self.status = reply["content"]["status"]
        return "".join(said)

    def close(self):
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)


@pytest.fixture
def new(tmp_path, tiny_cache, monkeypatch):
    """Starts kernels in a folder of their own; the service that they start is stopped at the end."""
    monkeypatch.setenv("OPENAI_LOCAL_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("OPENAI_LOCAL_CACHE", str(tiny_cache))
    made = []

    def make(kernel="openai"):
        made.append(Cells(kernel, tmp_path))
        return made[-1]

    yield make
    for cells in made:
        cells.close()
    subprocess.run([sys.executable, "-m", "openai_local", "stop"], capture_output=True, check=True)


def test_a_new_notebook(new, pairs, tmp_path):
    cells = new()
    mine = "from openai import OpenAI\ndef names():\n    return len(OpenAI().models.list().data)\n"
    (tmp_path / "mine.py").write_text(mine)
    first = cells("from openai import OpenAI; OpenAI().models.list()")
    assert "Started the service on this machine" in first and "SyncPage[Model]" in first
    assert cells("import mine; mine.names()") == "1"
    assert "not a real one. None is needed here" in cells("export OPENAI_API_KEY=abc\nopenai api models.list")
    assert cells("import os; os.environ['OPENAI_API_KEY']") == "'abc'"
    assert cells("await __import__('openai').AsyncOpenAI().models.list()").startswith("AsyncPage[Model]")
    lines = f"for n in range(1):\n    $ openai api fine_tunes.create \\\n       -t {pairs} -m ada --n_epochs 1"
    assert "Job complete! Status: succeeded" in cells(lines)
    assert "succeeded" in cells("%jobs") and "%jobs takes a number" in cells("%jobs all")
    assert len(cells("%%ask\nWhat is sun?").strip()) > 0 and cells.status == "ok"
    assert cells("%%ask ada --max-tokens 3\nWhat is sun?") and cells.status == "ok"
    assert "There are: " in cells("%%ask nobody\nWhat is sun?") and cells.status == "error"
    assert "There is nothing to ask" in cells("%%ask\n\n")


def test_a_stock_kernel_with_the_extension(new):
    cells = new("python3")
    cells("%load_ext openai_lesson")
    cells("%reload_ext openai_lesson")
    assert "SyncPage[Model]" in cells("from openai import OpenAI; OpenAI().models.list()")
    assert '"object": "list"' in cells("$ openai api models.list")
    assert cells("set LESSON=two words\n!echo $LESSON").strip() == "two words"


def test_lines_that_need_no_service(new, tmp_path):
    cells = new()
    (tmp_path / "below").mkdir()
    assert cells("cd below\nimport os\nprint(os.path.basename(os.getcwd()))").endswith("below\n")
    assert "is here already" in cells("pip install openai==0.28\nx = 1") and cells("x") == "1"
    assert "Name: openai" in cells("pip show openai\ny = 2") and cells("set = {1, 2}\nset") == "{1, 2}"
    show = "print(os.environ['A'], os.environ['C'], os.environ['E'])"
    assert cells(f"export A=b C='d e' E=$(echo f)\n{show}") == "b d e f\n"
    assert "not closed" in cells("export A='b")
    assert "can't be understood" in cells("export A=b; openai api models.list")
    cells.typed = "sk-" + "proj-Ab3dEf6hIj9kLm2nOp5qRs8tUv"
    assert "which only you can read" in cells("%key") and keys.load("openai") == cells.typed
    assert cells("from openai_lesson import keys; print(keys.load('openai'))") == "[secret]\n"
    assert json.loads(keys.path().read_text()) == {"openai": cells.typed}


def test_python_as_usual(new):
    cells = new()
    completed = cells.client.complete("import os; os.getc", reply=True, timeout=30)["content"]["matches"]
    assert "getcwd" in completed or "os.getcwd" in completed
    assert "Docstring" in str(cells.client.inspect("%jobs", 2, reply=True, timeout=30)["content"]["data"])
    assert "IntSlider(value=3" in cells("import ipywidgets as w; s = w.IntSlider(3); s")
    assert cells("import asyncio; await asyncio.sleep(0); 1") == "1"
    identity = cells.client.execute("import time\nfor _ in range(300): time.sleep(0.1)")
    cells.client.get_iopub_msg(timeout=30)
    time.sleep(1)
    cells.manager.interrupt_kernel()
    while (reply := cells.client.get_shell_msg(timeout=30))["parent_header"]["msg_id"] != identity:
        pass
    assert reply["content"]["ename"] == "KeyboardInterrupt"
    info = cells.client.kernel_info(reply=True, timeout=30)["content"]
    assert info["language_info"]["name"] == "python" and "debugger" in str(info)


def test_the_debugger_stops_and_hides_secrets(new, monkeypatch):
    token = "hf_" + "qQwWeErRtTyYuUiIoOpP"
    monkeypatch.setenv("HUB_TOKEN", token)
    cells = new()
    channel, numbers = cells.client.control_channel, count(1)

    def debug(command, **arguments):
        content = {"type": "request", "seq": next(numbers), "command": command, "arguments": arguments}
        request = cells.client.session.msg("debug_request", content)
        channel.send(request)
        while (reply := channel.get_msg(timeout=30))["parent_header"].get("msg_id") != request["msg_id"]:
            pass
        return reply["content"]

    assert debug(
        "initialize", clientID="test", adapterID="", linesStartAt1=True, columnsStartAt1=True, pathFormat="path"
    )["success"]
    assert debug("attach")["success"]
    code = "import os\nt = os.environ['HUB_TOKEN']\nexport A=b\nx = 1\n"
    path = debug("dumpCell", code=code)["body"]["sourcePath"]
    debug("setBreakpoints", source={"path": path}, breakpoints=[{"line": 4}], sourceModified=False)
    debug("configurationDone")
    cells.client.execute(code)
    while (event := cells.client.get_iopub_msg(timeout=30)["content"]).get("event") != "stopped":
        pass
    found = {v["name"]: v["value"] for v in debug("inspectVariables")["body"]["variables"]}
    assert found["t"] == "'[secret]'" and "x" not in found
    assert debug("continue", threadId=event["body"]["threadId"])["success"]
