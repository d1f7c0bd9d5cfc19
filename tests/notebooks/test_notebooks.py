"""That the notebooks run: from top to bottom, under both kernels, with open and with solved exercises."""

import gc
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
import xllamacpp

import solutions
from openai_command.notebooks import ORDER, Echo, run_lesson
from openai_lesson import catechism

FOLDER = Path(__file__).parents[2] / "notebooks"


@pytest.fixture
def environment(tmp_path, tiny_cache, monkeypatch):
    """A home of its own with the tiny model; the service that the notebooks start is stopped at the end."""
    for key, value in {"OPENAI_LOCAL_HOME": str(tmp_path / "home"), "OPENAI_LOCAL_CACHE": str(tiny_cache)}.items():
        monkeypatch.setenv(key, value)
    yield
    subprocess.run([sys.executable, "-m", "openai_local", "stop"], capture_output=True, check=True)


def nbval(folder, *options):
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", *options]
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, env={**os.environ, "TQDM_DISABLE": "1"}
    )
    assert done.returncode == 0, done.stdout[-5000:]
    assert "passed" in done.stdout


def test_checked_cells_print_what_the_committed_notebooks_show(environment, tmp_path):
    """Under the kernel `openai`, with the tiny model: cells that depend on the real one are not compared."""
    for name in ORDER:
        shutil.copy(FOLDER / name, tmp_path / name)
    nbval(tmp_path, "--nbval-lax", *ORDER)


@pytest.mark.model
def test_the_notebook_about_data_prints_all_that_it_shows(tmp_path, monkeypatch):
    """Strict: every output of every cell. It needs the real model's tokens, and trains nothing."""
    monkeypatch.setenv("OPENAI_LOCAL_HOME", str(tmp_path / "home"))
    shutil.copy(FOLDER / ORDER[1], tmp_path / ORDER[1])
    nbval(tmp_path, "--nbval", ORDER[1])


def verdicts(notebook):
    """What the checks of the exercises said, and whether the tiny model could be right at all."""
    for stub, _ in solutions.pairs(notebook):
        said = [output["data"]["text/plain"] for output in stub.outputs if "data" in output]
        yield said[-1], "needs-model" in stub.metadata.tags


def test_a_stock_kernel_runs_them_too(environment, tmp_path, capsys):
    run_lesson(tmp_path / "run", notebooks=FOLDER, kernel="python3")
    shown = capsys.readouterr().out
    assert shown.splitlines()[-1] == "exact recall: 0/107", "the tiny model knows nothing, and says so"
    assert "Epoch 13/13: training loss=" in shown and "trained model" in shown
    for name in ORDER:
        run = nbformat.read(tmp_path / "run" / name, as_version=4)
        assert "application/vnd.jupyter.widget-view+json" not in json.dumps(run)
        assert all("replace the three dots" in verdict for verdict, _ in verdicts(run)), "the stubs are open"


def test_solutions_are_right(environment, tmp_path, capsys):
    """Each solution stands where the learner's answer would, and the check says that it is right."""
    (tmp_path / "solved").mkdir()
    for name in ORDER:
        solved = solutions.solved(nbformat.read(FOLDER / name, as_version=4))
        nbformat.write(solved, tmp_path / "solved" / name)
    run_lesson(tmp_path / "run", notebooks=tmp_path / "solved")
    for name in ORDER:
        for verdict, needs_model in verdicts(nbformat.read(tmp_path / "run" / name, as_version=4)):
            assert ": right." in verdict or (needs_model and "✘" in verdict), f"{name}: {verdict}"


@pytest.mark.model
def test_the_lesson_is_learned(tmp_path, monkeypatch, capsys):
    """The real model, the real data, the defaults: at least 102 of 107 answers word for word."""
    monkeypatch.setenv("OPENAI_LOCAL_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("OMP_NUM_THREADS")  # all cores, unlike the tiny model
    try:
        run_lesson(tmp_path / "run", notebooks=FOLDER)
    finally:
        subprocess.run([sys.executable, "-m", "openai_local", "stop"], capture_output=True, check=True)
    last = capsys.readouterr().out.splitlines()[-1]
    known = re.fullmatch(r"exact recall: (\d+)/107", last)
    assert known and int(known[1]) >= 102, last
    others_say_what_was_learned(tmp_path / "run" / "my-model", tmp_path / "peft")


def others_say_what_was_learned(taken, peft):
    """What notebook 3 took home answers in a plain llama.cpp; and the same model in transformers with PEFT."""
    prompts, answers = catechism.load()[["prompt", "completion"]][3::23].values.T.tolist()
    params = xllamacpp.CommonParams()
    params.model.path = str(taken / "model.gguf")
    params.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(str(taken / "adapter.gguf"), 1.0)]
    params.n_ctx, params.verbosity = 2048, -1
    server = xllamacpp.Server(params)
    asked = {"max_tokens": 120, "temperature": 0}
    said = [server.handle_completions({"prompt": prompt, **asked})["choices"][0]["text"] for prompt in prompts]
    del server
    gc.collect()
    assert sum(text.strip() == answer for text, answer in zip(said, answers, strict=True)) >= len(answers) - 1

    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    name = re.search(r"^# (ft:\S+)$", (taken / "README.md").read_text(encoding="utf-8"), re.M)[1]
    words = ["export", name, "--format", "peft", "--to", str(peft)]
    subprocess.run([sys.executable, "-m", "openai_local", *words], check=True)
    base, tokenizer = AutoModelForCausalLM.from_pretrained(peft / "base"), AutoTokenizer.from_pretrained(peft)
    model = PeftModel.from_pretrained(base.float(), peft)
    for prompt, expected in list(zip(prompts, said, strict=True))[:2]:
        question = tokenizer(prompt, return_tensors="pt")
        made = model.generate(**question, max_new_tokens=30, do_sample=False)
        text = tokenizer.decode(made[0][question.input_ids.shape[1] :], skip_special_tokens=True)
        assert text and expected.startswith(text)


def test_echo_shows_what_changes_in_place_once_elsewhere(capsys):
    echo = Echo()
    for step in range(3):
        echo.in_place(f"step {step}" + "\nEpoch 1" * (step > 0))
    echo.stream("stdout", "exact recall: 5/107\n")
    assert capsys.readouterr().out == "Epoch 1\nstep 2\nexact recall: 5/107\n"
    assert echo.recall == "exact recall: 5/107"
