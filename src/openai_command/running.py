"""Running the notebooks from top to bottom without a browser, showing what a learner would see.

Each notebook runs through its kernel in a folder of its own choosing; what its cells print appears here as it
comes, with progress in place. The notebooks as they were run are kept in that folder.
"""

from __future__ import annotations

import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, DeadKernelError

from openai_data.errors import LessonError
from openai_data.local_cli import output
from openai_lesson.local import require_base, running

ORDER = (
    "00-start-here.ipynb",
    "01-prepare-data.ipynb",
    "02-train.ipynb",
    "03-query.ipynb",
    "04-verify.ipynb",
    "05-your-own-data.ipynb",
    "06-on-a-cluster.ipynb",
    "07-at-openai.ipynb",
)
LAST_LINE = "exact recall:"


def run_lesson(folder: Path, *, notebooks: Path | None = None, kernel: str = "openai") -> None:
    """Run the lesson. The last line that is printed is the recall.

    Args:
        folder: where data and finished notebooks go; made if need be.
        notebooks: the folder that holds the notebooks (nothing: the lesson's own).
        kernel: the name of the kernelspec.

    Raises:
        LessonError: a notebook is missing, its kernel is not installed, or one of its cells fails.
    """
    source = notebooks or find_notebooks()
    for name in ORDER:
        if not (source / name).is_file():
            message = (
                f"There is no notebook {source / name}. Name their folder:  openai-lesson run --notebooks DIR"
            )
            raise LessonError(message)
    folder.mkdir(parents=True, exist_ok=True)
    print(f"The lesson runs in {folder.absolute()}", flush=True)
    require_base()
    echo = Echo()
    with _own_service():
        for name in ORDER:
            print(f"\n── {name} " + "─" * (70 - len(name)), flush=True)
            run_notebook(source / name, folder, kernel, echo)
    if echo.recall:
        print(f"\nThe notebooks as they were run, and all data, are in {folder.absolute()}")
        print(echo.recall)


@contextmanager
def _own_service() -> Iterator[None]:
    """Stop the service on this machine at the end of the block, unless it ran before."""
    ran_before = running()
    try:
        yield
    finally:
        if not ran_before:
            output("stop")


def find_notebooks() -> Path:
    """The lesson's notebooks: in the checkout, or where they were installed.

    Raises:
        LessonError: they are in neither place.
    """
    checkout = Path(__file__).parents[2] / "notebooks"
    installed = Path(sysconfig.get_path("data")) / "share" / "openai-lesson" / "notebooks"
    for place in (checkout, installed):
        if (place / ORDER[0]).is_file():
            return place
    raise LessonError(f"The notebooks are neither in {checkout} nor in {installed}. Install the package again.")


def run_notebook(path: Path, folder: Path, kernel: str, echo: Echo) -> None:
    """Run one notebook in `folder` and keep the result there under the same name.

    Raises:
        LessonError: a cell fails; the message names the cell, and what it said.
    """
    notebook = nbformat.read(path, as_version=4)
    client = _EchoingClient(
        notebook,
        echo=echo,
        kernel_name=kernel,
        timeout=None,
        record_timing=False,
        resources={"metadata": {"path": str(folder)}},
        store_widget_state=False,
    )
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
    except Exception as error:
        if type(error).__name__ != "NoSuchKernel":
            raise
        message = f"There is no Jupyter kernel named {kernel!r} in this environment. Install it:  pip install -e ."
        raise LessonError(message) from None
    finally:
        echo.end()
        _leave_static_twins(notebook)
        nbformat.write(notebook, folder / path.name)


def _leave_static_twins(notebook: Any) -> None:
    """Take the widgets out of a notebook that was run: without their kernel they would show as errors.

    What a widget was shown with, as text, stays.
    """
    for cell in notebook.cells:
        for shown in cell.get("outputs", []):
            shown.get("data", {}).pop("application/vnd.jupyter.widget-view+json", None)


class Echo:
    """Prints what cells print. Remembers the line with the recall."""

    def __init__(self) -> None:
        """Nothing was printed yet."""
        self.recall = ""
        self._pending, self._printed = "", 0

    def stream(self, name: str, text: str) -> None:
        """Text that a cell prints. What overwrites its own line is shown on a terminal only."""
        if name == "stderr" and not sys.stderr.isatty():
            return
        self.end()
        (sys.stderr if name == "stderr" else sys.stdout).write(text)
        sys.stdout.flush()
        for line in text.splitlines():
            if line.startswith(LAST_LINE):
                self.recall = line

    def shown(self, text: str) -> None:
        """A result, or something that a cell displays."""
        self.end()
        print(text, flush=True)

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

    def __init__(self, *arguments: Any, echo: Echo, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.echo = echo

    def process_message(self, msg: dict[str, Any], cell: Any, cell_index: int) -> Any:
        """Echo a message, then handle it as ever."""
        content = msg["content"]
        if msg["msg_type"] == "stream":
            self.echo.stream(content["name"], content["text"])
        elif msg["msg_type"] in ("display_data", "execute_result", "update_display_data"):
            text = str(content["data"].get("text/plain", ""))
            if content.get("transient", {}).get("display_id"):
                self.echo.in_place(text)
            else:
                self.echo.shown(text)
        return super().process_message(msg, cell, cell_index)
