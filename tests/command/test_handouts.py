import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from openai_command import handouts
from openai_command.lesson import main
from openai_command.running import ORDER, find_notebooks
from openai_lesson import LessonError

SOLUTION = "<details><summary>Solution</summary>\n\n```python\nx = 1\ncheck(x)\n```\n\nWhy.\n\n</details>"


def tagged(cell, *tags):
    cell.metadata["tags"] = list(tags)
    return cell


@pytest.fixture
def notebook():
    said = [new_output("stream", text="open")]
    stub = new_code_cell("x = ...\ncheck(x)", outputs=said, execution_count=1)
    return new_notebook(
        cells=[
            new_markdown_cell("# Title"),
            tagged(stub, "exercise"),
            tagged(new_markdown_cell(SOLUTION), "solution"),
            new_markdown_cell("The end"),
        ]
    )


def test_the_learners_version_lacks_solutions_and_outputs(notebook):
    version = handouts.without_solutions(notebook)
    assert [cell.source for cell in version.cells] == ["# Title", "x = ...\ncheck(x)", "The end"]
    assert version.cells[1].outputs == [] and version.cells[1].execution_count is None
    assert len(notebook.cells) == 4 and notebook.cells[1].outputs, "the original stays as it was"


def test_solved_puts_the_solution_where_the_stub_was(notebook):
    assert handouts.solved(notebook).cells[1].source == "x = 1\ncheck(x)"


def test_an_exercise_without_solution_is_noticed(notebook):
    del notebook.cells[2]
    with pytest.raises(LessonError, match="'solution'"):
        list(handouts.pairs(notebook))


def test_the_command_writes_all_and_spares_what_is_there(tmp_path, capsys):
    assert main(["notebooks", "--to", str(tmp_path / "class")]) == 0
    assert "8 notebooks without solutions" in capsys.readouterr().out
    for name in ORDER:
        source = nbformat.read(find_notebooks() / name, as_version=4)
        version = nbformat.read(tmp_path / "class" / name, as_version=4)
        kept = [(cell.id, cell.source) for cell in source.cells if not handouts.tagged(cell, "solution")]
        assert [(cell.id, cell.source) for cell in version.cells] == kept
        assert "<details>" not in str(version.cells)
    (tmp_path / "class" / ORDER[0]).write_text("my work")
    assert main(["notebooks", "--to", str(tmp_path / "class")]) == 1
    assert "--overwrite" in capsys.readouterr().err
    assert (tmp_path / "class" / ORDER[0]).read_text() == "my work"
    assert main(["notebooks", "--to", str(tmp_path / "class"), "--overwrite"]) == 0
