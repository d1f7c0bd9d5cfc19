"""From a file or a folder to a base model; and what is refused, with nothing left behind."""

import json
import os
import shutil
from pathlib import Path

import gguf
import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import AddedToken, Tokenizer, normalizers, pre_tokenizers

from openai_local import registration
from openai_local.errors import LocalError
from openai_local.home import Home
from openai_local.models.base_models import Bases
from openai_local.models.vocabulary import KINDS
from openai_local.registration import register
from openai_local.training.dataset import DataError
from openai_local.training.tokenisation import Encoder
from tiny import TEMPLATE, write_gguf
from tiny_folders import NAMED, make_folder

CONVERSATION = {"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "the thin"}]}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make_folder(tmp_path_factory.mktemp("made") / "model", "qwen2")


@pytest.fixture
def folder(made, tmp_path):
    """A folder of one's own to spoil."""
    return Path(shutil.copytree(made, tmp_path / "model"))


@pytest.fixture
def bases(tmp_path):
    return Bases(Home(tmp_path / "home"), tmp_path / "cache")


def refused(bases, source, said):
    with pytest.raises(LocalError, match=said):
        register(bases, "mine", source)
    left = [path.name for path in bases.folder.glob("*") if path.name != ".lock"]
    assert left == [], "a base that is refused must leave nothing"


def change(path, **changes):
    path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), **changes}), encoding="utf-8")


def test_a_folder_becomes_a_base_that_needs_the_folder_no_more(bases, folder):
    said = []
    entry = register(bases, "mine", folder, title="Mine", licence="MIT", tell=said.append)
    shutil.rmtree(folder)
    assert bases.require("mine") == entry and entry in bases.all()
    assert (entry.title, entry.licence, entry.architecture) == ("Mine", "MIT", "qwen2")
    assert entry.parameters == sum(
        weight.numel() for weight in load_file(entry.weights / "model.safetensors").values()
    )
    assert said == []
    encoder = Encoder(entry.weights)
    assert encoder.encode(CONVERSATION, 100).tokens[-2] == encoder.end == 2
    bases.remove("mine")
    assert bases.find("mine") is None and not entry.folder.exists()


def test_its_weights_are_the_folders_but_for_what_eight_bits_lose(bases, folder):
    before = load_file(folder / "model.safetensors")
    after = load_file(register(bases, "mine", folder).weights / "model.safetensors")
    assert before.keys() == after.keys()
    for name, weight in before.items():
        assert (after[name] - weight).abs().max() <= weight.abs().max() / 127, name


def test_a_gguf_file_becomes_a_base(bases, tmp_path):
    write_gguf(tmp_path / "tiny.gguf")
    entry = register(bases, "llama.small", tmp_path / "tiny.gguf")
    assert entry.architecture == "llama" and entry.gguf.read_bytes() == (tmp_path / "tiny.gguf").read_bytes()


def test_weights_in_several_parts(bases, tmp_path):
    folder = make_folder(tmp_path / "model", "qwen3", parts=True)
    (folder / "other.safetensors").write_bytes(b"it is not listed")
    assert register(bases, "mine", folder).ready
    next(folder.glob("model-00002*")).unlink()
    with pytest.raises(LocalError, match=r"names the file model-00002.*Is the folder whole"):
        register(bases, "again", folder)


@pytest.mark.parametrize("pre", [*KINDS])
def test_every_known_tokenizer_cuts_as_llama_cpp_does(bases, tmp_path, pre):
    """`register` compares them on texts that tell them apart; here it is enough that it is content."""
    entry = register(bases, "mine", make_folder(tmp_path / "model", "llama", pre=pre))
    encoder = Encoder(entry.weights)
    assert encoder.start == ([0] if KINDS[pre].starts else [])
    assert encoder.tokens(f"a {NAMED}")[-1] == encoder.tokenizer.token_to_id(NAMED)


@pytest.mark.parametrize("wrong", ["smollm", "gpt-2", "llama-bpe"])
def test_a_file_with_the_wrong_name_for_its_tokenizer_is_found_out(bases, tmp_path, monkeypatch, wrong):
    """llama.cpp goes by the name, so it would cut texts otherwise than the folder's own tokenizer does."""
    kinds = {"qwen2": KINDS[wrong], wrong: KINDS["qwen2"]}
    folder = make_folder(tmp_path / "model", "qwen2")
    monkeypatch.setattr("openai_local.models.vocabulary.KINDS", kinds)
    refused(bases, folder, "cut the text .* into different tokens|not one that works here")


CONFIGS = [
    ({"model_type": "gemma3"}, r"the architecture 'gemma3'.*These can: llama, qwen2, qwen3"),
    ({"rope_parameters": {"rope_type": "yarn", "factor": 4.0}}, "scaled rotary angles"),
    ({"rope_scaling": {"type": "linear", "factor": 2.0}, "rope_parameters": None}, "scaled rotary angles"),
    ({"use_sliding_window": True, "sliding_window": 32}, "sliding window"),
    ({"layer_types": ["full_attention", "sliding_attention", "full_attention"]}, "sliding window"),
    ({"quantization_config": {"bits": 4}}, "is quantised"),
    ({"hidden_act": "gelu"}, "SiLU"),
    ({"attention_bias": True}, "biases"),
    ({"architectures": ["Qwen2ForSequenceClassification"]}, "does not write texts"),
    ({"num_hidden_layers": 4}, r"lacks the tensor model\.layers\.3"),
    ({"num_hidden_layers": 2}, r"has 12 tensor\(s\) that a plain qwen2 has not"),
    ({"intermediate_size": 100}, r"has the shape \(96, 64\); it should be \(100, 64\)"),
    ({"num_hidden_layers": 10**9}, "its num_hidden_layers is 1000000000"),
    ({"hidden_size": "64"}, "its hidden_size is 64"),
    ({"rms_norm_eps": None}, "its rms_norm_eps is None"),
    ({"vocab_size": 100}, "should be|more tokens than the model"),
]


@pytest.mark.parametrize(("changes", "said"), CONFIGS, ids=[next(iter(changes)) for changes, _ in CONFIGS])
def test_a_config_of_what_can_not_be_trained(bases, folder, changes, said):
    change(folder / "config.json", **changes)
    refused(bases, folder, said)


@pytest.mark.parametrize("content", ["", "[]", "{", "[" * 100_000])
def test_a_config_that_is_none(bases, folder, content):
    (folder / "config.json").write_text(content)
    refused(bases, folder, r"config\.json is not")


def test_pickled_weights_are_not_opened(bases, folder):
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    refused(bases, folder, r"pytorch_model\.bin is not opened: such a file can run programs")
    (folder / "pytorch_model.bin").unlink()
    refused(bases, folder, r"has no weights in \*\.safetensors")


def test_weights_that_are_damaged(bases, folder):
    path = folder / "model.safetensors"
    whole = path.read_bytes()
    path.write_bytes(whole[:-100])
    refused(bases, folder, r"model\.safetensors can't be read")
    path.write_bytes(whole)
    weights = load_file(path)
    save_file({**weights, "model.norm.weight": torch.full((64,), torch.nan)}, path, {"format": "pt"})
    refused(bases, folder, r"model\.norm\.weight has numbers that 16 bits can't hold")
    save_file({**weights, "model.norm.weight": torch.ones(64, dtype=torch.int8)}, path, {"format": "pt"})
    refused(bases, folder, r"keeps model\.norm\.weight as I8")


def test_an_index_that_points_out_of_the_folder(bases, folder):
    index = {"weight_map": {"model.norm.weight": "../model/model.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    refused(bases, folder, r"names the file \.\./model/model\.safetensors")


@pytest.mark.parametrize("spoilt", ["whitespace", "lower case", "an end", "nothing"])
def test_another_tokenizer(bases, folder, spoilt):
    path = folder / "tokenizer.json"
    tokenizer = Tokenizer.from_file(str(path))
    if spoilt == "whitespace":
        tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    elif spoilt == "lower case":
        tokenizer.normalizer = normalizers.Lowercase()
    elif spoilt == "an end":
        tokenizer.add_tokens([AddedToken(f"<{number}>") for number in range(100)])
    tokenizer.save(str(path)) if spoilt != "nothing" else path.unlink()
    refused(bases, folder, "not one that works here|more tokens than the model|can't be read")


def test_a_token_that_takes_the_space_before_it_is_found_out(bases, folder):
    """llama.cpp has no such thing; only trying it tells."""
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.add_special_tokens([AddedToken("<mask>", lstrip=True, special=True)])
    tokenizer.save(str(folder / "tokenizer.json"))
    refused(bases, folder, "cut the text 'a <mask> b' into different tokens")


@pytest.mark.parametrize(
    "single",
    [
        [{"SpecialToken": {"id": "<gone>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
        [{"Sequence": {"id": "A", "type_id": 0}}] * 2,
        [{"Sequence": {"id": "B", "type_id": 0}}],
    ],
)
def test_a_start_that_the_tokenizers_package_panics_at(bases, folder, single):
    post = {"type": "TemplateProcessing", "single": single, "pair": [], "special_tokens": {}}
    for processor in (post, {"type": "Sequence", "processors": [post]}):
        change(folder / "tokenizer.json", post_processor=processor)
        refused(bases, folder, "adds other tokens to a text than one at its start")


@pytest.mark.parametrize(
    "told", [5, {}, {"shape": 1.5}, {"shape": None}, {"data_offsets": [0]}, {"data_offsets": 7}]
)
def test_a_tensor_of_which_nonsense_is_said(bases, folder, told):
    path = folder / "model.safetensors"
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    head = json.loads(content[8 : 8 + length])
    name = next(key for key in head if key != "__metadata__")
    head[name] = {**head[name], **told} if told and isinstance(told, dict) else told
    text = json.dumps(head).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + content[8 + length :])
    refused(bases, folder, r"what it says of .* can't be")


def test_an_index_that_names_a_file_without_end(bases, folder):
    index = {"weight_map": {"model.norm.weight": "x" * 5000 + ".safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    refused(bases, folder, "index.json names the file x{100}, which is not in")


def test_two_that_add_tokens_are_one_too_many(bases, folder):
    """The tokenizers package panics at the second: it is given the pieces of the first."""
    read = json.loads((folder / "tokenizer.json").read_text())
    token = next(iter(read["model"]["vocab"]))
    known = {token: {"id": token, "ids": [read["model"]["vocab"][token]], "tokens": [token]}}
    single = [{"SpecialToken": {"id": token, "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}]
    post = {"type": "TemplateProcessing", "single": single, "pair": [], "special_tokens": known}
    level = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}
    change(folder / "tokenizer.json", post_processor={"type": "Sequence", "processors": [post, post]})
    refused(bases, folder, "adds other tokens to a text than one at its start")
    change(folder / "tokenizer.json", post_processor={"type": "Sequence", "processors": [level, post]})
    register(bases, "one", folder)


def test_a_template_that_differs_leaves_prompts_and_completions(bases, folder):
    change(folder / "tokenizer_config.json", chat_template=TEMPLATE + "{{ strftime_now('%Y') }}")
    said = []
    entry = register(bases, "mine", folder, tell=said.append)
    assert "not with chat messages" in said[0]
    assert Encoder(entry.weights).template is None


def test_a_template_that_changes_earlier_answers_teaches_one(bases, folder):
    """As Qwen3's does: an answer begins with a thought as long as it is the last."""
    thought = "('<t>' if loop.last and message['role'] == 'assistant' else '') + message['content']"
    change(folder / "tokenizer_config.json", chat_template=TEMPLATE.replace("message['content']", thought))
    encoder = Encoder(register(bases, "mine", folder).weights)
    assert "<t>" in encoder.tokenizer.decode(encoder.encode(CONVERSATION, 100).tokens)
    turns = CONVERSATION["messages"] * 2
    with pytest.raises(DataError, match="can teach one answer only"):
        encoder.encode({"messages": turns}, 100)
    turns[1] = {**turns[1], "weight": 0}
    assert encoder.encode({"messages": turns}, 100).n_targets


def test_a_template_without_end_is_not_read(bases, folder):
    """A file with holes takes no room on the disk, but in memory."""
    path = folder / "chat_template.jinja"
    path.write_text("")
    os.truncate(path, 1 << 40)
    refused(bases, folder, r"chat_template\.jinja is too large for a chat template: it may have 1,000,000 bytes")


def test_what_llama_cpp_can_not_load_is_refused(bases, folder):
    change(folder / "tokenizer_config.json", chat_template="{{ raise_exception('no') }}")
    refused(bases, folder, r"llama\.cpp can't load the model in .*/model")


def test_no_end_is_a_sentence(bases, folder):
    (folder / "tokenizer_config.json").write_text("{}")
    change(folder / "config.json", eos_token_id=None)
    refused(bases, folder, "does not say which token ends an answer")


def rewrite(path, target, *, without=(), **values):
    """A copy of a GGUF file with other entries."""
    reader = gguf.GGUFReader(path)
    writer = gguf.GGUFWriter(target, reader.fields["general.architecture"].contents())
    for name, field in reader.fields.items():
        if not name.startswith("GGUF.") and name not in ("general.architecture", *without, *values):
            kind, sub = field.types[0], field.types[-1] if len(field.types) > 1 else None
            writer.add_key_value(name, field.contents(), kind, sub_type=sub)
    for name, value in values.items():
        kind = {str: gguf.GGUFValueType.STRING, float: gguf.GGUFValueType.FLOAT32, bool: gguf.GGUFValueType.BOOL}
        writer.add_key_value(name, value, kind.get(type(value), gguf.GGUFValueType.UINT32))
    for tensor in reader.tensors:
        writer.add_tensor(tensor.name, tensor.data, raw_dtype=tensor.tensor_type)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"llama.rope.scaling.type": "yarn"}, "scaled rotary angles"),
        ({"llama.expert_count": 8}, "mixture of experts"),
        ({"llama.attention.sliding_window": 512}, "sliding window"),
        ({"llama.rope.dimension_count": 16}, "turns only a part of each head"),
        ({"general.type": "adapter"}, "is an adapter, not a model"),
        ({"split.count": 3}, "one part of several"),
        ({"tokenizer.ggml.pre": "tekken"}, "which cuts texts as 'tekken'"),
        ({"tokenizer.ggml.model": "llama"}, "a tokenizer that can't be trained with"),
        ({"tokenizer.ggml.eos_token_id": 100_000}, r"tokenizer\.ggml\.eos_token_id is 100000, which can't be"),
        ({"llama.block_count": "three"}, r"llama\.block_count is of type str; it should be u32"),
        ({"llama.block_count": 4}, r"lacks the tensor blk\.3"),
        ({"tokenizer.ggml.pre": "gpt-2"}, None),
    ],
)
def test_a_gguf_file_of_what_can_not_be_trained(bases, tmp_path, values, said):
    write_gguf(tmp_path / "tiny.gguf")
    rewrite(tmp_path / "tiny.gguf", tmp_path / "other.gguf", **values)
    if said is None:
        assert register(bases, "mine", tmp_path / "other.gguf").ready, "the copy as such must work"
    else:
        refused(bases, tmp_path / "other.gguf", said)


def test_a_gguf_file_without_an_entry(bases, tmp_path):
    write_gguf(tmp_path / "tiny.gguf")
    rewrite(tmp_path / "tiny.gguf", tmp_path / "other.gguf", without=["llama.embedding_length"])
    refused(bases, tmp_path / "other.gguf", r"its entry llama\.embedding_length is missing")


def test_an_interruption_leaves_nothing(bases, folder, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(registration, "_compare", interrupted)
    with pytest.raises(KeyboardInterrupt):
        register(bases, "mine", folder)
    assert [path.name for path in bases.folder.iterdir()] == [".lock"]


@pytest.mark.parametrize("name", ["../up", "A", "", ".hidden", "a/b", "a b", "x" * 65, "end.", "é", "a\n"])
def test_names_that_can_not_be(bases, folder, name):
    with pytest.raises(LocalError, match="can't be a base model's name"):
        register(bases, name, folder)
    assert bases.find(name) is None


@pytest.mark.parametrize("name", ["ada", "gpt-4o-mini", "smollm2-135m-instruct"])
def test_names_that_mean_the_built_in_base(bases, folder, name):
    with pytest.raises(LocalError, match="already means the built-in"):
        register(bases, name, folder)
    with pytest.raises(LocalError, match="can't be removed"):
        bases.remove(name)


def test_a_name_is_given_once(bases, folder):
    register(bases, "mine", folder)
    with pytest.raises(LocalError, match=r"already.*openai-local bases remove mine"):
        register(bases, "mine", folder)


def test_a_base_that_lost_its_files_says_what_to_do(bases, folder):
    entry = register(bases, "mine", folder)
    entry.gguf.unlink()
    with pytest.raises(LocalError, match=r"missing.*openai-local bases remove mine"):
        bases.require("mine")
    with pytest.raises(LocalError, match="There are: smollm2-135m-instruct, mine"):
        bases.require("other")


def test_a_note_that_is_damaged_is_no_base(bases, folder):
    entry = register(bases, "mine", folder)
    (entry.folder / "base.json").write_text("{")
    assert bases.find("mine") is None and len(bases.all()) == 1
    bases.remove("mine")
    assert not entry.folder.exists()
