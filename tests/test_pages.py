"""The pages for instructors and for learners: plans that add up, commands that exist, a glossary that is whole."""

import argparse
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import openai
import pytest

from openai_command import lesson
from openai_command import openai as command
from openai_kernel.magics import LessonMagics
from openai_local import cli as local
from test_set_up import ROOT

INSTRUCTORS, LEARNERS = (
    (ROOT / "docs" / name).read_text(encoding="utf-8") for name in ("instructors.md", "learners.md")
)
NOTEBOOKS = sorted((ROOT / "notebooks").glob("0[0-5]-*.ipynb"))
pages = pytest.mark.parametrize("page", [INSTRUCTORS, LEARNERS], ids=["instructors", "learners"])


def text(path: Path) -> str:
    """What a notebook says outside of code."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    whole = "\n\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
    return re.sub(r"```.*?```|`[^`\n]*`", "", whole, flags=re.S)


# The plans

NOTEBOOK = r"(?:\N{EN DASH}|\[\d\]\(\.\./notebooks/([\w-]+\.ipynb)\))"
ROW = re.compile(rf"^\| (\d+)\N{{EN DASH}}(\d+) \| {NOTEBOOK} \| .+ \| .+ \|$", re.M)


def plan(total):
    part = INSTRUCTORS.split(f"\n### {total} minutes\n")[1].split("\n#")[0]
    rows = [(int(start), int(end), name) for start, end, name in ROW.findall(part)]
    assert len(rows) == len(re.findall(r"^\| ", part, re.M)) - 1, "a row of the table can't be read"
    return rows


def told(name):
    found = re.search(r"^Reading: (\d+) minutes · Exercises: (\d+) minutes", text(ROOT / "notebooks" / name), re.M)
    return int(found[1]), int(found[2])


@pytest.mark.parametrize("total", [45, 90, 180])
def test_the_minutes_of_a_plan_add_up(total):
    starts, ends, _ = zip(*plan(total), strict=True)
    assert starts[0] == 0 and starts[1:] == ends[:-1], "each row begins where the one before it ends"
    assert ends[-1] == total == sum(end - start for start, end in zip(starts, ends, strict=True))
    assert all(end > start for start, end in zip(starts, ends, strict=True))


@pytest.mark.parametrize(("total", "last"), [(45, 4), (90, 4), (180, 5)])
def test_a_plan_leaves_the_time_that_the_notebooks_name(total, last):
    """45 minutes are for reading; in the longer plans there is time for the exercises, too."""
    given = {path.name: 0 for path in NOTEBOOKS[: last + 1]}
    for start, end, name in plan(total):
        if name:
            given[name] += end - start
    for name, minutes in given.items():
        reading, exercises = told(name)
        needed = reading if total == 45 else reading + exercises
        assert minutes >= needed, f"{name} has {minutes} of {needed} minutes in the plan of {total}"


# The commands

SYSTEM = {"cd", "cmd", "conda", "export", "module", "py", "set", "source", "sudo", "xcode-select"}
"""First words of lines that are not ours to check."""


def blocks(page):
    return re.findall(r"^ *```\n(.*?)^ *```$", page, re.M | re.S)


def spans(page):
    """What stands between single backticks, also over the end of a line."""
    without_blocks = re.sub(r"^ *```.*?^ *```$", "", page, flags=re.M | re.S)
    return [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", without_blocks)]


def parsed(parser: argparse.ArgumentParser, words: list[str]) -> None:
    try:
        assert parser.parse_args(words).run
    except SystemExit:
        pytest.fail(f"{parser.prog} does not understand: {shlex.join(words)}")


def pip(words):
    options = {word for word in words[1:] if word.startswith("-")}
    asked = [sys.executable, "-m", "pip", words[0], "--help"]
    known = subprocess.run(asked, capture_output=True, text=True, check=True).stdout
    assert options <= set(re.findall(r"(?<![\w-])--?[a-z][\w-]*", known)), words


def make(words):
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    (target,) = [word for word in words if "=" not in word]
    assert re.search(rf"^{re.escape(target)}:", makefile, re.M), target


def jupyter(words):
    assert words[0] == "lab" and (words[1:] in (["learners"], ["notebooks"]))


OURS = {
    "openai-lesson": lambda words: parsed(lesson._parser(), words),
    "openai-local": lambda words: parsed(local._parser(), words),
    "openai": lambda words: parsed(command._parser()[0], words),
    "python -m pip": pip,
    "make": make,
    "jupyter": jupyter,
}


def checked(line):
    """Whether a line is a command of the lesson; if so, it exists."""
    line = re.sub(r"^\.venv[/\\](bin|Scripts)[/\\]", "", line)
    for program, check in OURS.items():
        if line.startswith(f"{program} "):
            check(shlex.split(line.removeprefix(program)))
            return True
    return False


@pages
def test_its_commands_exist(page):
    for line in (line.strip() for block in blocks(page) for line in block.splitlines()):
        assert checked(line) or line.split()[0] in SYSTEM or line == r".venv\Scripts\activate", line
    assert [span for span in spans(page) if checked(span)]


@pages
def test_its_python_exists(page):
    """What is called in the helper module is what notebooks call, and other tests run those."""
    called = "".join(path.read_text(encoding="utf-8") for path in NOTEBOOKS)
    for span in spans(page):
        for name in re.findall(r"\blesson\.(\w+)", span):
            assert f"lesson.{name}(" in called, span
        for magic in re.findall(r"^%(\w+)", span):
            assert hasattr(LessonMagics, magic), span
        if span.startswith("client.fine_tuning"):
            found = openai.OpenAI(api_key="none")
            for name in span.split("(")[0].split(".")[1:]:
                found = getattr(found, name)


OTHERS_SAY = ("APIConnectionError", "ModuleNotFoundError", "NameError", "No space left", "The system cannot find")


def test_what_goes_wrong_is_said_in_these_words():
    """The lesson's own messages stand in the source as they are quoted, but for what is put into them."""
    source = "".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "src").rglob("*.py")))
    source = re.sub(r"\W+", " ", source)
    table = INSTRUCTORS.split("\n## What goes wrong\n")[1].split("\n## ")[0]
    seen = [span for row in re.findall(r"^\| (.+?) \|", table, re.M) for span in spans(row)]
    quoted = [span.removeprefix("LessonError: ") for span in seen if not span.startswith(OTHERS_SAY)]
    parts = [part for span in quoted for part in re.split(r"…|'[^']*'|\S*\d\S*|\S+\.(?:csv|jsonl)", span)]
    sentences = [" ".join(words[:4]) for part in parts if len(words := re.findall(r"\w+", part)) > 1]
    assert len(sentences) >= 8
    for words in sentences:
        assert words in source, f"nothing says {words!r} any more"


# The set-up, and the words


def test_a_set_up_has_at_most_six_lines():
    assert all(1 <= len(block.splitlines()) <= 6 for block in blocks(LEARNERS))


def entries():
    glossary = LEARNERS.split("\n## Words\n")[1]
    return re.findall(r"^- (\*\*.+?\*\*): (.+?)(?=^- |\Z)", glossary, re.M | re.S)


def names(head):
    return [name.casefold() for name in re.findall(r"\*\*(.+?)\*\*", head)]


def test_the_glossary_is_in_alphabetical_order():
    first = [names(head)[0] for head, _ in entries()]
    assert len(first) >= 40 and first == sorted(first)
    everything = [name for head, _ in entries() for name in names(head)]
    assert len(everything) == len(set(everything)), "a word is there twice"


def test_each_word_is_explained_shortly_and_has_a_link():
    for head, words in entries():
        assert len(re.findall(r"[.?!](?=\s)", words)) <= 4, f"{head}: at most three sentences and a note"
        assert re.search(r"\(\[[^\]]+\]\([^)]+\)\)$", words.strip()), f"{head} has no link at its end"


def test_a_word_occurs_in_the_notebook_that_it_links_to():
    for head, words in entries():
        if found := re.search(r"\(\.\./notebooks/([\w-]+\.ipynb)\)\)$", words.strip()):
            path = ROOT / "notebooks" / found[1]
            if path in NOTEBOOKS:
                said = path.read_text(encoding="utf-8").casefold()
                assert any(name in said for name in names(head)), f"{head} is not in {path.name}"


NOT_WORDS = {
    *("file", "new", "of", "and"),  # a menu, and small words
    *"a an begin different glorify know knowing larger next other questions sounding sounds the worse".split(),
    *("westminster shorter catechism", "larger catechism", "shift and enter"),
    *("trained on", "in other words", "never seen"),
}
"""What notebooks print in bold or italics for another reason: stress, headings, sets of questions, a title."""


def introduced(path):
    """The words that a notebook prints in bold or italics: at most three, and no sentence."""
    said = text(path)
    marked = re.findall(r"\*\*(.+?)\*\*", said, re.S)
    marked += re.findall(r"\*([^*]+)\*", re.sub(r"\*\*.+?\*\*", "", said, flags=re.S))
    for words in (" ".join(found.split()).casefold() for found in marked):
        if len(words.split()) <= 3 and re.fullmatch(r"[\w -]+", words) and words not in NOT_WORDS:
            yield words


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_every_word_that_a_notebook_introduces_is_in_the_glossary(path):
    known = {name for head, _ in entries() for name in names(head)}
    for words in introduced(path):
        assert words in known or words.removesuffix("s") in known, (
            f"{path.name} introduces {words!r}: put it into docs/learners.md, or into NOT_WORDS if it is no term"
        )


# The form of the text


@pages
def test_lines_are_short_and_nothing_is_ours_alone(page):
    without_blocks = re.sub(r"^ *```.*?^ *```$", "", page, flags=re.M | re.S)
    for line in without_blocks.splitlines():
        assert len(line) <= 118 or line.startswith("|"), line
    assert not re.search(r"/(home|root|work|tmp)/|issue \d", page)
