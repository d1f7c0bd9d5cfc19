import nbformat
import pytest

from openai_command.lesson import main
from openai_command.running import ORDER, Echo, find_notebooks, run_notebook
from openai_lesson import LessonError


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
    path = write(tmp_path / "bad.ipynb", "import openai_lesson as lesson\nlesson.prepare.read_table('none.csv')")
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
