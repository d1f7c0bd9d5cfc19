"""Completions, through the official client."""

import math
import string

import openai
import pytest

from openai_local.models.base_models import SMOLLM2

# The tiny model's tokens for bytes stand three after the byte. Random weights say bytes that are no text;
# with this bias they say letters.
LETTERS = {str(ord(letter) + 3): 60 for letter in string.ascii_lowercase}
PERCENT = ord("%") + 3


def complete(client, prompt="the thin", **options):
    return client.completions.create(**{"model": "ada", "prompt": prompt, "temperature": 0, **options})


def test_a_completion(client):
    answer = complete(client, seed=1)
    choice = answer.choices[0]
    assert answer.object == "text_completion" and answer.model == "smollm2-135m-instruct"
    assert answer.usage.completion_tokens <= 16, "16 tokens is OpenAI's default"
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
    assert choice.finish_reason in ("stop", "length") and choice.text
    assert complete(client).choices[0].text == choice.text


def test_the_fields_are_those_that_openai_documents(client):
    answer = complete(client).to_dict()
    assert set(answer) == {"id", "object", "created", "model", "choices", "usage"}
    assert set(answer["choices"][0]) == {"index", "text", "logprobs", "finish_reason"}
    for chunk in complete(client, stream=True):
        assert set(chunk.to_dict()) == {"id", "object", "created", "model", "choices"}
        assert set(chunk.to_dict()["choices"][0]) == {"index", "text", "logprobs", "finish_reason"}


def test_streaming_gives_the_same_text(client):
    whole = complete(client)
    chunks = list(complete(client, stream=True, stream_options={"include_usage": True}))
    assert "".join(chunk.choices[0].text for chunk in chunks if chunk.choices) == whole.choices[0].text
    assert chunks[-1].usage == whole.usage
    assert chunks[-1].choices == [] and len({chunk.id for chunk in chunks}) == 1
    assert all("usage" in chunk.to_dict() and chunk.usage is None for chunk in chunks[:-1])
    assert all(chunk.choices for chunk in complete(client, stream=True))


def test_several_prompts_and_choices(client):
    options = {
        "prompt": ["the", "thin"],
        "n": 2,
        "max_tokens": 3,
        "seed": 5,
        "temperature": 1,
        "logit_bias": LETTERS,
    }
    answer = complete(client, **options)
    assert [choice.index for choice in answer.choices] == [0, 1, 2, 3]
    assert complete(client, **options).choices == answer.choices, "the same seed, the same answer"
    assert answer.choices[0].text != answer.choices[1].text, "each choice has a seed of its own"
    assert complete(client, **options | {"seed": 6}).choices != answer.choices
    streamed = dict.fromkeys(range(4), "")
    for chunk in complete(client, **options, stream=True):
        streamed[chunk.choices[0].index] += chunk.choices[0].text
    assert streamed == {choice.index: choice.text for choice in answer.choices}


@pytest.mark.parametrize("prompt", ["he the", [260, 261], ["he the"], [[260, 261]]])
def test_all_forms_of_a_prompt_mean_the_same(client, prompt):
    assert complete(client, prompt).choices == complete(client, "he the").choices


def test_an_empty_prompt_begins_a_document(client):
    answer = complete(client, "", echo=True)
    assert answer.choices[0].text == complete(client, "<|endoftext|>").choices[0].text


def test_stop_ends_an_answer(client):
    text = complete(client, logit_bias=LETTERS, frequency_penalty=2).choices[0].text
    for stop in (text[6], text[5:8], ["#", text[9:11], text[4:7]]):
        answer = complete(client, logit_bias=LETTERS, frequency_penalty=2, stop=stop, logprobs=0).choices[0]
        first = min(text.index(s) for s in ([stop] if isinstance(stop, str) else stop) if s in text)
        assert answer.text == text[:first] and answer.finish_reason == "stop"
        assert "".join(answer.logprobs.tokens) == answer.text, "the stop sequence is no part of the answer"
        options = {"logit_bias": LETTERS, "frequency_penalty": 2, "stop": stop, "logprobs": 0, "stream": True}
        chunks = [chunk.choices[0] for chunk in complete(client, **options)]
        assert "".join(chunk.text for chunk in chunks) == answer.text
        assert [token for chunk in chunks for token in chunk.logprobs.tokens] == answer.logprobs.tokens


def test_what_only_resembles_a_stop_sequence_is_said(client):
    """llama.cpp holds it back, and forgets it when the answer ends there."""
    text = complete(client, logit_bias=LETTERS).choices[0].text
    for stream in (False, True):
        answer = complete(client, logit_bias=LETTERS, stop=text[-3:] + "#", stream=stream)
        choices = [chunk.choices[0] for chunk in answer] if stream else answer.choices
        assert "".join(choice.text for choice in choices) == text and choices[-1].finish_reason == "length"


def test_a_cut_character_is_left_out(client):
    """U+1F31F takes four tokens of the tiny model; the answer ends after three."""
    star = {str(byte + 3): 100 - 10 * place for place, byte in enumerate("\N{GLOWING STAR}".encode())}
    options = {"logit_bias": star, "presence_penalty": 2, "temperature": 0, "max_tokens": 1, "logprobs": 1}
    for stream in (False, True):
        answer = complete(client, stream=stream, **options)
        choices = [chunk.choices[0] for chunk in answer] if stream else answer.choices
        assert "".join(choice.text for choice in choices) == ""
        assert [token for choice in choices for token in choice.logprobs.tokens] == []


def test_penalties_make_for_variety(client):
    plain, frequency, presence = (
        complete(client, logit_bias=LETTERS, max_tokens=60, **options).choices[0].text
        for options in ({}, {"frequency_penalty": 2}, {"presence_penalty": 2})
    )
    assert len(set(plain)) < len(set(presence)) < len(set(frequency))


def test_logit_bias_forces_and_bans(client):
    assert complete(client, logit_bias={str(PERCENT): 100}).choices[0].text == "%" * 16
    first = complete(client, logit_bias=LETTERS, max_tokens=1).choices[0].text
    banned = LETTERS | {str(ord(first) + 3): -100}
    assert complete(client, logit_bias=banned, max_tokens=1).choices[0].text not in (first, "")


def test_logprobs_are_those_of_the_model(client, tiny_cache):
    """Compared with what PyTorch computes from the same weights."""
    import torch
    from transformers import LlamaForCausalLM

    tokens = [260, 261, PERCENT, 120, 3 + 0xC3, 3 + 0xA9, 50]
    answer = complete(client, tokens, echo=True, max_tokens=0, logprobs=3)
    model = LlamaForCausalLM.from_pretrained(SMOLLM2.at(tiny_cache).weights, dtype=torch.float32)
    with torch.no_grad():
        table = model(torch.tensor([tokens])).logits[0].float().log_softmax(-1)
    expected = [table[position, token].item() for position, token in enumerate(tokens[1:])]
    logprobs = answer.choices[0].logprobs
    assert logprobs.token_logprobs[0] is None and logprobs.top_logprobs[0] is None
    assert logprobs.token_logprobs[1:] == pytest.approx(expected, abs=0.05)
    best = table.max(-1).values.tolist()
    assert [max(top.values()) for top in logprobs.top_logprobs[1:]] == pytest.approx(best[:-1], abs=0.05)


def test_logprobs_of_an_answer(client):
    answer = complete(client, logprobs=5, max_tokens=8).choices[0]
    logprobs = answer.logprobs
    assert len(logprobs.tokens) == len(logprobs.token_logprobs) == len(logprobs.top_logprobs)
    for token, logprob, top in zip(logprobs.tokens, logprobs.token_logprobs, logprobs.top_logprobs, strict=True):
        assert sum(math.exp(value) for value in top.values()) <= 1
        if token in top:  # the greedy token is the likeliest; a character of several tokens is listed in parts
            assert top[token] == logprob == max(top.values())
    chunks = list(complete(client, logprobs=5, max_tokens=8, stream=True))
    parts = [chunk.choices[0].logprobs for chunk in chunks]
    assert [token for part in parts for token in part.tokens] == logprobs.tokens
    assert [offset for part in parts for offset in part.text_offset] == logprobs.text_offset
    streamed = [logprob for part in parts for logprob in part.token_logprobs]
    assert streamed == pytest.approx(logprobs.token_logprobs, abs=1e-3)


@pytest.mark.parametrize("prompt", ["the thin é", [260, 261]])
def test_text_offsets_count_from_the_prompt(client, prompt):
    plain = complete(client, prompt, logprobs=0, logit_bias=LETTERS, frequency_penalty=2).choices[0]
    echoed = complete(client, prompt, logprobs=0, logit_bias=LETTERS, frequency_penalty=2, echo=True).choices[0]
    text = echoed.text
    assert text.endswith(plain.text) and plain.logprobs.tokens == echoed.logprobs.tokens[-len(plain.text) :]
    assert [text[offset] for offset in plain.logprobs.text_offset] == plain.logprobs.tokens
    assert [len(top) for top in plain.logprobs.top_logprobs] == [1] * 16, "0 asks for the token's own"
    for token, offset in zip(echoed.logprobs.tokens, echoed.logprobs.text_offset, strict=True):
        assert token.startswith("bytes:") or text.startswith(token, offset)


def test_what_was_said_and_what_was_read_have_the_same_logprobs(client):
    said = (
        complete(client, [260, 261], logit_bias={str(PERCENT): 100}, max_tokens=3, logprobs=2).choices[0].logprobs
    )
    read = complete(client, [260, 261, *[PERCENT] * 3], echo=True, max_tokens=0, logprobs=2).choices[0].logprobs
    assert read.tokens[2:] == said.tokens == ["%"] * 3
    assert read.token_logprobs[2:] == pytest.approx(said.token_logprobs, abs=1e-3)
    assert [set(top) for top in read.top_logprobs[2:]] == [set(top) for top in said.top_logprobs]


def test_echo(client):
    plain, echoed, nothing = (
        complete(client, ["the", "thin"], logit_bias=LETTERS, **options)
        for options in ({}, {"echo": True}, {"echo": True, "max_tokens": 0})
    )
    assert [c.text for c in echoed.choices] == [
        p + c.text for p, c in zip(("the", "thin"), plain.choices, strict=True)
    ]
    assert [c.text for c in nothing.choices] == ["the", "thin"]
    assert {c.finish_reason for c in nothing.choices} == {"length"} and nothing.usage.completion_tokens == 0
    for options, whole in (({}, echoed), ({"max_tokens": 0}, nothing)):
        options |= {"logit_bias": LETTERS, "echo": True, "stream": True}
        chunks = [chunk.choices[0] for chunk in complete(client, ["the", "thin"], **options)]
        for choice in whole.choices:
            assert "".join(chunk.text for chunk in chunks if chunk.index == choice.index) == choice.text


def test_best_of_gives_the_likeliest(client):
    options = {"temperature": 1, "seed": 3, "max_tokens": 6, "logit_bias": LETTERS, "logprobs": 1}
    tries = complete(client, ["the", "thin"], n=4, **options)
    best = complete(client, ["the", "thin"], n=2, best_of=4, **options)

    def mean(choice):
        return sum(choice.logprobs.token_logprobs) / len(choice.logprobs.token_logprobs)

    expected = [sorted(tries.choices[i : i + 4], key=mean, reverse=True)[:2] for i in (0, 4)]
    assert [c.text for c in best.choices] == [c.text for choices in expected for c in choices]
    assert [c.index for c in best.choices] == [0, 1, 2, 3]
    assert best.usage == tries.usage, "what was thrown away is counted too"
    quiet = complete(client, ["the", "thin"], n=2, best_of=4, **options | {"logprobs": None})
    assert [c.text for c in quiet.choices] == [c.text for c in best.choices]
    assert quiet.choices[0].logprobs is None


@pytest.mark.parametrize(
    ("options", "param"),
    [
        ({"best_of": 1, "n": 2}, "best_of"),
        ({"best_of": 3, "stream": True}, "best_of"),
        ({"logprobs": 6}, "logprobs"),
        ({"temperature": 3}, "temperature"),
        ({"max_tokens": -5}, "max_tokens"),
        ({"suffix": "end"}, "suffix"),
        ({"logit_bias": {"hello": 1}}, "logit_bias"),
        ({"logit_bias": {"40": 101}}, "logit_bias"),
        ({"logit_bias": {"999999": 1}}, "logit_bias"),
        ({"stop": list("abcde")}, "stop"),
        ({"stream_options": {"include_usage": True}}, "stream_options"),
        ({"stream": True, "stream_options": {"include_obfuscation": True}}, "stream_options.include_obfuscation"),
        ({"prompt": []}, "prompt"),
        ({"prompt": [[]]}, "prompt"),
        ({"prompt": [1, 5000]}, "prompt"),
        ({"prompt": [[1], [-1]]}, "prompt"),
        ({"extra_body": {"wings": 2}}, "wings"),
    ],
)
def test_bad_completions_are_refused_by_name(client, options, param):
    with pytest.raises(openai.BadRequestError) as error:
        complete(client, **options)
    assert error.value.param == param


def test_a_prompt_that_is_too_long_is_refused(client):
    for options in ({}, {"stream": True}, {"echo": True, "logprobs": 1}):
        with pytest.raises(openai.BadRequestError) as error:
            complete(client, "x" * 9000, **options)
        assert error.value.code == "context_length_exceeded"


def test_a_client_that_leaves_stops_the_answer(client):
    """The answer to somebody who left is not finished: the next one is not held up by it."""
    stream = complete(client, max_tokens=4000, stream=True)
    next(iter(stream))
    stream.close()
    assert complete(client, max_tokens=2, timeout=20).choices
