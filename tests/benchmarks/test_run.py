"""`benchmarks/run.py`: what it writes, and what it does about a benchmark that fails."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
GOOD = '"""One thing next to another: seconds.\n\nMore of it."""\nprint("| a | b |")\n'
BAD = '"""What breaks."""\nprint("so far")\nraise SystemExit("no disk")\n'


@pytest.fixture
def folder(tmp_path):
    for name in ("run.py", "machine.py"):
        shutil.copy(BENCHMARKS / name, tmp_path)
    (tmp_path / "good.py").write_text(GOOD)
    (tmp_path / "bad.py").write_text(BAD)
    return tmp_path


def run(folder, *names):
    done = subprocess.run([sys.executable, folder / "run.py", *names], capture_output=True, text=True)
    return done.returncode, done.stdout, done.stderr


def test_results_have_a_section_for_each_and_one_that_fails_is_told(folder):
    code, said, told = run(folder, "bad", "good")
    assert code == 1 and "| a | b |" in said and "no disk" in told
    results = (folder / "RESULTS.md").read_text()
    assert "- training on " in results.split("<!-- bad -->")[0]
    bad, good = results.split("<!-- bad -->")[1].split("<!-- good -->")
    assert "## What breaks\n\nso far\n" in bad and "failed with exit code 1" in bad
    assert "## One thing next to another: seconds\n\n| a | b |\n\n`benchmarks/good.py`" in good

    (folder / "bad.py").write_text('"""What is mended."""\nprint("done")\n')
    assert run(folder, "bad")[0] == 0
    after = (folder / "RESULTS.md").read_text()
    assert "## What is mended\n\ndone\n" in after and "What breaks" not in after
    assert after.split("<!-- good -->")[1].strip() == good.strip()


def test_figures_of_another_machine_keep_theirs(folder):
    run(folder, "good", "bad")
    path = folder / "RESULTS.md"
    before = path.read_text()
    head = before.split("<!--")[0]
    ours = next(line for line in head.splitlines() if line.startswith("- "))
    path.write_text(before.replace(ours, "- A fast one, 64 cores"))
    run(folder, "good")
    after = path.read_text()
    assert "- A fast one, 64 cores" in after.split("<!--")[0], "the other section was measured there"
    assert ours in after.split("<!-- good -->")[1], "and this one here"
    run(folder, "good", "bad")
    assert ours in path.read_text().split("<!--")[0], "now all are from here"


def test_an_unknown_benchmark_is_named_and_nothing_runs(folder):
    code, said, told = run(folder, "good", "better")
    assert (code, said) == (2, "") and "There is no benchmark better." in told
    assert not (folder / "RESULTS.md").exists()
