"""Calling the commands of this environment: ``openai-local``, by which alone the lesson reaches that package."""

import os
import subprocess
import sys
import sysconfig

from openai_data.errors import LessonError


def command(*words: str) -> list[str]:
    """The command with some words. ``-P``: no file of the learner is taken for a module of Python's."""
    return [sys.executable, "-P", "-m", "openai_local", *words]


def output(*words: str) -> str:
    """What the command prints.

    Raises:
        LessonError: it fails; the message is what it said.
    """
    done = subprocess.run(command(*words), capture_output=True, text=True)
    if done.returncode != 0:
        raise LessonError(done.stderr.strip() or f"openai-local {words[0]} failed without saying why.")
    return done.stdout.strip()


def put_commands_first() -> None:
    """Let ``!openai …`` in a cell find this environment's command.

    Jupyter often runs without the environment being activated, or another ``openai`` is found earlier.
    """
    scripts, path = sysconfig.get_path("scripts"), os.environ.get("PATH") or os.defpath
    others = [folder for folder in path.split(os.pathsep) if folder != scripts]
    os.environ["PATH"] = os.pathsep.join([scripts, *others])
