"""`lesson.export`: the command's line is printed; at another host a sentence says that there is nothing here."""

from pathlib import Path

import pytest

import openai_lesson as lesson
from openai_data.errors import LessonError


@pytest.fixture
def here(service, trained, monkeypatch, tmp_path):
    """A folder to work in, and the home in which the tiny model was trained."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAI_LOCAL_HOME", str(service.home))
    monkeypatch.setenv("OPENAI_LOCAL_CACHE", str(service.cache))
    return trained.fine_tuned_model


def test_a_folder_is_written(here, capsys):
    lesson.export(here, to="my-model")
    said = capsys.readouterr().out
    assert said.startswith("my-model holds the model (gguf, ") and said.count("\n") == 1
    assert said.strip().endswith(f"ollama create my-model -f {Path('my-model', 'Modelfile')}")
    assert Path("my-model", "adapter.gguf").exists()


def test_again(here, capsys):
    lesson.export(here, "peft", to=Path("my-model"))
    with pytest.raises(LessonError, match="replace=True"):
        lesson.export(here, to="my-model")
    lesson.export(here, to="my-model", replace=True)
    assert Path("my-model", "Modelfile").exists() and not Path("my-model", "adapter_config.json").exists()


def test_an_unknown_model(here):
    with pytest.raises(LessonError, match=r"There is no fine-tuned model ft:x\. The last ones are:"):
        lesson.export("ft:x")
    assert not list(Path.cwd().iterdir())


@pytest.mark.parametrize(
    ("url", "host"), [("https://api.openai.com/v1", "OpenAI"), ("https://llm.example.org/v1", "llm.example.org")]
)
def test_at_another_host_it_says_so(here, monkeypatch, capsys, url, host):
    monkeypatch.setenv("OPENAI_BASE_URL", url)
    lesson.export(here)
    assert capsys.readouterr().out.startswith(f"{host} does not hand models out.")
    assert not list(Path.cwd().iterdir())
