import numpy as np
import pytest

from openai_local.answering.inference import Answering, Target
from openai_local.errors import LocalError
from openai_local.models.architectures import permute, unpermute
from openai_local.models.base_models import SMOLLM2
from openai_local.models.conversion import convert
from openai_local.training.tokenisation import Encoder

TEXTS = [
    "What is 1647?",
    "  two  spaces\nand a line",
    "naïve café — 日本語 🙂",
    "<|im_start|>user\nhi<|im_end|>",
    "I'm 3.14%",
]


def test_permute_and_back():
    array = np.arange(8 * 3).reshape(8, 3)
    assert (permute(unpermute(array, 2), 2) == array).all()
    assert (permute(array, 2)[:, 0] // 3).tolist() == [0, 2, 1, 3, 4, 6, 5, 7]


def test_llama_cpp_and_transformers_continue_alike(tiny_cache):
    """The converted weights are the same model: both continue a text with the same tokens."""
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(SMOLLM2.at(tiny_cache).weights, dtype=torch.float32)
    encoder = Encoder(SMOLLM2.at(tiny_cache).weights)
    tokens = encoder.tokens("in the thin")
    with torch.no_grad():
        for _ in range(8):
            tokens.append(int(model(torch.tensor([tokens])).logits[0, -1].argmax()))
    answering = Answering()
    asked = {"prompt": "in the thin", "max_tokens": 8, "temperature": 0}
    answer = answering.complete(Target(SMOLLM2.at(tiny_cache).gguf), asked)
    answering.close()
    expected = encoder.tokenizer.decode(tokens[len(encoder.tokens("in the thin")) :])
    assert answer["choices"][0]["text"] == expected


@pytest.mark.parametrize("text", TEXTS)
def test_llama_cpp_and_the_tokenizer_count_alike(tiny_cache, text):
    encoder = Encoder(SMOLLM2.at(tiny_cache).weights)
    answering = Answering()
    answer = answering.complete(Target(SMOLLM2.at(tiny_cache).gguf), {"prompt": text, "max_tokens": 1})
    answering.close()
    assert answer["usage"]["prompt_tokens"] == len(encoder.tokens(text))


def test_another_architecture_is_refused(tmp_path):
    import gguf

    writer = gguf.GGUFWriter(tmp_path / "other.gguf", "mamba")
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with pytest.raises(LocalError, match=r"other\.gguf has the architecture 'mamba'"):
        convert(tmp_path / "other.gguf", tmp_path / "weights")
    assert not (tmp_path / "weights").exists()
