"""The folder: whole or not at all. And the card, the settings of LoRA, and chat templates that are not ChatML."""

import errno
import hashlib
import json
from dataclasses import replace
from datetime import date

import numpy as np
import pytest
import torch
import yaml
from transformers import AutoModelForCausalLM, AutoTokenizer

from openai_local.errors import LocalError
from openai_local.home import Home
from openai_local.models import export as exports
from openai_local.models.adapter import Factors, read_adapter, write_adapter
from openai_local.models.base_models import SMOLLM2, Bases
from openai_local.models.chat_templates import is_chatml
from openai_local.models.export_formats import Source, modelfile
from openai_local.trained import history
from openai_local.training.job_folder import Job, Journal, data_file, remove_data
from tiny import CONFIG

SHAPES = {"q_proj": (64, 64), "k_proj": (32, 64), "up_proj": (96, 64), "down_proj": (64, 96)}
ALPHA = 6.0


def factors(ranks, layers=(1, 2)):
    random = np.random.default_rng(5)
    return {
        (layer, module): Factors(
            *(random.standard_normal(s).astype(np.float16) / 8 for s in ((rank, inputs), (outputs, rank)))
        )
        for layer in layers
        for module, rank in ranks.items()
        for outputs, inputs in [SHAPES[module]]
    }


@pytest.fixture
def source(tiny_cache, tmp_path):
    """A fine-tune whose matrices have different ranks, without any training."""
    journal = Journal(tmp_path / "ftjob-1")
    journal.folder.mkdir()
    data = journal.folder / "training_file.jsonl"
    data.write_text('{"prompt": "secret?", "completion": " secret!"}\n\n' * 3)
    job = Job("ftjob-1", SMOLLM2.name, "weights", str(data), None, 42, 2, 1, "auto")
    journal.write_job(job)
    for step in (1, 2, 3, 4):
        journal.tell("row", step=step, train_loss=4.0 / step, valid_loss=5.0)
        if step % 2 == 0:
            journal.tell(
                "checkpoint", step=step, metrics={"train_loss": 4.0 / step, "full_valid_loss": 5.0 / step}
            )
    kept = factors({"q_proj": 4, "k_proj": 4, "up_proj": 2, "down_proj": 3})
    write_adapter(journal.adapter, kept, CONFIG, ALPHA)
    base = Bases(Home(tmp_path), tiny_cache).require(SMOLLM2.name)
    return Source("ft:tiny:me:x:1", journal.adapter, base, **told(journal.folder))


def told(folder):
    settled = {"n_epochs": 2, "batch_size": 1, "learning_rate_multiplier": 1.5}
    return history(Journal(folder), settled, date(2026, 11, 23))


def test_an_adapter_is_read_as_it_was_written(source):
    read = read_adapter(source.adapter_file, CONFIG)
    written = factors({"q_proj": 4, "k_proj": 4, "up_proj": 2, "down_proj": 3})
    assert read.alpha == ALPHA and read.rank == 4 and read.factors.keys() == written.keys()
    for place, pair in written.items():
        assert (read.factors[place].a == pair.a).all() and (read.factors[place].b == pair.b).all(), place


def logits(model):
    with torch.no_grad():
        return model.eval()(torch.arange(20)[None]).logits


def test_different_ranks_are_no_different_model(source, tmp_path):
    """PEFT scales each matrix by alpha / r, with one r for all; the merged weights say what is right."""
    from peft import PeftModel

    exports.export(source, "peft", tmp_path / "peft")
    exports.export(source, "merged", tmp_path / "merged")
    config = json.loads((tmp_path / "peft" / "adapter_config.json").read_text())
    assert (config["r"], config["lora_alpha"], config["layers_to_transform"]) == (4, 6, [1, 2])
    assert config["target_modules"] == ["down_proj", "k_proj", "q_proj", "up_proj"]
    base = AutoModelForCausalLM.from_pretrained(tmp_path / "peft" / "base", dtype=torch.float32)
    before = logits(base)
    merged = logits(AutoModelForCausalLM.from_pretrained(tmp_path / "merged", dtype=torch.float32))
    adapted = logits(PeftModel.from_pretrained(base, tmp_path / "peft"))
    assert (merged - before).abs().max() > 0.1
    assert torch.allclose(adapted, merged, atol=0.02), "the merged weights are rounded to 16 bits"


@pytest.mark.parametrize("form", ["gguf", "peft", "merged"])
def test_the_card(source, tmp_path, form):
    folder = source.adapter_file.parent
    digest = hashlib.sha256(data_file(folder, "training_file").read_bytes()).hexdigest()
    remove_data(folder)  # as the service does when the job is over
    exports.export(replace(source, **told(folder)), form, tmp_path / "My Model")
    text = (tmp_path / "My Model" / "README.md").read_text(encoding="utf-8")
    _, head, body = text.split("---\n", 2)
    metadata = yaml.safe_load(head)
    assert metadata["base_model"] == "HuggingFaceTB/SmolLM2-135M-Instruct"
    assert metadata["license"] == "apache-2.0" and metadata["pipeline_tag"] == "text-generation"
    assert metadata["base_model_relation"] == ("finetune" if form == "merged" else "adapter")
    assert metadata.get("library_name") == {"peft": "peft", "merged": "transformers"}.get(form)
    rows = dict(line.strip("| ").split(" | ") for line in body.splitlines() if line.startswith("| "))
    assert rows["training file, SHA-256"] == f"`{digest}`" and rows["examples"] == "3"
    assert (rows["trained on"], rows["seed"], rows["n_epochs"]) == ("2026-11-23", "42", "2")
    assert (rows["LoRA rank"], rows["LoRA alpha"], rows["steps"]) == ("4", "6", "4")
    assert (rows["training loss, first step"], rows["training loss, last step"]) == ("4.0000", "1.0000")
    assert rows["validation loss, at the end"] == "1.2500"
    assert "secret" not in text and str(tmp_path) not in text
    assert all(len(line) <= 120 for line in body.splitlines())


def test_a_base_that_no_hub_knows_gets_no_link(source, tmp_path):
    own = replace(source.base, name="mine", title="Mine", licence="licence not told")
    exports.export(replace(source, base=own), "peft", tmp_path / "out")
    text = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    assert "base_model" not in text and "license:" not in text and "huggingface.co/None" not in text
    assert json.loads((tmp_path / "out" / "adapter_config.json").read_text())["base_model_name_or_path"] == "base"


def test_something_that_is_there_is_left_alone(source, tmp_path):
    for to in (tmp_path / "full", tmp_path / "file"):
        mine = to if to.name == "file" else to / "mine"
        mine.parent.mkdir(exist_ok=True)
        mine.write_text("mine")
        with pytest.raises(LocalError, match=r"is there already\. Nothing was changed\. Name another folder"):
            exports.export(source, "gguf", to, replace=True)
        assert mine.read_text() == "mine"


def test_an_earlier_export_is_replaced_when_asked(source, tmp_path):
    (tmp_path / "out").mkdir()  # an empty folder is no obstacle
    exports.export(source, "merged", tmp_path / "out")
    with pytest.raises(LocalError, match="add --replace"):
        exports.export(source, "gguf", tmp_path / "out")
    exports.export(source, "gguf", tmp_path / "out", replace=True)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        *("Modelfile", "README.md", "adapter.gguf", "model.gguf")
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ftjob-1", "out"]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "The disk is full"),
        (PermissionError(errno.EACCES, "Permission denied"), "Permission denied. Choose another folder"),
    ],
)
def test_what_fails_half_way_leaves_nothing(source, tmp_path, monkeypatch, error, said):
    exports.export(source, "gguf", tmp_path / "out")

    def fail(source, folder):
        (folder / "half").write_text("half")
        raise error

    monkeypatch.setitem(exports.WRITERS, "gguf", fail)
    with pytest.raises(LocalError, match=said):
        exports.export(source, "gguf", tmp_path / "out", replace=True)
    assert (tmp_path / "out" / "adapter.gguf").exists(), "the old one is still there"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ftjob-1", "out"]


@pytest.mark.parametrize(
    ("form", "command"),
    [
        ("gguf", 'ollama create my-model -f "{}/Modelfile"'),
        ("peft", 'vllm serve "{}/base" --enable-lora --lora-modules my-model="{}" --max-lora-rank 8'),
        ("merged", 'vllm serve "{}" --served-model-name my-model'),
    ],
)
def test_the_next_command(source, tmp_path, form, command):
    made = exports.export(source, form, tmp_path / "My Model")
    parts = made.serve.replace(f"{tmp_path / 'My Model'}", "{}").replace("\\", "/")
    assert parts == command and made.size > 10_000


QUESTION = [{"role": "user", "content": "What is sun?"}]


@pytest.fixture
def talker(source):
    """One that learned from conversations."""
    answer = {"role": "assistant", "content": "A star."}
    folder = source.adapter_file.parent
    data_file(folder, "training_file").write_text(json.dumps({"messages": [*QUESTION, answer]}) + "\n")
    return replace(source, **told(folder))


def test_ollamas_template_is_that_of_the_base(talker, tmp_path):
    exports.export(talker, "merged", tmp_path / "out")
    template = modelfile(talker).split('TEMPLATE """')[1].split('"""')[0]
    loop = template.replace("{{- range .Messages }}", "").replace("{{ end }}", "")
    written = loop.replace("{{ .Role }}", "user").replace("{{ .Content }}", QUESTION[0]["content"])
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "out")
    assert written == tokenizer.apply_chat_template(QUESTION, add_generation_prompt=True, tokenize=False)


def test_chat_templates(talker):
    chatml = talker.template
    assert is_chatml(chatml) and 'PARAMETER stop "<|im_end|>"' in modelfile(talker)
    talker.__dict__["template"] = "{{ '<|im_start|>system\nBe kind.<|im_end|>\n' }}" + chatml
    assert '\nSYSTEM """Be kind."""\n' in modelfile(talker)
    for other in ("", "[INST] {{ messages[0].content }} [/INST]", "{{ broken("):
        talker.__dict__["template"] = other
        assert not is_chatml(other)
        assert not {"TEMPLATE", "SYSTEM"} & {line.split(" ")[0] for line in modelfile(talker).splitlines()}
        assert "stop" not in modelfile(talker)


def test_one_that_learned_from_prompts_is_asked_plainly(source):
    """With the chat template around its questions it talks nonsense."""
    assert source.plain and 'TEMPLATE """{{ .Prompt }}"""' in modelfile(source)
    assert "SYSTEM" not in modelfile(source)


@pytest.mark.parametrize(("form", "file"), [("gguf", "model.gguf"), ("peft", "base/model.safetensors")])
def test_what_is_taken_home_is_a_copy(source, tmp_path, form, file):
    """Whoever writes into the folder later does not change the service's own base."""
    exports.export(source, form, tmp_path / "out")
    kept = source.base.gguf if form == "gguf" else source.base.weights / "model.safetensors"
    assert (tmp_path / "out" / file).read_bytes() == kept.read_bytes()
    assert not (tmp_path / "out" / file).samefile(kept)
