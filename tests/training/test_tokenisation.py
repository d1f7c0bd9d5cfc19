"""What `openai-local tokens` prints: the tokens and the mask of training, with the text that they stand for."""

import json
import os
import subprocess
import sys

import pytest
from tokenizers import Tokenizer, models

from openai_local import cli
from openai_local.models.base_models import SMOLLM2
from openai_local.training.job_folder import EXAMPLE_TOKENS
from openai_local.training.tokenisation import Encoder, _texts, of_line, of_text, rows

PAIR = {"prompt": "What is sin?", "completion": " The thing in the café 漢字 👍🏽."}
CHAT = {
    "messages": [
        {"role": "user", "content": "one"},
        {"role": "assistant", "content": "two"},
        {"role": "user", "content": "three"},
        {"role": "assistant", "content": "the fóur"},
    ]
}


@pytest.fixture(scope="module")
def encoder(tiny_cache):
    return Encoder(SMOLLM2.at(tiny_cache).weights)


@pytest.fixture
def tokens(tiny_cache, monkeypatch, capsys):
    """The command: its exit code, what it prints, and what it says on stderr."""
    monkeypatch.setenv("OPENAI_LOCAL_CACHE", str(tiny_cache))

    def run(*words):
        code = cli.main(["tokens", *map(str, words)])
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


@pytest.fixture
def write(tmp_path):
    def write(*records):
        path = tmp_path / "train.jsonl"
        lines = [record if isinstance(record, str) else json.dumps(record) for record in records]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return path

    return write


def joined(found):
    return "".join(piece.text for piece in found)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "What is the thing?",
        "Ça dépend, a\u0301",
        "罪是什么",
        " 👍🏽 and 👩‍👩‍👧",
        "\ufffd\n\n\t  x",
        "\0\u200b",
        "a<|im_end|>b",
    ],
)
def test_pieces_joined_give_the_text_back(encoder, text):
    found = of_text(encoder, text)
    assert joined(found) == text
    assert [piece.token for piece in found] == encoder.tokens(text)
    assert not any(piece.counts for piece in found)


def test_a_character_of_several_tokens_stands_at_the_last(encoder):
    found = of_text(encoder, "é👍e")
    assert [piece.text for piece in found] == ["", "é", "", "", "", "👍", "e"]


def test_a_token_that_ends_within_a_character_is_held_back_whole():
    tokenizer = Tokenizer(models.BPE(vocab={name: i for i, name in enumerate(["Ġð", "Ł", "ĳ", "į"])}, merges=[]))
    assert _texts(tokenizer, [0, 1, 2, 3]) == ["", "", "", " 👍"]


def test_special_tokens_have_their_names(encoder):
    found = of_text(encoder, "a<|im_end|>b")
    assert [piece.text for piece in found] == ["a", "<|im_end|>", "b"] and found[1].token == encoder.end


@pytest.mark.parametrize("record", [PAIR, CHAT])
def test_tokens_and_mask_are_those_of_training(encoder, write, record):
    found = of_line(encoder, write(record), 1)
    example = encoder.encode(record, EXAMPLE_TOKENS)
    assert [piece.token for piece in found] == example.tokens
    assert [piece.counts for piece in found] == example.counts
    assert 0 < sum(piece.counts for piece in found) == example.n_targets


def test_what_counts_can_be_read(encoder, write):
    found = of_line(encoder, write(PAIR), 1)
    assert joined(piece for piece in found if piece.counts) == PAIR["completion"] + "<|im_end|>"
    found = of_line(encoder, write(CHAT), 1)
    assert joined(piece for piece in found if piece.counts) == "two<|im_end|>the fóur<|im_end|>"
    assert joined(found).startswith("<|im_start|>user\none<|im_end|>\n<|im_start|>assistant\ntwo<|im_end|>\n")


def test_the_first_token_never_counts(encoder, write):
    found = of_line(encoder, write({"prompt": "", "completion": "abc"}), 1)
    assert [piece.counts for piece in found] == [False, True, True, True]


def test_a_long_example_is_cut_as_in_training(encoder, write):
    found = of_line(encoder, write({"prompt": "x", "completion": "👍" * 1000}), 1)
    assert len(found) == EXAMPLE_TOKENS and joined(found) == "x" + "👍" * 511 + "�"
    assert f"Training cuts every example after {EXAMPLE_TOKENS:,} tokens." in list(rows(found))


def test_lines_are_counted_as_in_the_file(tokens, write):
    path = write(PAIR, "", {"prompt": "second", "completion": " x"})
    code, out, _ = tokens(path, "--line", 3, "--json")
    assert code == 0 and "".join(token["text"] for token in json.loads(out)) == "second x<|im_end|>"
    assert {key for token in json.loads(out) for key in token} == {"token", "text", "counts"}
    path.write_bytes("\ufeff\n".encode() + path.read_bytes())
    assert tokens(path, "--line", 4, "--json") == (0, out, "")
    for line in (1, 3, 5, 0):
        code, out, err = tokens(path, "--line", line)
        assert (
            (code, out) == (1, "")
            and f"no example in line {line}. " in err
            and "2 to 4, some of them empty" in err
        )


def test_for_people(tokens, write):
    code, out, _ = tokens(write({"prompt": "the", "completion": " in\n"}))
    rows = out.splitlines()
    assert code == 0 and rows[-1] == "Tokens: 6. The loss counts 4 of them."
    assert rows[1].endswith("'t'") and "yes" not in rows[1]
    assert rows[-3].endswith("yes     '\\n'") and rows[-2].endswith("yes     '<|im_end|>'")
    assert "… (part of the next piece)" in tokens("--text", "é")[1]


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ('{"prompt": "a"', "Line 2 is not valid JSON"),
        ('{"prompt": "a", "completion": 5}', "Line 2: 'completion' is missing or no text"),
        ('{"prompt": "a\\ud83d", "completion": "b"}', "Line 2 holds half a character"),
    ],
)
def test_bad_files_are_refused_as_before_training(tokens, write, line, sentence):
    code, out, err = tokens(write(PAIR, line), "--line", 2, "--json")
    assert (code, out) == (1, "") and sentence in err and err.count("\n") == 1


def test_files_that_are_none(tokens, write, tmp_path):
    for path, sentence in (
        (tmp_path / "none.jsonl", "There is no file"),
        (tmp_path, "can't be read"),
        (write(""), "holds no example"),
    ):
        code, out, err = tokens(path)
        assert (code, out) == (1, "") and sentence in err and str(path) in err and err.count("\n") == 1


def test_without_a_base_model(tokens, tmp_path, monkeypatch):
    monkeypatch.setenv("OPENAI_LOCAL_CACHE", str(tmp_path))
    code, _, err = tokens("--text", "x")
    assert code == 1 and "openai-local bases fetch" in err


def test_a_terminal_that_can_not_write_it(tiny_cache):
    environment = {**os.environ, "OPENAI_LOCAL_CACHE": str(tiny_cache), "PYTHONIOENCODING": "ascii"}
    run = [sys.executable, "-m", "openai_local", "tokens", "--text", "aé"]
    done = subprocess.run(run, env=environment, capture_output=True, text=True)
    assert done.returncode == 0 and "'a'" in done.stdout and done.stderr == ""


def test_it_needs_no_torch(tiny_cache, monkeypatch):
    monkeypatch.setenv("OPENAI_LOCAL_CACHE", str(tiny_cache))
    run = (
        "from openai_local import cli; cli.main(['tokens', '--text=x']); import sys; print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", run], capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "False", done.stderr
