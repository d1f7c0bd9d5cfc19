"""What the set-up page says can be typed as it stands."""

import json
import re
import shlex
from pathlib import Path

import pytest

from openai_command import lesson
from openai_local import cli as local

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "set-up.md").read_text(encoding="utf-8")
DEVCONTAINER = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text(encoding="utf-8"))
TYPED = PAGE + DEVCONTAINER["postCreateCommand"]


@pytest.mark.parametrize(
    ("program", "parser"), [("openai-lesson", lesson._parser()), ("openai-local", local._parser())]
)
def test_its_commands_exist(program, parser):
    found = re.findall(rf"{program} ((?:[a-z]+ ?)+(?:--[a-z]+ ?\S*)?)", TYPED)
    typed = {words.split("`")[0].strip() for words in found if words.split()[0] != "is"}
    assert typed
    for words in typed:
        assert parser.parse_args(shlex.split(words)).run, words


def test_its_files_exist():
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", PAGE):
        assert (ROOT / "docs" / target).exists(), target
    for name in ("environment.yml", "constraints.txt", ".devcontainer/devcontainer.json"):
        assert name in PAGE and (ROOT / name).exists()
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"make (?:PYTHON=\S+ )?([a-z./]+)(?=\s|`|$)", TYPED.replace("`make`", "")):
        assert re.search(rf"^{re.escape(target)}:", makefile, re.M), target
