"""Words that are not ours: handed to the next `openai` on PATH, or explained."""

import os
import subprocess
import sys

import pytest

from openai_command.openai import explain, main

posix = pytest.mark.skipif(sys.platform == "win32", reason="the other program is a shell script")
OURS = ["api models.list", "api completions.create", "tools fine_tunes.prepare_data"]


def program(folder, text):
    """A program called openai, in a folder of its own."""
    folder.mkdir()
    path = folder / "openai"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def run(*words, path=()):
    """Our command as a process, with more folders in front of PATH."""
    environment = {**os.environ, "PATH": os.pathsep.join([*map(str, path), "/usr/bin", "/bin"])}
    command = [sys.executable, "-m", "openai_command.openai", *words]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)


@posix
def test_the_next_openai_gets_the_words_as_they_were_typed(tmp_path):
    program(tmp_path / "other", 'echo "other: $*"; exit 7')
    done = run("--format", "json", "files", "list", "--limit", "2 3", path=[tmp_path / "other"])
    assert (done.stdout, done.stderr, done.returncode) == ("other: --format json files list --limit 2 3\n", "", 7)
    done = run("api", "image.create", "-p", "x", path=[tmp_path / "other"])
    assert (
        done.stdout == "other: api image.create -p x\n"
        and "no 'api image.create'. It is handed on to" in done.stderr
    )


@posix
def test_two_installations_do_not_hand_words_to_each_other_for_ever(tmp_path):
    ours = f'exec "{sys.executable}" -m openai_command.openai "$@"'
    program(tmp_path / "one", ours)
    program(tmp_path / "two", ours)
    done = run("files", "list", path=[tmp_path / "one", tmp_path / "two"])
    assert done.returncode == 1 and "This command has no 'files'" in done.stderr
    program(tmp_path / "three", "echo found")
    assert run("files", "list", path=[tmp_path / name for name in ("one", "two", "three")]).stdout == "found\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["api", "image.create", "-p", "x"], "client.images.generate"),
        (["api", "audio.transcriptions.create"], "client.audio.transcriptions.create"),
        (["api", "engines.list"], "openai api models.list"),
        (["api", "deployments.list"], "Azure"),
        (["wandb", "sync"], "fine_tunes.results"),
        (["migrate"], "discussions/742"),
        (["grit"], "discussions/742"),
        (["images", "generate"], "client.images.generate"),
        (["api", "model.list"], "Did you mean:  openai api models.list"),
        (["completions.create"], "Did you mean:  openai api completions.create"),
        (["api", "fine_tunes.prepare_data"], "Did you mean:  openai tools fine_tunes.prepare_data"),
        (["tool"], "openai api --help"),
    ],
)
def test_words_that_nobody_takes_are_explained(words, said):
    assert said in explain(words, OURS)


def test_an_unknown_word_is_an_error(monkeypatch, capsys):
    monkeypatch.setenv("PATH", "")
    assert main(["api", "modles.list"]) == 1
    assert "Did you mean:  openai api models.list" in capsys.readouterr().err
