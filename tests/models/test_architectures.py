"""Every kind of network that can be trained: its numbers are those of transformers, and of llama.cpp."""

import pytest
import torch
import transformers

from openai_local.answering.inference import Answering, Target
from openai_local.errors import LocalError
from openai_local.home import Home
from openai_local.models.architectures import ARCHITECTURES, check_tensors, find_architecture, tensors
from openai_local.models.base_models import Bases
from openai_local.registration import register
from openai_local.training.network import Llama
from openai_local.training.tokenisation import Encoder
from tiny_folders import make_folder

CPU = torch.device("cpu")


@pytest.fixture(scope="module", params=[*ARCHITECTURES])
def entry(request, tmp_path_factory):
    """A registered base of each kind. The head of Qwen2's is a matrix of its own."""
    place = tmp_path_factory.mktemp(request.param)
    folder = make_folder(place / "folder", request.param, tie_word_embeddings=request.param != "qwen2")
    return register(Bases(Home(place / "home"), place), "tiny", folder)


@torch.no_grad()
def test_its_numbers_are_those_of_transformers(entry):
    llama = Llama(entry.weights, device=CPU, dtype=torch.float32)
    theirs = transformers.AutoModelForCausalLM.from_pretrained(entry.weights, dtype=torch.float32)
    assert type(theirs).__name__ == ARCHITECTURES[entry.architecture].model
    ids = torch.randint(0, 200, (60,), generator=torch.Generator().manual_seed(0))
    mask = torch.full((len(ids), len(ids)), -torch.inf).triu(1)[None, None]
    angles, states = llama.angles(torch.arange(len(ids))), llama.embedding[ids]
    for layer in llama.layers:
        states = layer(states, mask, angles)
    found = llama.normalise(states) @ llama.head.T
    torch.testing.assert_close(found, theirs(ids[None]).logits[0], atol=5e-5, rtol=1e-4)


@torch.no_grad()
def test_llama_cpp_and_transformers_give_the_same_probabilities(entry):
    model = transformers.AutoModelForCausalLM.from_pretrained(entry.weights, dtype=torch.float32)
    encoder, answering = Encoder(entry.weights), Answering()
    tokens = encoder.tokens("in the thin the 16")
    asked = {"prompt": tokens, "max_tokens": 1, "temperature": 0, "logprobs": 20}
    answer = answering.complete(Target(entry.gguf), asked)
    answering.close()
    expected = model(torch.tensor([tokens])).logits[0, -1].log_softmax(-1)
    likeliest = answer["choices"][0]["logprobs"]["content"][0]["top_logprobs"]
    assert len(likeliest) == 20
    for token in likeliest:
        assert token["logprob"] == pytest.approx(float(expected[token["id"]]), abs=0.1), "eight bits are not exact"


def test_an_unknown_kind_is_refused_with_those_that_work():
    with pytest.raises(LocalError, match=r"x\.gguf has the architecture 'gemma'.*llama, qwen2, qwen3"):
        find_architecture("gemma", "x.gguf")
    with pytest.raises(LocalError, match="has the architecture None"):
        find_architecture(None, "config.json")


def test_tensors_that_lack_or_do_not_belong_are_named():
    config = {"model_type": "llama", "hidden_size": 8, "intermediate_size": 12, "head_dim": 4, "vocab_size": 20}
    config |= {"num_attention_heads": 2, "num_key_value_heads": 1, "num_hidden_layers": 1}
    config["tie_word_embeddings"] = True
    shapes = {tensor.gguf: tensor.shape for tensor in tensors(config)}
    check_tensors(config, shapes, "x", gguf=True)
    with pytest.raises(LocalError, match=r"such as rope_freqs\.weight, so it can't be trained"):
        check_tensors(config, {**shapes, "rope_freqs.weight": (2,)}, "x", gguf=True)
    with pytest.raises(LocalError, match=r"blk\.0\.attn_k\.weight in x has the shape \(8, 8\).*\(4, 8\)"):
        check_tensors(config, {**shapes, "blk.0.attn_k.weight": (8, 8)}, "x", gguf=True)
    del shapes["output_norm.weight"]
    with pytest.raises(LocalError, match=r"x lacks the tensor output_norm\.weight"):
        check_tensors(config, shapes, "x", gguf=True)
