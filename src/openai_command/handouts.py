"""The learner's version of a notebook: the same cells without solutions and without outputs.

Both versions come from the one notebook in the repository. There a solution is a cell with the tag ``solution``: a
folded text that holds a block of code. That code stands in for the exercise's own cell, the one with the tag
``exercise`` before it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat

from openai_data.atomic_write import write_whole
from openai_data.errors import LessonError

EXERCISE, SOLUTION = "exercise", "solution"


def tagged(cell: Any, tag: str) -> bool:
    """Whether a cell has a tag."""
    return tag in cell.metadata.get("tags", [])


def without_solutions(notebook: Any) -> Any:
    """The learner's version: a new notebook, with the same cells but for solutions, as if never run."""
    version = nbformat.from_dict(notebook)
    version.cells = [cell for cell in version.cells if not tagged(cell, SOLUTION)]
    for cell in version.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    return version


def solved(notebook: Any) -> Any:
    """A new notebook in which each exercise's cell holds its solution's code.

    Raises:
        LessonError: an exercise has no solution, or a solution no exercise or no code.
    """
    version = nbformat.from_dict(notebook)
    for exercise, solution in pairs(version):
        exercise.source = _code(solution)
    return version


def pairs(notebook: Any) -> Iterator[tuple[Any, Any]]:
    """Each exercise's cell with its solution's.

    Raises:
        LessonError: they don't alternate.
    """
    cells = [cell for cell in notebook.cells if tagged(cell, EXERCISE) or tagged(cell, SOLUTION)]
    kinds = [EXERCISE if tagged(cell, EXERCISE) else SOLUTION for cell in cells]
    if kinds != [EXERCISE, SOLUTION] * (len(cells) // 2):
        raise LessonError("After each cell with the tag 'exercise' there must be one with the tag 'solution'.")
    yield from zip(cells[::2], cells[1::2], strict=True)


def _code(solution: Any) -> str:
    found = re.search(r"```python\n(.*?)\n```", solution.source, re.S)
    if found is None:
        raise LessonError(f"A solution has no code between ```python and ```: {solution.source[:60]!r}")
    return found[1]


def write(source: Path, folder: Path, *, overwrite: bool = False) -> list[Path]:
    """Write the learner's version of every notebook in a folder.

    Args:
        source: the folder with the notebooks.
        folder: where they go; made if need be.
        overwrite: replace notebooks that are there already. They may hold a learner's work.

    Returns:
        What was written.

    Raises:
        LessonError: one is there already, or can't be written.
    """
    paths = sorted(source.glob("[0-9][0-9]-*.ipynb"))
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LessonError(f"The folder {folder} can't be made: {error.strerror}. Choose another one.") from None
    for path in paths:
        if (folder / path.name).exists() and not overwrite:
            raise LessonError(
                f"{folder / path.name} exists already. Choose another folder, or ask for the notebooks to be "
                f"replaced:  openai-lesson notebooks --overwrite --to {folder}"
            )
    for path in paths:
        version = without_solutions(nbformat.read(path, as_version=4))
        write_whole(folder / path.name, nbformat.writes(version) + "\n")
    return [folder / path.name for path in paths]
