"""A base model of one's own, of another kind than Llama: added, listed, trained, asked, removed."""

import json

import openai
import pytest
import torch
import transformers

from conftest import finished
from openai_local.home import Home
from openai_local.models.base_models import Bases
from openai_local.training.tokenisation import Encoder
from tiny_folders import make_folder


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A folder for each kind."""
    place = tmp_path_factory.mktemp("folders")
    return {kind: make_folder(place / kind, kind, parts=kind == "qwen3") for kind in ("qwen2", "qwen3")}


@pytest.fixture(scope="module")
def added(service, folders):
    """Both kinds as bases of the running service; Qwen3's from a GGUF file."""
    told = {"qwen2": service.command("bases", "add", "tiny-qwen2", str(folders["qwen2"]), "--licence", "MIT")}
    service.command("bases", "add", "for-a-file", str(folders["qwen3"]))
    path = service.home / "bases" / "for-a-file" / "model.gguf"
    told["qwen3"] = service.command("bases", "add", "tiny-qwen3", str(path), "--title", "Tiny Qwen3")
    service.command("bases", "remove", "for-a-file")
    return told


def test_adding_says_what_it_takes(added):
    assert "tiny-qwen2 is ready: qwen2, 0.1 million parameters" in added["qwen2"]
    assert "takes about 0.9 GB of memory" in added["qwen2"]


def test_it_has_written_what_training_will_spare(service, added):
    assert "writes some text" in added["qwen2"] and "writes some text" in added["qwen3"]
    for name in ("tiny-qwen2", "tiny-qwen3"):
        texts = json.loads((service.home / "bases" / name / "weights" / "general_text.json").read_text())
        assert len(texts) > 10 and all(texts)


def test_it_is_listed_at_once(service, added, client):
    names = [model.id for model in client.models.list().data]
    assert names[:3] == ["smollm2-135m-instruct", "tiny-qwen2", "tiny-qwen3"]
    assert client.models.retrieve("tiny-qwen2").created > 1_700_000_000
    listed = json.loads(service.command("bases", "list", "--json"))
    assert [base["architecture"] for base in listed] == ["llama", "qwen2", "qwen3"]
    assert "Tiny Qwen3, qwen3" in service.command("bases", "list")


def test_it_answers_untrained(client, added):
    answer = client.completions.create(model="tiny-qwen3", prompt="in the thin", max_tokens=3)
    assert answer.model == "tiny-qwen3" and answer.usage.completion_tokens > 0
    said = client.chat.completions.create(
        model="tiny-qwen2", messages=[{"role": "user", "content": "hi"}], max_tokens=3
    )
    assert said.usage.completion_tokens > 0
    with pytest.raises(openai.NotFoundError, match="Models here: smollm2-135m-instruct, tiny-qwen2"):
        client.completions.create(model="tiny-qwen4", prompt="a")


def test_estimates_do_not_pretend(service, added):
    facts = json.loads(service.command("estimate", "--model", "tiny-qwen2", "--examples", "12", "--json"))
    assert facts["base"] == "tiny-qwen2" and facts["tokens_per_second"] is None
    assert "nobody has measured yet" in service.command("estimate", "--model", "tiny-qwen2", "--examples", "12")
    said = service.command("estimate", "--model", "nothing", "--examples", "1", code=1)
    assert "There is no base model nothing here" in said
    assert "'<tool_call>'" in service.command("tokens", "--model", "tiny-qwen2", "--text", "a <tool_call>")


@pytest.fixture(scope="module", params=["qwen2", "qwen3"])
def learned(request, service, client, added, pairs):
    """A job on each kind, until it knows twelve sentences by heart."""
    with pairs.open("rb") as file:
        upload = client.files.create(file=file, purpose="fine-tune")
    settings = {"n_epochs": 50, "batch_size": 3, "learning_rate_multiplier": 3.0}
    job = client.fine_tuning.jobs.create(
        training_file=upload.id, model=f"tiny-{request.param}", hyperparameters=settings, seed=5
    )
    job = finished(client, job.id)
    assert job.status == "succeeded", job.error
    assert job.fine_tuned_model.startswith(f"ft:tiny-{request.param}:")
    return job


def test_the_fine_tune_says_what_was_learned(client, learned, pairs):
    records = [json.loads(line) for line in pairs.read_text().splitlines()]
    right = 0
    for record in records:
        asked = {"prompt": record["prompt"], "max_tokens": 40, "temperature": 0}
        answer = client.completions.create(model=learned.fine_tuned_model, **asked)
        right += answer.choices[0].text == record["completion"]
    assert right >= len(records) - 1


@torch.no_grad()
def test_transformers_with_the_adapter_merged_says_the_same(service, client, learned, pairs):
    """Greedily, token for token, from the matrices in the adapter's file."""
    base = Bases(Home(service.home), service.cache).require(learned.model)
    model = transformers.AutoModelForCausalLM.from_pretrained(base.weights, dtype=torch.float32)
    merge(model, service.home / "jobs" / learned.id / "adapter.gguf")
    encoder = Encoder(base.weights)
    for line in pairs.read_text().splitlines():
        tokens = encoder.tokens(json.loads(line)["prompt"])
        start = len(tokens)
        while tokens[-1] != encoder.end and len(tokens) < start + 40:
            tokens.append(int(model(torch.tensor([tokens])).logits[0, -1].argmax()))
        answer = client.completions.create(
            model=learned.fine_tuned_model, prompt=json.loads(line)["prompt"], max_tokens=40, temperature=0
        )
        assert answer.choices[0].text == encoder.tokenizer.decode(tokens[start:])


def merge(model, path):
    """Add the product of an adapter's matrices to the weights of a model whose rows are not in another order."""
    import gguf

    names = {"attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj"}
    names |= {"attn_output": "self_attn.o_proj", "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj"}
    names |= {"ffn_down": "mlp.down_proj"}
    reader = gguf.GGUFReader(path)
    assert reader.fields["general.architecture"].contents() == model.config.model_type
    alpha = reader.fields["adapter.lora.alpha"].contents()
    found = {tensor.name: torch.tensor(tensor.data).float() for tensor in reader.tensors}
    for name in [name for name in found if name.endswith(".lora_a")]:
        _, number, kind, *_ = name.split(".")
        a, b = found[name], found[name.replace("lora_a", "lora_b")]
        model.model.layers[int(number)].get_submodule(names[kind]).weight += alpha / len(a) * b @ a


def test_a_base_that_is_needed_stays(service, client, learned, added):
    said = service.command("bases", "remove", learned.model, code=1)
    assert f"{learned.model} can't be removed" in said and "Delete the fine-tunes" in said
    with pytest.raises(openai.PermissionDeniedError, match="base model"):
        client.models.delete(learned.model)


def test_one_that_nothing_needs_goes(service, client, folders):
    service.command("bases", "add", "short-lived", str(folders["qwen2"]))
    assert client.completions.create(model="short-lived", prompt="a", max_tokens=1)
    assert "is as it was" in service.command("bases", "remove", "short-lived")
    with pytest.raises(openai.NotFoundError):
        client.completions.create(model="short-lived", prompt="a")
    assert (folders["qwen2"] / "config.json").exists()
    assert "There is no base model short-lived" in service.command("bases", "remove", "short-lived", code=1)


def test_a_new_one_of_the_same_name_is_the_new_one(service, client, folders, tmp_path):
    """Not the one that llama.cpp still has in memory."""
    service.command("bases", "add", "again", str(folders["qwen2"]))
    asked = {"model": "again", "prompt": "in the thin", "max_tokens": 8, "temperature": 0, "logprobs": 1}
    before = client.completions.create(**asked).choices[0].logprobs.token_logprobs
    service.command("bases", "remove", "again")
    service.command("bases", "add", "again", str(folders["qwen3"]))
    assert client.completions.create(**asked).choices[0].logprobs.token_logprobs != before
    service.command("bases", "remove", "again")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("Big!", "."), "can't be a base model's name"),
        (("mine", "nowhere"), "There is no file or folder nowhere"),
        (("mine", __file__), "is neither a .gguf file nor a Hugging Face folder"),
        (("ada", "."), "already means the built-in base model"),
    ],
)
def test_what_can_not_be_added_is_a_sentence(service, words, said):
    assert said in service.command("bases", "add", *words, code=1)
