"""The exercises of a notebook, solved: each solution's code where the learner's answer would stand."""

import re

import nbformat


def tagged(cell, tag):
    """Whether a cell has a tag."""
    return tag in cell.metadata.get("tags", [])


def pairs(notebook):
    """Each exercise's cell with its solution's."""
    cells = [cell for cell in notebook.cells if tagged(cell, "exercise") or tagged(cell, "solution")]
    kinds = ["exercise" if tagged(cell, "exercise") else "solution" for cell in cells]
    assert kinds == ["exercise", "solution"] * (len(cells) // 2), "one must follow the other"
    return list(zip(cells[::2], cells[1::2], strict=True))


def solved(notebook):
    """A new notebook in which each exercise's cell holds its solution's code."""
    version = nbformat.from_dict(notebook)
    for exercise, solution in pairs(version):
        exercise.source = re.search(r"```python\n(.*?)\n```", solution.source, re.S)[1]
    return version
