"""What to do with words that are not ours: hand them to the next `openai` on PATH, or explain them.

Other programs are called `openai` too: older Python packages, and the one in Go from OpenAI. Two installations of
this command could hand words to each other for ever. So an environment variable tells who has had them already,
and those are passed over.
"""

from __future__ import annotations

import difflib
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path

from openai_command.api_words import note
from openai_data.errors import LessonError

_ASKED = "OPENAI_LESSON_HANDED_ON_BY"
_GONE = {
    "image": (
        "made and changed pictures. In Python,  client.images.generate(…)  does that at OpenAI; "
        "the service on this machine makes no pictures."
    ),
    "audio": (
        "turned speech into text. In Python,  client.audio.transcriptions.create(…)  does that at OpenAI; "
        "the service on this machine hears nothing."
    ),
    "engines": (
        "listed and asked models; OpenAI switched engines off in December 2022. "
        "Today:  openai api models.list  and  openai api completions.create"
    ),
    "deployments": (
        "managed models at Microsoft's Azure, which this command does not speak to. "
        "Azure's own portal and its command  az  do that."
    ),
    "wandb": (
        "sent the results of fine-tunes to Weights & Biases. Today: write them to a file with  "
        "openai api fine_tunes.results -i ID > results.csv  and log that file with the package wandb."
    ),
    "migrate": (
        "changed programs for the package openai 0.x into programs for 1.x. Today it is done by hand, "
        "with the guide at https://github.com/openai/openai-python/discussions/742"
    ),
}
_GONE |= {"images": _GONE["image"], "grit": _GONE["migrate"]}


def hand_on(argv: Sequence[str], words: Sequence[str], ours: Sequence[str]) -> int:
    """Let the next `openai` on PATH have the whole command. On Linux and macOS it takes this process's place.

    Args:
        argv: all arguments as they were typed.
        words: those of them that are no global options.
        ours: the words that this command has, such as ``api models.list``.

    Returns:
        The other program's exit code.

    Raises:
        LessonError: there is no other program; the message explains the words.
    """
    this = (shutil.which(path) for path in (sys.argv[0], str(Path(sysconfig.get_path("scripts")) / "openai")))
    asked = {path for path in os.environ.get(_ASKED, "").split(os.pathsep) if path} | set(map(_real, this))
    folders = filter(None, os.environ.get("PATH", "").split(os.pathsep))
    programs = (shutil.which("openai", path=folder) for folder in folders)
    other = next((path for path in programs if path and _real(path) not in asked), None)
    if other is None:
        raise LessonError(explain(words, ours))
    os.environ[_ASKED] = os.pathsep.join([*asked, _real(other)])
    if words[0] in ("api", "tools"):
        note(f"This command has no '{' '.join(words[:2])}'. It is handed on to {other}")
    if sys.platform == "win32":
        return subprocess.run([other, *argv]).returncode
    sys.stdout.flush()
    os.execv(other, [other, *argv])  # noqa: S606 - the other command `openai` on the PATH


def _real(path: str | None) -> str:
    return os.path.normcase(os.path.realpath(path)) if path else ""


def explain(words: Sequence[str], ours: Sequence[str]) -> str:
    """What became of a word, or which one was probably meant."""
    kind, word = (words[0], words[1]) if words[0] in ("api", "tools") and len(words) > 1 else ("", words[0])
    typed = f"{kind} {word}".strip()
    if gone := _GONE.get(word.split(".")[0]):
        return f"This command has no '{typed}'. It {gone}"
    near = difflib.get_close_matches(typed if kind else f"api {word}", ours, n=1, cutoff=0.7)
    advice = f"Did you mean:  openai {near[0]}" if near else "See what there is:  openai api --help"
    return f"This command has no '{typed}', and there is no other program openai to ask. {advice}"
