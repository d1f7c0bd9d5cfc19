"""`openai-local export`: a model is found by its name, or a sentence says why not and what to type."""

import re
import shlex
import shutil
from pathlib import Path

import pytest
from openai.types.fine_tuning import FineTuningJob

from openai_local.cli import _parser, main
from openai_local.models.base_models import SMOLLM2
from openai_local.service.store import Store
from openai_local.training.job_folder import data_file, noted


@pytest.fixture
def export(service, monkeypatch, tmp_path, capsys):
    """Call the command; returns its exit code and what it said."""

    def call(model, *more, cache=service.cache):
        monkeypatch.setenv("OPENAI_LOCAL_CACHE", str(cache))
        words = [*more] if "--home" in more else [*more, "--home", str(service.home)]
        code = main(["export", model, "--to", str(tmp_path / "out"), *words])
        said = capsys.readouterr()
        assert "Traceback" not in said.err and (code == 0) == (not said.err)
        assert code == 0 or not (tmp_path / "out").exists()
        return code, said.out + said.err

    return call


def test_a_fine_tune_is_written(export, trained, tmp_path):
    """Without the service: it may run or not."""
    code, said = export(trained.fine_tuned_model)
    assert (
        code == 0
        and said.startswith(f"{tmp_path / 'out'} holds the model (gguf, ")
        and "ollama create out" in said
    )
    card = (tmp_path / "out" / "README.md").read_text()
    assert trained.fine_tuned_model in card and "| seed | 7 |" in card and "| examples | 12 |" in card


def test_an_unknown_name(export, trained):
    code, said = export("ft:no-such-model")
    assert code == 1 and "There is no fine-tuned model ft:no-such-model. The last ones are:" in said
    assert ":" in said.splitlines()[1], "a name; others of this service may be later than this one"


@pytest.mark.parametrize("name", ["ada", SMOLLM2.name])
def test_a_base_model(export, trained, name):
    code, said = export(name)
    assert code == 1 and f"{name} is a base model" in said and "For example:  openai-local export " in said


def test_the_name_of_a_job(export, trained):
    code, said = export(trained.id)
    assert code == 1 and f"Its model is:  openai-local export {trained.fine_tuned_model}" in said


@pytest.mark.parametrize(
    ("status", "advice"), [("running", "Wait until it has succeeded"), ("failed", "Train it")]
)
def test_a_job_without_a_model(export, trained, copied, status, advice):
    store, name = Store(copied / "openai-local.db"), "ft:smollm2-135m-instruct:tester:later:1"
    job = trained.model_copy(update={"id": "ftjob-later", "status": status, "fine_tuned_model": None})
    store.add(FineTuningJob.construct(**job.to_dict()), "tester", base=SMOLLM2.name, model_name=name)
    store.close()
    for asked in ("ftjob-later", name):
        code, said = export(asked, "--home", str(copied))
        assert code == 1 and f"The job ftjob-later has no model: it is {status}. {advice}" in said


def test_an_unfinished_job_with_checkpoints(export, trained, copied):
    store = Store(copied / "openai-local.db")
    store.update(
        FineTuningJob, trained.id, lambda job: job.__dict__.update(status="running", fine_tuned_model=None)
    )
    store.close()
    code, said = export(trained.id, "--home", str(copied))
    assert code == 1 and f"export {trained.fine_tuned_model}:ckpt-step-" in said


def test_a_home_without_models(export, tmp_path):
    code, said = export("ft:x", "--home", str(tmp_path / "none"))
    assert code == 1 and "No model was trained in" in said and not (tmp_path / "none").exists()


def test_a_base_that_is_missing(export, trained, tmp_path):
    code, said = export(trained.fine_tuned_model, cache=tmp_path / "empty")
    assert code == 1 and "openai-local bases fetch" in said


@pytest.fixture
def copied(service, trained, tmp_path):
    """The home once more, to spoil."""
    home = tmp_path / "copy"
    shutil.copytree(service.home, home, ignore=shutil.ignore_patterns("*.lock"))
    return home


@pytest.mark.parametrize("name", ["adapter.gguf", "data.json", "job.json"])
def test_a_file_that_is_gone(export, trained, copied, name):
    (copied / "jobs" / trained.id / name).unlink()
    code, said = export(trained.fine_tuned_model, "--home", str(copied))
    assert code == 1 and name in said and "is gone. Train the model again." in said


def test_a_checkpoint_of_a_job_that_runs(export, trained, copied, pairs, tmp_path):
    """Its data is still there, and nothing is noted of it."""
    folder = copied / "jobs" / trained.id
    noted(folder).unlink()
    shutil.copy(pairs, data_file(folder, "training_file"))
    (step, *_) = folder.glob("step-*.gguf")
    number = step.stem.removeprefix("step-")
    code, said = export(f"{trained.fine_tuned_model}:ckpt-step-{number}", "--home", str(copied))
    assert code == 0, said
    assert "| examples | 12 |" in (tmp_path / "out" / "README.md").read_text()


@pytest.mark.parametrize("size", [0, 10, 300, 20_000])
def test_an_adapter_that_is_cut_short(export, trained, copied, size):
    path = copied / "jobs" / trained.id / "adapter.gguf"
    cut = path.read_bytes()[:size]
    path.unlink()
    path.write_bytes(cut)
    code, said = export(trained.fine_tuned_model, "--home", str(copied))
    assert code == 1 and "adapter.gguf " in said and "or train the model again." in said


PAGE = (Path(__file__).parents[1] / "docs" / "serving.md").read_text(encoding="utf-8")


def test_the_pages_commands_exist():
    typed = re.findall(r"^openai-local (.+)$", PAGE, re.M)
    assert {re.search(r"--format (\w+)", line)[1] for line in typed} == {"gguf", "peft"}
    for line in typed:
        assert _parser().parse_args(shlex.split(line)).run, line


def test_the_page_says_what_is_in_the_folders(service, trained, export, tmp_path):
    for form, names in re.findall(r"^\| `(\w+)` \| (.+?) \|", PAGE, re.M):
        export(trained.fine_tuned_model, "--format", form, "--replace")
        assert (tmp_path / "out" / "README.md").exists()
        for name in re.findall(r"`([\w.]+)`", names):
            assert (tmp_path / "out" / name).exists(), f"{form}: {name}"
