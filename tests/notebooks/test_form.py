"""The form of the committed notebooks: how each begins and ends, exercises, links, nothing private."""

import importlib.util
import json
import re
from pathlib import Path

import nbformat
import pytest

import solutions
from openai_command.notebooks import ORDER
from openai_lesson import catechism
from openai_lesson.exercises import EXERCISES

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "notebooks"
NOTEBOOKS = {name: nbformat.read(FOLDER / name, as_version=4) for name in ORDER}
MINUTES = re.compile(r"^Reading: (\d+) minutes · Exercises: (\d+) minutes", re.M)
SHELL = {"openai", "openai-local", "sbatch", "sinfo", "squeue"}
"""What a cell may call behind a `!`: the commands of the lesson, and Slurm's."""
every = pytest.mark.parametrize("name", ORDER)


def cells(name, kind):
    return [cell for cell in NOTEBOOKS[name].cells if cell.cell_type == kind]


def text(name):
    return "\n\n".join(cell.source for cell in cells(name, "markdown"))


def bullets(part):
    return re.findall(r"^- ", part, re.M)


def test_these_are_all():
    assert sorted(path.name for path in FOLDER.glob("*.ipynb")) == sorted(ORDER)


@every
def test_it_was_run_from_top_to_bottom(name):
    code = cells(name, "code")
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    for cell in code:
        if "raises-exception" not in cell.metadata.get("tags", []):
            assert not [output for output in cell.outputs if output.output_type == "error"], cell.source
    metadata = NOTEBOOKS[name].metadata
    assert metadata.kernelspec.name == "openai" and "widgets" not in metadata
    assert "application/vnd.jupyter.widget-view+json" not in json.dumps(NOTEBOOKS[name])


@every
def test_cells_are_short_and_do_one_thing_in_the_notebook(name):
    for cell in cells(name, "code"):
        assert len(cell.source.splitlines()) <= 12 or cell.source.startswith("%%writefile"), cell.source
        assert max(map(len, cell.source.splitlines())) <= 79, "JupyterLab cuts it off in a narrow window"
        assert set(re.findall(r"^ *(?:\w+ = )?!([\w-]+)", cell.source, re.M)) <= SHELL, cell.source
        assert not re.search(r"^ *%(?!%writefile)|pip install|subprocess|os\.system|/dev/", cell.source, re.M)
    assert not re.search(r"run (this|the) cell again until|until it is ready", text(name))


def code(number):
    """All code of a notebook, its solutions' too."""
    name = next(name for name in ORDER if name.startswith(number))
    return "\n".join(cell.source for cell in NOTEBOOKS[name].cells)


def test_the_calls_are_in_the_cells():
    assert code("02").index("client.files.create(") < code("02").index("client.fine_tuning.jobs.create(")
    assert code("02").index("client.fine_tuning.jobs.create(") < code("02").index("lesson.follow(")
    assert code("03").index("client.completions.create(") < code("03").index("client.chat.completions.create(")
    assert code("03").index("client.chat.completions.create(") < code("03").index("lesson.ask(")
    assert code("04").index("client.completions.create(") < code("04").index("lesson.verify(")
    loop = next(c.source for c in cells(ORDER[2], "code") if "list_events" in c.source)
    assert loop.startswith("for ") and len(loop.splitlines()) <= 8


def test_the_lines_of_2022_are_in_the_cells():
    assert "!openai tools fine_tunes.prepare_data -f Westminster_Catechism.csv" in code("01")
    assert "!openai api fine_tunes.list" in code("02") and "!openai api fine_tunes.follow -i " in code("02")
    assert "!openai api completions.create -m {model}" in code("03")
    assert '-p "What are the punishments of sin in the world to come?"' in code("03")
    assert "fine_tunes.create" not in "".join(c.source for c in cells(ORDER[2], "code")), (
        "nothing is trained twice"
    )


@pytest.mark.parametrize("name", ORDER[:6])
def test_there_is_one_form(name):
    whole = "\n".join(cell.source for cell in NOTEBOOKS[name].cells)
    assert not re.search(r"host\(|\bform\b *(=|in|==)(?! *\"chat\")|declined", whole)


def test_the_whole_way_goes_without_the_helper():
    """At most 25 lines, with nothing but these packages; `test_without_us.py` runs them."""
    solution = dict(
        zip(["05.1", "05.2", "05.3"], [s for _, s in solutions.pairs(NOTEBOOKS[ORDER[5]])], strict=True)
    )
    lines = without_us(solution["05.3"].source)
    assert len(lines) <= 25 and "lesson" not in "\n".join(lines)
    assert {line.split()[1] for line in lines if re.match("import|from", line)} == {
        "json",
        "time",
        "pandas",
        "openai",
    }


def without_us(solution):
    """The lines of the last exercise of notebook 5, without the check."""
    code = re.search(r"```python\n(.*?)\nlesson\.check", solution, re.S)[1]
    return [line for line in code.splitlines() if line]


@every
def test_nothing_private_is_shown(name):
    whole = json.dumps(NOTEBOOKS[name])
    assert not re.search(r"sk-[A-Za-z0-9_-]{16,}|/(home|Users|tmp|root|work)/", whole)


@every
def test_the_modern_wording_is_not_shown(name):
    """It may not be free to print."""
    outputs = json.dumps([cell.outputs for cell in cells(name, "code")], ensure_ascii=False)
    old = {line for which in ("shorter", "larger") for column in catechism.load(which).values for line in column}
    for which in ("shorter", "larger"):
        for row in catechism.load(which, modern=True).values:
            for line in set(row) - old:
                assert line not in outputs


@every
def test_it_opens_and_ends_as_all_do(name):
    first, last = NOTEBOOKS[name].cells[0].source, NOTEBOOKS[name].cells[-1].source
    assert first.startswith(f"# {int(name[:2])} · ")
    questions, aims = first.split("**Questions**")[1].split("**You will be able to**")
    assert len(bullets(questions)) >= 2 and len(bullets(aims)) >= 2
    assert MINUTES.search(first)
    points, after = last.split("## Key points")[1].split("**Next**")
    assert len(bullets(points)) == 3 and after.strip(": \n")


@every
def test_exercises_have_solutions(name):
    notebook = NOTEBOOKS[name]
    found = solutions.pairs(notebook)
    numbers = [re.search(r'lesson\.check\("([\d.]+)"', stub.source)[1] for stub, _ in found]
    assert numbers == [f"{name[:2]}.{n}" for n in range(1, len(found) + 1)] and len(found) >= 2
    for number, (stub, solution) in zip(numbers, found, strict=True):
        place = notebook.cells.index(stub)
        assert notebook.cells[place - 1].source.startswith(f"### Exercise {number} · ")
        assert "= ...\n" in stub.source and f"lesson.check({number!r}".replace("'", '"') in solution.source
        assert solution.source.startswith("<details><summary>Solution</summary>")
        assert "is open" in repr(stub.outputs) or "replace the three dots" in repr(stub.outputs)


def test_every_rule_has_its_exercise():
    used = {
        number for name in ORDER for number in re.findall(r'lesson\.check\("([\d.]+)"', str(cells(name, "code")))
    }
    assert used == set(EXERCISES)


def anchors(path):
    """The headings of a page, as GitHub makes anchors of them."""
    if path.suffix == ".ipynb":
        source = "\n".join(c.source for c in nbformat.read(path, as_version=4).cells if c.cell_type == "markdown")
    else:
        source = path.read_text(encoding="utf-8")
    titles = re.findall(r"^#+ (.*)$", source, re.M)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


PAGES = [*(FOLDER / name for name in ORDER), ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_and_anchors_exist(page):
    source = text(page.name) if page.suffix == ".ipynb" else page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!https?:)([^)\s]+)\)", source):
        path, _, anchor = target.partition("#")
        aim = (page.parent / path).resolve() if path else page
        assert aim.exists(), f"{page.name} links to {target}"
        assert not anchor or anchor in anchors(aim), f"{page.name} links to {target}"


def test_the_minutes_are_those_of_the_readme():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"\(notebooks/([\w-]+\.ipynb)\) \|.*\| (\d+ \+ \d+) \|", readme))
    told = {name: " + ".join(MINUTES.search(NOTEBOOKS[name].cells[0].source).groups()) for name in ORDER}
    assert rows == told
    hour = sum(int(n) for name in ORDER[:5] for n in told[name].split(" + "))
    assert hour <= 60 and f"({hour} minutes)" in readme, "0 to 4 are the lesson of one hour"


def test_the_readmes_pictures_are_those_of_the_notebooks():
    specification = importlib.util.spec_from_file_location("make_pictures", ROOT / "docs" / "make_pictures.py")
    make_pictures = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(make_pictures)
    for name, notebook in make_pictures.PICTURES.items():
        path = ROOT / "docs" / "pictures" / f"{name}.svg"
        assert path.read_text(encoding="utf-8") == make_pictures.picture(FOLDER / notebook), "make notebooks"
        assert f"docs/pictures/{name}.svg" in (ROOT / "README.md").read_text(encoding="utf-8")
