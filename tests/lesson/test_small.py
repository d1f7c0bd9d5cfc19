"""The helper is small: what it holds, and what the notebooks load of it.

The same by hand:  wc -l src/openai_lesson/*.py   and   python -X importtime -c "import openai_lesson as l; l.ask"
"""

import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from openai_command.notebooks import ORDER, find_notebooks

HELPER = Path(__file__).parents[2] / "src" / "openai_lesson"
COUNT = """
ours = [m.__file__ for name, m in sys.modules.items() if name.startswith("openai_") and getattr(m, "__file__", "")]
print(sum(len(open(file, encoding="utf-8").readlines()) for file in ours))
"""


def lines_loaded(code: str, folder: Path) -> int:
    """How many lines of our own a Python loads that runs some code."""
    program = f"import sys\nimport openai_lesson as lesson\n{code}\n{COUNT}"
    done = subprocess.run([sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, check=True)
    return int(done.stdout.splitlines()[-1])


def test_a_learner_can_read_it_over_a_coffee():
    files = [path for path in HELPER.rglob("*.py") if path.name != "exercises.py"]
    assert len(files) <= 15 and sum(len(path.read_text(encoding="utf-8").splitlines()) for path in files) <= 2000


def test_asking_loads_little(tmp_path):
    assert lines_loaded("lesson.ask", tmp_path) <= 1000


@pytest.mark.usefixtures("machine")
def test_notebooks_0_to_5_load_little(tmp_path):
    """What their cells name, and a table that is looked at, counted and written. (On 2026-11-28: 5,386 lines.)"""
    notebooks = [nbformat.read(find_notebooks() / name, as_version=4) for name in ORDER[:6]]
    cells = "\n".join(cell.source for notebook in notebooks for cell in notebook.cells)
    names = sorted(set(re.findall(r"\blesson(?:\.[a-z_]\w*)+", cells)))
    assert {"lesson.start", "lesson.squad.f1", "lesson.playground", "lesson.check"} <= set(names)
    prepare = (
        "report = lesson.prepare.analyse(lesson.catechism.write('c.csv')); report.lengths; report.write('c.jsonl')"
    )
    assert lines_loaded("\n".join([*names, prepare]), tmp_path) <= 3600
