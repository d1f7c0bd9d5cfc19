"""Running the notebooks without a browser, and writing them for learners."""

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

import solutions
from openai_command.lesson import main
from openai_command.notebooks import ORDER, Echo, find_notebooks, run_notebook, without_solutions
from openai_lesson import LessonError

SOLUTION = "<details><summary>Solution</summary>\n\n```python\nx = 1\ncheck(x)\n```\n\nWhy.\n\n</details>"


def write(path, *cells):
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    nbformat.write(notebook, path)
    return path


def test_a_cell_that_fails_is_shown_and_kept(tmp_path):
    path = write(tmp_path / "bad.ipynb", "print('before')", "1 / 0", "print('after')")
    (tmp_path / "out").mkdir()
    with pytest.raises(LessonError, match=r"bad\.ipynb stopped at a cell:\n(.*\n)*.*division by zero"):
        run_notebook(path, tmp_path / "out", "python3", Echo())
    kept = nbformat.read(tmp_path / "out" / "bad.ipynb", as_version=4)
    assert kept.cells[0].outputs[0].text == "before\n" and kept.cells[2].outputs == []


def test_a_learners_mistake_is_a_sentence_not_a_traceback(tmp_path):
    path = write(tmp_path / "bad.ipynb", "import openai_lesson as lesson\nlesson.prepare.read('none.csv')")
    (tmp_path / "out").mkdir()
    with pytest.raises(LessonError) as error:
        run_notebook(path, tmp_path / "out", "python3", Echo())
    assert "There is no file none.csv" in str(error.value) and "Traceback" not in str(error.value)


def test_a_kernel_that_is_not_installed(tmp_path):
    path = write(tmp_path / "any.ipynb", "1")
    with pytest.raises(LessonError, match="no Jupyter kernel named 'nonesuch'"):
        run_notebook(path, tmp_path, "nonesuch", Echo())


def test_the_notebooks_are_found():
    assert (find_notebooks() / ORDER[-1]).exists()


def test_the_command(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["data"]) == 0 and "107 questions and answers" in capsys.readouterr().out
    assert main(["data", "--larger", "--modern"]) == 0
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "Westminster_Catechism.csv",
        "Westminster_Larger_Catechism_modern.csv",
    ]
    (tmp_path / "Westminster_Catechism.csv").write_text("mine")
    assert main(["data"]) == 1 and "--overwrite" in capsys.readouterr().err
    assert main(["run", "--notebooks", str(tmp_path)]) == 1
    assert "There is no notebook" in capsys.readouterr().err


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
    version = without_solutions(notebook)
    assert [cell.source for cell in version.cells] == ["# Title", "x = ...\ncheck(x)", "The end"]
    assert version.cells[1].outputs == [] and version.cells[1].execution_count is None
    assert len(notebook.cells) == 4 and notebook.cells[1].outputs, "the original stays as it was"


def test_solved_puts_the_solution_where_the_stub_was(notebook):
    assert solutions.solved(notebook).cells[1].source == "x = 1\ncheck(x)"


def test_an_exercise_without_solution_is_noticed(notebook):
    del notebook.cells[2]
    with pytest.raises(AssertionError, match="one must follow the other"):
        solutions.pairs(notebook)


def test_the_command_writes_all_and_spares_what_is_there(tmp_path, capsys):
    assert main(["notebooks", "--to", str(tmp_path / "class")]) == 0
    assert "8 notebooks without solutions" in capsys.readouterr().out
    for name in ORDER:
        source = nbformat.read(find_notebooks() / name, as_version=4)
        version = nbformat.read(tmp_path / "class" / name, as_version=4)
        kept = [(cell.id, cell.source) for cell in source.cells if not solutions.tagged(cell, "solution")]
        assert [(cell.id, cell.source) for cell in version.cells] == kept
        assert "<details>" not in str(version.cells)
    (tmp_path / "class" / ORDER[0]).write_text("my work")
    assert main(["notebooks", "--to", str(tmp_path / "class")]) == 1
    assert "--overwrite" in capsys.readouterr().err
    assert (tmp_path / "class" / ORDER[0]).read_text() == "my work"
    assert main(["notebooks", "--to", str(tmp_path / "class"), "--overwrite"]) == 0
