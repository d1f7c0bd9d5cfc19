"""Every kind of network is exported: PEFT, merged weights and a plain llama.cpp give the same probabilities."""

import gc
import json

import numpy as np
import pytest
import torch
import xllamacpp
from safetensors.numpy import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from openai_local.home import Home
from openai_local.models.adapter import Factors, write_adapter
from openai_local.models.architectures import ARCHITECTURES
from openai_local.models.base_models import Bases
from openai_local.models.export import export
from openai_local.models.export_formats import Source, path_of
from openai_local.registration import register
from openai_local.training.tokenisation import Encoder
from tiny_folders import make_folder

TEXT = "in the thin the 16"


def adapted(place, kind, pre):
    """A registered base of a kind, and an adapter for its upper layers that was never trained."""
    folder = make_folder(place / "folder", kind, pre=pre)
    entry = register(Bases(Home(place / "home"), place), "tiny", folder)
    weights, random = load_file(entry.weights / "model.safetensors"), np.random.default_rng(3)
    factors = {}
    for layer in (1, 2):
        for module in ("q_proj", "k_proj", "v_proj", "o_proj", "down_proj"):
            outputs, inputs = weights[f"{path_of(layer, module)}.weight"].shape
            a, b = (random.standard_normal(shape) / 4 for shape in ((4, inputs), (outputs, 4)))
            factors[layer, module] = Factors(a.astype(np.float16), b.astype(np.float16))
    config = json.loads((entry.weights / "config.json").read_text())
    write_adapter(place / "adapter.gguf", factors, config, 2.0)
    return Source("ft:tiny", place / "adapter.gguf", entry, plain=True, training={}, losses={})


@pytest.fixture(scope="module", params=[*ARCHITECTURES])
def folders(request, tmp_path_factory):
    place = tmp_path_factory.mktemp(request.param)
    pre = "llama-bpe" if request.param == "llama" else "qwen2"
    source = adapted(place, request.param, pre)
    for form in ("gguf", "peft", "merged"):
        export(source, form, place / form)
    return place


@torch.no_grad()
def probabilities(model, folder):
    tokens = AutoTokenizer.from_pretrained(folder)(TEXT).input_ids
    return model.eval()(torch.tensor([tokens])).logits[0, -1].log_softmax(-1)


def test_all_three_give_the_same_probabilities(folders):
    from peft import PeftModel

    base = AutoModelForCausalLM.from_pretrained(folders / "peft" / "base", dtype=torch.float32)
    before = probabilities(base, folders / "peft")
    merged = AutoModelForCausalLM.from_pretrained(folders / "merged", dtype=torch.float32)
    expected = probabilities(merged, folders / "merged")
    assert (expected - before).abs().max() > 0.5, "the adapter must change something"
    found = probabilities(PeftModel.from_pretrained(base, folders / "peft"), folders / "peft")
    torch.testing.assert_close(found, expected, atol=0.02, rtol=0)

    params = xllamacpp.CommonParams()
    params.model.path = str(folders / "gguf" / "model.gguf")
    params.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(str(folders / "gguf" / "adapter.gguf"), 1.0)]
    params.n_ctx, params.verbosity = 512, -1
    server = xllamacpp.Server(params)
    # It is told to say "#", as it tells nothing of a token that is a part of a character only.
    sharp = AutoTokenizer.from_pretrained(folders / "merged")("#", add_special_tokens=False).input_ids[0]
    asked = {"prompt": TEXT, "max_tokens": 1, "temperature": 0, "logprobs": 20, "logit_bias": [[sharp, 1e4]]}
    answer = server.handle_completions({**asked, "samplers": ["temperature"]})
    del server
    gc.collect()
    for token in answer["choices"][0]["logprobs"]["content"][0]["top_logprobs"]:
        assert token["logprob"] == pytest.approx(float(expected[token["id"]]), abs=0.15), (
            "eight bits are not exact"
        )


def test_the_tokenizer_is_the_one_of_training(folders):
    """With the token that stands before every text, where the base has one."""
    encoder = Encoder(folders / "home" / "bases" / "tiny" / "weights")
    for folder in (folders / "merged", folders / "peft", folders / "peft" / "base"):
        tokenizer = AutoTokenizer.from_pretrained(folder)
        for text in (TEXT, "<|im_start|>user\nhi<|im_end|>\n", "naïve — 日本語 🙂\n\n  x"):
            assert tokenizer(text).input_ids == [*encoder.start, *encoder.tokens(text)], text
            assert tokenizer.decode(encoder.tokens(text)) == text
