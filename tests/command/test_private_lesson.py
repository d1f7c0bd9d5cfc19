"""What the lesson's commands and their service leave behind is the user's alone, whatever the umask."""

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has other rights")


def test_a_command_under_a_loose_umask(tiny_cache, tmp_path, pairs):
    folders = {name: tmp_path / name for name in ("home", "config")}
    environment = os.environ | {
        "OPENAI_LOCAL_CACHE": str(tiny_cache),
        "OPENAI_LOCAL_HOME": str(folders["home"]),
        "OPENAI_LESSON_CONFIG": str(folders["config"]),
        "CI": "1",
    }
    train = [
        sys.executable,
        "-m",
        "openai_command.openai",
        "api",
        "fine_tunes.create",
        "-m",
        "ada",
        "--n_epochs",
        "1",
    ]
    stop = [sys.executable, "-m", "openai_local", "stop"]
    before = os.umask(0)
    try:
        done = subprocess.run([*train, "-t", str(pairs)], env=environment, capture_output=True, text=True)
    finally:
        os.umask(before)
        subprocess.run(stop, env=environment, capture_output=True)
    assert done.returncode == 0, done.stderr
    found = [path for folder in folders.values() for path in (folder, *folder.rglob("*"))]
    assert {"keys.json", "service.log", "train.log", "openai-local.db"} <= {path.name for path in found}
    assert not {str(path): oct(path.stat().st_mode) for path in found if path.stat().st_mode & 0o077}
