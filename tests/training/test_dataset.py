import json

import pytest

from openai_local.models.base_models import SMOLLM2
from openai_local.training.dataset import MOST_LINE, DataError, read
from openai_local.training.tokenisation import Encoder

GOOD = {"prompt": "What is sin?", "completion": " A want of conformity."}


@pytest.fixture
def write(tmp_path):
    def write(*lines):
        path = tmp_path / "train.jsonl"
        path.write_bytes(b"".join(line if isinstance(line, bytes) else (line + "\n").encode() for line in lines))
        return path

    return write


@pytest.fixture(scope="module")
def encoder(tiny_cache):
    return Encoder(SMOLLM2.at(tiny_cache).weights)


def test_good_files_are_read(write):
    assert read(write(*[json.dumps(GOOD)] * 10)) == [GOOD] * 10
    assert len(read(write("\ufeff" + json.dumps(GOOD), "", *[json.dumps(GOOD)] * 9))) == 10


@pytest.mark.parametrize("ends", [True, False])
def test_a_line_has_an_end(write, ends):
    """It is not read to its end, which may be far away."""
    good = json.dumps(GOOD)
    long = ('{"prompt": [' + "[]," * (MOST_LINE // 3)).encode() + b"\n" * ends
    with pytest.raises(DataError, match=r"^Line 2 has more than 1,000,000 bytes\. Make it shorter, or several"):
        read(write(good, long, *[good] * 10 * ends))
    fits = json.dumps(GOOD | {"prompt": "x" * (MOST_LINE - len(good) + len(GOOD["prompt"]) - 1)})
    assert len(read(write(*[good] * 10, fits))) == 11


@pytest.mark.parametrize(
    ("bad", "code", "sentence"),
    [
        ('{"prompt": "a"', "invalid_training_file", "Line 2 is not valid JSON"),
        ("[1, 2]", "invalid_training_file", "Line 2 is no JSON object"),
        (
            '{"prompt": "a", "completion": 5}',
            "invalid_training_file",
            "Line 2: 'completion' is missing or no text",
        ),
        ('{"prompt": "a", "completion": ""}', "invalid_training_file", "Line 2: 'completion' is empty"),
        (b'{"prompt": "\xff", "completion": "b"}\n', "invalid_training_file", "Line 2 is not UTF-8"),
        ('{"prompt": "a", "completion": "\\ud83d"}', "invalid_training_file", "Line 2 holds half a character"),
        ("[" * 100_000, "invalid_training_file", "Line 2 is not valid JSON (nested too deep)"),
        ('{"messages": []}', "invalid_training_file", "Line 2: 'prompt' is missing"),
        ("", "invalid_n_examples", "has 9 example(s), but must have at least 10"),
    ],
)
def test_bad_files_are_refused_by_line(write, bad, code, sentence):
    with pytest.raises(DataError) as error:
        read(write(json.dumps(GOOD), bad, *[json.dumps(GOOD)] * 8))
    assert error.value.code == code
    assert sentence in str(error.value)


@pytest.mark.parametrize(
    ("messages", "sentence"),
    [
        ([{"role": "user", "content": "hi"}], "no assistant's message"),
        ([{"role": "robot", "content": "hi"}], "messages[0] needs a role"),
        ([{"role": "assistant", "content": None}], "messages[0] needs a text"),
        ([{"role": "assistant", "content": "hi", "weight": 2}], "messages[0] has the weight 2"),
        ("hi", "'messages' is missing or no list"),
    ],
)
def test_bad_chats_are_refused(write, messages, sentence):
    with pytest.raises(DataError) as error:
        read(write(*[json.dumps({"messages": messages})] * 10))
    assert sentence in str(error.value)


def test_only_the_completion_and_its_end_count(encoder):
    example = encoder.encode(GOOD, 1000)
    prompt, completion = encoder.tokens("What is sin?"), encoder.tokens(" A want of conformity.")
    assert example.tokens == [*prompt, *completion, encoder.end]
    assert example.counts == [False] * len(prompt) + [True] * (len(completion) + 1)


def test_only_the_assistant_counts_and_weight_0_does_not(encoder):
    messages = [
        {"role": "user", "content": "one"},
        {"role": "assistant", "content": "two", "weight": 0},
        {"role": "user", "content": "three"},
        {"role": "assistant", "content": "four"},
    ]
    example = encoder.encode({"messages": messages}, 1000)
    counted = [t for t, c in zip(example.tokens, example.counts, strict=True) if c]
    assert counted == [*encoder.tokens("four"), encoder.end]
    text = encoder.tokenizer.decode(example.tokens, skip_special_tokens=False)
    assert text == (
        "<|im_start|>user\none<|im_end|>\n<|im_start|>assistant\ntwo<|im_end|>\n"
        "<|im_start|>user\nthree<|im_end|>\n<|im_start|>assistant\nfour<|im_end|>\n"
    )


def test_long_examples_are_cut(encoder):
    assert len(encoder.encode(GOOD, 5).tokens) == 5
