"""What is exported is loaded by others: transformers, PEFT, and llama.cpp without any of our code.

Each gives the same greedy answers as the service. The model is the tiny one, which has learned twelve sentences;
at the end of `test_the_lesson_is_learned` it is the real one.
"""

import gc
import json

import openai
import pytest
import torch
import xllamacpp
from transformers import AutoModelForCausalLM, AutoTokenizer

from conftest import NAMES

PROMPTS = [f"What is {name}?" for name in NAMES[:6]]
TOKENS = 24
CHAT = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "What is sun?"}]


@pytest.fixture(scope="module")
def folders(service, trained, tmp_path_factory):
    """The trained model in each form."""
    parent = tmp_path_factory.mktemp("exported")
    for form in ("gguf", "peft", "merged"):
        said = service.command("export", trained.fine_tuned_model, "--format", form, "--to", str(parent / form))
        assert said.startswith(f"{parent / form} holds the model ({form}, ") and len(said.splitlines()) == 1
    return parent


@pytest.fixture(scope="module")
def said(client, trained):
    """What the service answers."""

    def answer(prompt):
        choice = client.completions.create(
            model=trained.fine_tuned_model, prompt=prompt, max_tokens=TOKENS, temperature=0
        ).choices[0]
        return choice.text

    answers = [answer(prompt) for prompt in PROMPTS]
    assert len(set(answers)) > 1, "a model that says the same to everything shows little"
    return answers


@pytest.fixture(scope="module")
def said_in_chat(client, trained):
    asked = {"messages": CHAT, "max_tokens": TOKENS, "temperature": 0}
    return client.chat.completions.create(model=trained.fine_tuned_model, **asked).choices[0].message.content


def continued(model, tokenizer, tokens):
    ids = torch.tensor([tokens])
    made = model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=TOKENS, do_sample=False)
    return tokenizer.decode(made[0][len(tokens) :], skip_special_tokens=True)


def answers(model, tokenizer):
    return [continued(model, tokenizer, tokenizer(prompt).input_ids) for prompt in PROMPTS]


def chat_answer(model, tokenizer):
    prompt = tokenizer.apply_chat_template(CHAT, add_generation_prompt=True, tokenize=False)
    return continued(model, tokenizer, tokenizer(prompt, add_special_tokens=False).input_ids)


def test_transformers_with_peft_agrees(folders, said, said_in_chat):
    from peft import PeftModel

    folder = folders / "peft"
    base = AutoModelForCausalLM.from_pretrained(folder / "base", dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert answers(base, tokenizer) != said, "the base alone must not know it"
    model = PeftModel.from_pretrained(base, folder)
    assert answers(model, tokenizer) == said
    assert chat_answer(model, tokenizer) == said_in_chat


def test_peft_finds_a_place_for_every_matrix(folders):
    """Neither a matrix too many nor one too few: PEFT only warns of that."""
    from peft import LoraConfig, get_peft_model, get_peft_model_state_dict
    from safetensors.torch import load_file

    base = AutoModelForCausalLM.from_pretrained(folders / "peft" / "base")
    config = LoraConfig.from_pretrained(folders / "peft")
    expected = get_peft_model_state_dict(get_peft_model(base, config))
    found = load_file(folders / "peft" / "adapter_model.safetensors")
    assert {name: m.shape for name, m in found.items()} == {name: m.shape for name, m in expected.items()}


def test_the_merged_model_agrees(folders, said, said_in_chat):
    model = AutoModelForCausalLM.from_pretrained(folders / "merged")
    assert model.dtype == torch.float16
    tokenizer = AutoTokenizer.from_pretrained(folders / "merged")
    assert tokenizer.eos_token == "<|im_end|>" and model.generation_config.eos_token_id == tokenizer.eos_token_id
    assert answers(model.float(), tokenizer) == said
    assert chat_answer(model, tokenizer) == said_in_chat


def test_plain_llama_cpp_agrees(folders, said):
    """As ``llama-server -m model.gguf --lora adapter.gguf`` loads them, asked by the official client."""
    folder = folders / "gguf"
    params = xllamacpp.CommonParams()
    params.model.path = str(folder / "model.gguf")
    params.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(str(folder / "adapter.gguf"), 1.0)]
    params.n_ctx, params.verbosity, params.port = 2048, -1, 0
    server = xllamacpp.Server(params)
    client = openai.OpenAI(base_url=f"{server.listening_address}/v1", api_key="none", max_retries=0)
    asked = {"model": "any", "max_tokens": TOKENS, "temperature": 0}
    found = [client.completions.create(prompt=prompt, **asked).choices[0].text for prompt in PROMPTS]
    del server
    gc.collect()
    assert found == said


def test_the_modelfile_names_the_files(folders):
    """Ollama can't be had here: what it reads is compared with what its documentation asks for."""
    lines = (folders / "gguf" / "Modelfile").read_text().splitlines()
    said = [line for line in lines if line and not line.startswith("#")]
    assert said[:3] == ["FROM ./model.gguf", "ADAPTER ./adapter.gguf", 'TEMPLATE """{{ .Prompt }}"""']
    assert said[3] == 'PARAMETER stop "<|im_end|>"' and all(line.startswith("PARAMETER ") for line in said[3:])


def test_a_checkpoint_can_be_taken_too(client, service, trained, tmp_path):
    points = client.fine_tuning.jobs.checkpoints.list(trained.id).data
    name, step = points[-1].fine_tuned_model_checkpoint, points[-1].step_number
    service.command("export", name, "--to", str(tmp_path / "early"))
    job = service.home / "jobs" / trained.id
    assert (tmp_path / "early" / "adapter.gguf").read_bytes() == (job / f"step-{step}.gguf").read_bytes()
    assert f"| steps | {step} |" in (tmp_path / "early" / "README.md").read_text()


def test_the_files_are_no_more_than_they_say(folders):
    """Nothing of this machine stands in them."""
    for path in folders.rglob("*"):
        if path.suffix in (".json", ".md", ".jinja", "") and path.is_file():
            text = path.read_text(encoding="utf-8")
            assert str(folders.parent) not in text and "sk-local-" not in text, path
            if path.suffix == ".json":
                json.loads(text)
