import json
import shutil

import pytest
import torch

from openai_local.home import Home
from openai_local.models.base_models import SMOLLM2, Bases
from openai_local.registration import register
from openai_local.training import general_text
from openai_local.training.general_text import QUESTION, TEXTS, WRITTEN, Lane, grow
from openai_local.training.lora import LoraModel
from openai_local.training.network import Llama
from openai_local.training.tokenisation import Encoder

CPU = torch.device("cpu")


@pytest.fixture
def folder(tiny_cache, tmp_path):
    return shutil.copytree(
        SMOLLM2.at(tiny_cache).weights, tmp_path / "weights", ignore=shutil.ignore_patterns("general*")
    )


@pytest.fixture
def encoder(folder):
    return Encoder(folder)


@pytest.fixture
def llama(folder):
    return Llama(folder, device=CPU, dtype=torch.float32)


def test_it_is_written_once_and_kept(folder, llama, encoder, monkeypatch):
    first = general_text.of(folder, llama, encoder)
    assert len(first) == TEXTS and all(not any(text.counts) for text in first)
    monkeypatch.setattr(general_text, "grow", lambda *_: pytest.fail("it was there"))
    assert general_text.of(folder, llama, encoder) == first


@pytest.mark.parametrize("spoiled", ["", "[", "[]", '{"a": 1}', '[["x"]]'])
def test_what_is_spoiled_is_written_again(folder, llama, encoder, spoiled):
    (folder / "general_text.json").write_text(spoiled)
    assert len(general_text.of(folder, llama, encoder)) == TEXTS
    assert len(json.loads((folder / "general_text.json").read_text())) == TEXTS


def test_half_are_plain_and_half_are_questions_with_answers(folder, llama, encoder):
    texts = [
        encoder.tokenizer.decode(text.tokens, skip_special_tokens=False)
        for text in general_text.of(folder, llama, encoder)
    ]
    asked = [text for text in texts if text.startswith("<|im_start|>user\n")]
    assert len(asked) == TEXTS / 2
    assert all(text.count("<|im_start|>assistant\n") >= 1 for text in asked)
    longest = max(len(text.tokens) for text in general_text.of(folder, llama, encoder))
    assert longest <= QUESTION + 2 * WRITTEN


def test_a_base_without_a_template_writes_plain_texts(folder, llama):
    (folder / "chat_template.jinja").write_text("")
    texts = general_text.of(folder, llama, Encoder(folder))
    assert len(texts) == TEXTS and all(len(text.tokens) <= WRITTEN + 1 for text in texts)


def test_a_base_that_begins_each_text_with_a_token_begins_its_own_with_it(folder, llama):
    encoder = Encoder(folder)
    encoder.start = [1]
    assert all(text.tokens[0] == 1 for text in general_text.of(folder, llama, encoder))
    assert encoder.start == [1], "and goes on beginning other texts with it"


def test_a_template_that_says_nothing_after_a_question_gives_plain_texts(folder, llama):
    (folder / "chat_template.jinja").write_text("{{ messages[0]['content'] }}")
    texts = general_text.of(folder, llama, Encoder(folder))
    assert len(texts) == TEXTS and all(len(text.tokens) <= WRITTEN + 1 for text in texts)


def test_the_likeliest_tokens_are_those_of_a_whole_pass(llama, encoder):
    """With keys and values kept, and beside other texts, as without both."""
    starts = [encoder.tokens(text) for text in ("the sun", "What is the moon?")]
    lanes = [Lane(list(start), None, 12) for start in starts]
    grow(llama, lanes, encoder.end, 0.0)
    for start, lane in zip(starts, lanes, strict=True):
        tokens = list(start)
        while len(tokens) < len(lane.tokens):
            ids = torch.tensor(tokens)
            mask = torch.full((len(ids), len(ids)), -torch.inf).triu(1)[None, None]
            states = llama.embedding[ids]
            for layer in llama.layers:
                states = layer(states, mask, llama.angles(torch.arange(len(ids))))
            tokens.append(int((llama.normalise(states)[-1] @ llama.head.T).argmax()))
        assert tokens == lane.tokens


@pytest.fixture(scope="module")
def made(tiny_cache, tmp_path_factory):
    """A folder in which a base has written its texts."""
    folder = shutil.copytree(SMOLLM2.at(tiny_cache).weights, tmp_path_factory.mktemp("made") / "weights")
    general_text.make(folder)
    return folder


@pytest.fixture
def written(made, tmp_path):
    """Its copy, without the states."""
    return shutil.copytree(made, tmp_path / "written", ignore=shutil.ignore_patterns("general_text.states*"))


@pytest.fixture
def model(written):
    return LoraModel(written, device=CPU, dtype=torch.float32)


@pytest.fixture
def texts(written, model):
    return general_text.of(written, model.llama, Encoder(written))


def test_what_the_frozen_layers_make_of_it_is_kept_beside_it(made, model, texts, monkeypatch):
    assert (made / "general_text.states").exists()
    found = [model.lower([text]) for text in texts]
    other = LoraModel(made, device=CPU, dtype=torch.float32)
    monkeypatch.setattr(other, "_below", lambda _: pytest.fail("it was there"))
    general_text.recall(other, texts)
    torch.testing.assert_close(torch.cat([other.lower([text]) for text in texts]), torch.cat(found))


@pytest.mark.parametrize("spoil", ["cut", "empty", "of other texts", "of another processor"])
def test_states_that_are_not_those_of_these_texts_are_found_again(written, model, texts, monkeypatch, spoil):
    right = torch.cat([model.lower([text]) for text in texts])
    path = written / "general_text.states"
    if spoil == "of other texts":
        general_text.recall(model, texts[::-1])
    elif spoil == "of another processor":
        with monkeypatch.context() as patch:
            patch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "ABACUS")
            general_text.recall(model, texts)
    else:
        general_text.recall(model, texts)
        path.write_bytes(path.read_bytes()[:-9] if spoil == "cut" else b"")
    before = path.read_bytes()
    general_text.recall(model, texts)
    assert path.read_bytes() != before
    torch.testing.assert_close(torch.cat([model.lower([text]) for text in texts]), right)


def test_a_folder_that_nobody_can_write_to_costs_time_only(written, model, texts, monkeypatch):
    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(general_text, "arriving", refuse)
    general_text.recall(model, texts)
    assert model.lower(texts[:1]).shape == (len(texts[0].tokens), model.head.shape[1])
    assert not (written / "general_text.states").exists()


def test_a_folder_that_has_them_is_registered_like_any_other(made, tmp_path, tiny_cache):
    assert register(Bases(Home(tmp_path / "home"), tiny_cache), "mine", made).ready
