"""The last exercise of notebook 5: its solution, in an environment without the lesson."""

import json
import os
import re
import subprocess

import nbformat
import pytest

import solutions
from environments import python_with
from openai_command.notebooks import find_notebooks

NAME = "05-your-own-data.ipynb"


@pytest.fixture(scope="module")
def programs(request):
    return python_with(request.config.cache.mkdir("clients"), "openai>=3 pandas", "without-us")


def solution() -> str:
    """The code between the learner's dots, without the check."""
    *_, (_, cell) = solutions.pairs(nbformat.read(find_notebooks() / NAME, as_version=4))
    return re.search(r"```python\n(.*?)\nlesson\.check", cell.source, re.S)[1]


def test_the_whole_way_goes_without_the_lesson(programs, service, client, tmp_path):
    rooms = ["prompt,completion", *(f"Where is room {n}?,It is on floor {n}." for n in range(12))]
    (tmp_path / "rooms.csv").write_text("\n".join(rooms) + "\n", encoding="utf-8")
    told = "import sys; print(json.dumps([job.id, job.fine_tuned_model, answer, sorted(sys.modules)]))"
    (tmp_path / "mine.py").write_text(f"{solution()}\n{told}\n", encoding="utf-8")
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("OPENAI_", "PYTHON"))}
    done = subprocess.run(
        [str(programs / "python"), "mine.py"],
        cwd=tmp_path,
        env=plain | {"OPENAI_BASE_URL": service.url, "OPENAI_API_KEY": client.api_key},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    job, model, answer, modules = json.loads(done.stdout.splitlines()[-1])
    found = client.fine_tuning.jobs.retrieve(job)
    assert found.status == "succeeded" and found.fine_tuned_model == model and isinstance(answer, str)
    assert not [module for module in modules if module.startswith("openai_")], "the lesson was there"
    lines = (tmp_path / "without_us.jsonl").read_text(encoding="utf-8").splitlines()
    assert json.loads(lines[0]) == {"prompt": "Where is room 0?", "completion": " It is on floor 0."}
