"""Calling the command ``openai-local``, the only way in which the lesson reaches that package but for HTTP."""

import subprocess
import sys

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
