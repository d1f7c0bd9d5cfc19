"""The lesson's notebooks: run from top to bottom without a browser, or written for learners without solutions.

Each notebook runs through its kernel in a folder of its own choosing; what its cells print appears here as it
comes, with progress in place. The notebooks as they were run are kept in that folder.

The learner's version has the same cells without solutions and without outputs. In the repository a solution is a
cell with the tag ``solution``: a folded text with a block of code, behind the exercise's own cell.
"""

import sys
from pathlib import Path
from typing import Any

import nbformat
from jupyter_client.kernelspec import NoSuchKernel
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, DeadKernelError

from openai_command import shipped
from openai_data.atomic_write import write_whole
from openai_data.errors import LessonError
from openai_data.local_cli import output
from openai_lesson.local import require_base, running

ORDER = """
    00-start-here.ipynb 01-prepare-data.ipynb 02-train.ipynb 03-query.ipynb 04-verify.ipynb
    05-your-own-data.ipynb 06-on-a-cluster.ipynb 07-at-openai.ipynb
""".split()


def find_notebooks() -> Path:
    """The folder with the lesson's notebooks. Where there is none, that is a LessonError."""
    return shipped("The notebooks", f"notebooks/{ORDER[0]}", f"openai-lesson/notebooks/{ORDER[0]}").parent


def write_for_learners(folder: Path, *, overwrite: bool = False) -> int:
    """Write the learner's version of every notebook into a folder, which is made if need be. Returns how many.

    One that is there already may hold a learner's work: without `overwrite` that is a `LessonError`.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LessonError(f"The folder {folder} can't be made: {error.strerror}. Choose another one.") from None
    for name in ORDER:
        if (folder / name).exists() and not overwrite:
            raise LessonError(
                f"{folder / name} exists already. Choose another folder, or ask for the notebooks to be "
                f"replaced:  openai-lesson notebooks --overwrite --to {folder}"
            )
    for name in ORDER:
        version = without_solutions(nbformat.read(find_notebooks() / name, as_version=4))
        write_whole(folder / name, nbformat.writes(version) + "\n")
    return len(ORDER)


def without_solutions(notebook: Any) -> Any:
    """The learner's version: a new notebook, with the same cells but for solutions, as if never run."""
    version = nbformat.from_dict(notebook)
    version.cells = [cell for cell in version.cells if "solution" not in cell.metadata.get("tags", [])]
    for cell in version.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    return version


def run_lesson(folder: Path, *, notebooks: Path | None = None, kernel: str = "openai") -> None:
    """Run the lesson. The last line that is printed is the recall.

    Data and finished notebooks go to `folder`, which is made if need be. The notebooks come from the folder
    `notebooks` (nothing: the lesson's own). If one is missing, or one of its cells fails, or its kernel is not
    installed, that is a `LessonError`.
    """
    source = notebooks or find_notebooks()
    for name in ORDER:
        if not (source / name).is_file():
            raise LessonError(
                f"There is no notebook {source / name}. Name their folder:  openai-lesson run --notebooks DIR"
            )
    folder.mkdir(parents=True, exist_ok=True)
    print(f"The lesson runs in {folder.absolute()}", flush=True)
    require_base()
    echo = Echo()
    ran_before = running()
    try:
        for name in ORDER:
            print(f"\n── {name} " + "─" * (70 - len(name)), flush=True)
            run_notebook(source / name, folder, kernel, echo)
    finally:
        if not ran_before:  # the service on this machine
            output("stop")
    if echo.recall:
        print(f"\nThe notebooks as they were run, and all data, are in {folder.absolute()}")
        print(echo.recall)


def run_notebook(path: Path, folder: Path, kernel: str, echo: "Echo") -> None:
    """Run one notebook in `folder` and keep the result there under the same name.

    If a cell fails, that is a `LessonError` with the cell, and what it said.
    """
    notebook = nbformat.read(path, as_version=4)
    client = _EchoingClient(
        notebook,
        kernel_name=kernel,
        timeout=None,
        record_timing=False,
        resources={"metadata": {"path": str(folder)}},
        store_widget_state=False,
        coalesce_streams=True,  # a command prints line by line; a page shows each piece as a block of its own
    )
    client.echo = echo
    try:
        with (folder / "kernel.log").open("ab") as log:
            client.execute(stderr=log)
    except CellExecutionError as error:
        raise LessonError(f"{path.name} stopped at a cell:\n{error.traceback.strip()}") from None
    except AssertionError:
        if client.km is not None:
            raise
        raise KeyboardInterrupt from None  # at Ctrl-C nbclient ends its kernel, and then stumbles over that
    except DeadKernelError:
        raise LessonError(f"The kernel of {path.name} died. Close other programs and try again.") from None
    except NoSuchKernel:
        message = f"There is no Jupyter kernel named {kernel!r} in this environment. Install it:  pip install -e ."
        raise LessonError(message) from None
    finally:
        echo.end()
        for cell in notebook.cells:
            for output in cell.get("outputs", []):
                # Without its kernel a widget would show as an error. What it was shown with, as text, stays.
                output.get("data", {}).pop("application/vnd.jupyter.widget-view+json", None)
        nbformat.write(notebook, folder / path.name)


class Echo:
    """Prints what cells print. Remembers the line with the recall."""

    def __init__(self) -> None:
        self.recall = ""
        self._pending, self._printed = "", 0

    def stream(self, name: str, text: str) -> None:
        """Text that a cell prints. What overwrites its own line is shown on a terminal only."""
        if name == "stderr" and not sys.stderr.isatty():
            return
        self.end()
        print(text, end="", file=sys.stderr if name == "stderr" else sys.stdout, flush=True)
        recalls = [line for line in text.splitlines() if line.startswith("exact recall:")]
        self.recall = (recalls or [self.recall])[-1]

    def in_place(self, text: str) -> None:
        """Something that will be updated: its first line changes, and below it lines are added.

        New lines are printed as they come. Of the first line a terminal shows each state, and others the last.
        """
        first, *log = text.splitlines() or [""]
        if new := log[self._printed :]:
            print("\n".join(f"\r{line:<100}" if sys.stdout.isatty() else line for line in new), flush=True)
            self._printed = len(log)
        if sys.stdout.isatty():
            print(f"\r{first:<100}", end="", flush=True)
            self._pending = "\n"
        else:
            self._pending = first + "\n"

    def end(self) -> None:
        """End what was being updated in place."""
        print(self._pending, end="", flush=True)
        self._pending, self._printed = "", 0


class _EchoingClient(NotebookClient):
    """A notebook client that passes on what the kernel sends."""

    echo: Echo

    def process_message(self, msg: dict[str, Any], cell: Any, cell_index: int) -> Any:
        content = msg["content"]
        if msg["msg_type"] == "stream":
            self.echo.stream(content["name"], content["text"])
        elif msg["msg_type"] in ("display_data", "execute_result", "update_display_data"):
            text = str(content["data"].get("text/plain", ""))
            if content.get("transient", {}).get("display_id"):
                self.echo.in_place(text)
            else:
                self.echo.end()
                print(text, flush=True)
        return super().process_message(msg, cell, cell_index)
