"""`prepare_data` writes what the tool of 0.28.1 writes, byte for byte, for files that cover all its analyses."""

import json
import shutil
import subprocess
from pathlib import Path

import corpus
import pytest

from environments import python_with
from openai_command.openai import main

PREPARE = Path(__file__).with_name("prepare_of_2022.py")
pytestmark = pytest.mark.usefixtures("machine")

WANTS = "openai==0.28.1 pandas<3 openpyxl"


@pytest.fixture(scope="module")
def prepare_of_2022(request):
    """Lets the old tool prepare files. Returns exit code and output for each, by name."""
    programs = python_with(request.config.cache.mkdir("clients"), WANTS, "prepare-0.28")

    def run(files):
        command = [str(programs / "python"), str(PREPARE), *map(str, files)]
        done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=300)
        assert done.returncode == 0, done.stderr
        return {Path(path).name: answer for path, answer in json.loads(done.stdout).items()}

    return run


def written(folder, name):
    """The files that were written for one, by their names."""
    return {path.name: path.read_bytes() for path in folder.glob(f"{Path(name).stem}_prepared*")}


def test_the_same_bytes(prepare_of_2022, tmp_path, capsys):
    """Some 220 files: the same files are written, with the same bytes, or both refuse."""
    old, new = tmp_path / "old", tmp_path / "new"
    old.mkdir()
    files = corpus.write_all(old)
    shutil.copytree(old, new)
    then = prepare_of_2022(files)
    wrote, different = 0, []
    for name in (file.name for file in files):
        code = main(["tools", "fine_tunes.prepare_data", "-q", "-f", str(new / name)])
        capsys.readouterr()
        wrote += len(written(old, name))
        if written(old, name) != written(new, name) or (code == 0) != (then[name]["code"] == 0):
            different.append(name)
    assert not different, f"{len(different)} of {len(files)} differ"
    assert wrote > 200, "most of them are there to be written"


def test_what_the_old_tool_got_wrong(prepare_of_2022, tmp_path, capsys):
    """Each of these is told in docs/prepare_data.md; ours gets it right."""
    old, new = tmp_path / "old", tmp_path / "new"
    old.mkdir()
    expected = corpus.write_faults(old)
    shutil.copytree(old, new)
    prepare_of_2022([old / name for name in expected])
    for name, rows in expected.items():
        assert main(["tools", "fine_tunes.prepare_data", "-q", "-f", str(new / name)]) == 0
        capsys.readouterr()
        (ours,) = written(new, name).values()
        found = [json.loads(line) for line in ours.decode().splitlines()]
        for row, (prompt, completion) in zip(found, rows, strict=True):
            assert row["prompt"].startswith(prompt) and row["completion"].strip() == completion.strip()
        assert written(old, name) != written(new, name), f"{name}: the old tool got it right too"
