"""Chat completions, through the official client."""

import json
import math
import string

import openai
import pytest

HI = [{"role": "user", "content": "hi"}]
LETTERS = {str(ord(letter) + 3): 60 for letter in string.ascii_lowercase}  # as in test_completions
SCHEMA = {
    "type": "object",
    "properties": {
        "good": {"type": "boolean"},
        "colours": {"type": "array", "items": {"enum": ["red", "green"]}, "minItems": 1, "maxItems": 3},
        "inner": {
            "type": "object",
            "properties": {"n": {"type": "integer", "minimum": 3, "maximum": 12}},
            "required": ["n"],
            "additionalProperties": False,
        },
    },
    "required": ["good", "colours", "inner"],
    "additionalProperties": False,
}


def chat(client, messages=HI, **options):
    return client.chat.completions.create(**{"model": "ada", "messages": messages, "max_tokens": 5, **options})


def by_schema(schema):
    return {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}


def test_a_chat_completion(client):
    answer = chat(client, temperature=0)
    assert answer.object == "chat.completion" and answer.choices[0].message.role == "assistant"
    assert answer.usage.completion_tokens <= 5
    chunks = list(
        chat(
            client,
            max_tokens=None,
            max_completion_tokens=5,
            temperature=0,
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == answer.choices[0].message.content
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[-2].choices[0].finish_reason == answer.choices[0].finish_reason
    assert chunks[-1].usage == answer.usage


def test_the_fields_are_those_that_openai_documents(client):
    answer = chat(client).to_dict()
    assert set(answer) == {"id", "object", "created", "model", "choices", "usage"}
    assert set(answer["choices"][0]) == {"index", "message", "logprobs", "finish_reason"}
    assert set(answer["choices"][0]["message"]) == {"role", "content", "refusal", "annotations"}
    deltas = []
    for chunk in chat(client, stream=True):
        assert set(chunk.to_dict()) == {"id", "object", "created", "model", "choices"}
        assert set(chunk.to_dict()["choices"][0]) == {"index", "delta", "logprobs", "finish_reason"}
        deltas.append(chunk.to_dict()["choices"][0]["delta"])
    assert deltas[0] == {"role": "assistant", "content": "", "refusal": None} and deltas[-1] == {}
    assert all(set(delta) == {"content"} for delta in deltas[1:-1])


def test_several_choices_and_seeds(client):
    options = {"n": 3, "seed": 4, "logit_bias": LETTERS}
    texts = [choice.message.content for choice in chat(client, **options).choices]
    assert len(set(texts)) == 3, "each choice has a seed of its own"
    assert [choice.message.content for choice in chat(client, **options).choices] == texts
    assert [choice.message.content for choice in chat(client, **options | {"seed": 9}).choices] != texts
    streamed = ["", "", ""]
    for chunk in chat(client, **options, stream=True):
        streamed[chunk.choices[0].index] += chunk.choices[0].delta.content or ""
    assert streamed == texts


def test_parts_of_text_are_joined(client):
    parts = [{"role": "user", "content": [{"type": "text", "text": "h"}, {"type": "text", "text": "i"}]}]
    one, two = (chat(client, m, temperature=0) for m in (HI, parts))
    assert one.choices == two.choices


def test_the_prompt_is_that_of_the_chat_template(client):
    prompt = "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n"
    completion = client.completions.create(model="ada", prompt=prompt, max_tokens=5, temperature=0)
    assert chat(client, temperature=0).choices[0].message.content == completion.choices[0].text


def test_an_answer_is_a_new_message_even_after_one_of_the_assistant(client):
    messages = [*HI, {"role": "assistant", "content": "I say"}]
    prompt = "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\nI say<|im_end|>\n<|im_start|>assistant\n"
    completion = client.completions.create(model="ada", prompt=prompt, max_tokens=5, temperature=0)
    assert chat(client, messages, temperature=0).choices[0].message.content == completion.choices[0].text


def test_logprobs(client):
    answer = chat(client, temperature=0, logprobs=True, top_logprobs=4).choices[0]
    for token in answer.logprobs.content:
        assert len(token.top_logprobs) == 4 and sum(math.exp(top.logprob) for top in token.top_logprobs) <= 1
        if bytes(token.bytes) == bytes(token.top_logprobs[0].bytes):
            assert token.logprob == token.top_logprobs[0].logprob, "the greedy token is the likeliest"
    chunks = list(chat(client, temperature=0, logprobs=True, top_logprobs=4, stream=True))
    streamed = [token for c in chunks if c.choices[0].logprobs for token in c.choices[0].logprobs.content]
    assert [token.bytes for token in streamed] == [token.bytes for token in answer.logprobs.content]
    for one, other in zip(streamed, answer.logprobs.content, strict=True):
        assert one.logprob == pytest.approx(other.logprob, abs=1e-3)


def test_logprobs_make_up_the_text(client):
    options = {"logit_bias": LETTERS, "frequency_penalty": 2, "temperature": 0, "max_tokens": 16, "logprobs": True}
    text = chat(client, **options).choices[0].message.content
    for stop in (None, [text[5:8]], ["zzz", text[7:9] + "#"]):
        choice = chat(client, **options, stop=stop).choices[0]
        said = b"".join(bytes(token.bytes) for token in choice.logprobs.content)
        assert said == choice.message.content.encode()
        assert all(token.top_logprobs == [] for token in choice.logprobs.content)


@pytest.mark.parametrize("seed", range(4))
def test_json_by_schema_even_from_a_random_model(client, seed):
    answer = chat(client, response_format=by_schema(SCHEMA), seed=seed, max_tokens=400).choices[0]
    value = json.loads(answer.message.content)
    assert list(value) == ["good", "colours", "inner"] and isinstance(value["good"], bool)
    assert 1 <= len(value["colours"]) <= 3 and set(value["colours"]) <= {"red", "green"}
    assert 3 <= value["inner"]["n"] <= 12 and list(value["inner"]) == ["n"]
    assert answer.finish_reason == "stop"


def test_a_json_object(client):
    text = (
        chat(client, response_format={"type": "json_object"}, temperature=0, max_tokens=50)
        .choices[0]
        .message.content
    )
    assert text.startswith("{")
    chunks = chat(client, response_format={"type": "json_object"}, temperature=0, max_tokens=50, stream=True)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks).rstrip("\ufffd") == text.rstrip(
        "\ufffd"
    )


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "nonsense"},
        {"$ref": "#/nowhere"},
        {"type": "string", "not": {"const": "a"}},
        {"type": "array", "uniqueItems": True},
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_a_schema_that_llama_cpp_ignores_is_refused(client, schema, stream):
    """llama.cpp itself answers freely then, and says nothing."""
    with pytest.raises(openai.BadRequestError) as error:
        chat(client, response_format=by_schema(schema), stream=stream)
    assert error.value.param == "response_format" and error.value.code == "invalid_json_schema"


@pytest.mark.parametrize(
    "options",
    [
        {"store": False},
        {"modalities": ["text"]},
        {"service_tier": "auto"},
        {"service_tier": "default"},
        {"parallel_tool_calls": True},
        {"reasoning_effort": "none"},
        {"verbosity": "medium"},
        {"response_format": {"type": "text"}},
        {"user": "me", "safety_identifier": "me", "prompt_cache_key": "k", "metadata": {"a": "b"}},
        {"logit_bias": None, "stop": None, "logprobs": False},
    ],
)
def test_what_asks_for_nothing_is_taken(client, options):
    assert chat(client, **options).choices


@pytest.mark.parametrize(
    ("options", "param"),
    [
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "messages[0].role"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]},
            "messages[0].content",
        ),
        ({"max_tokens": 0}, "max_tokens"),
        ({"top_logprobs": 3}, "top_logprobs"),
        ({"logprobs": True, "top_logprobs": 21}, "top_logprobs"),
        ({"n": 0}, "n"),
        ({"stop": list("abcde")}, "stop"),
        ({"stream_options": {"include_usage": True}}, "stream_options"),
        ({"logit_bias": {"999999": 1}}, "logit_bias"),
    ],
)
def test_bad_chats_are_refused_by_name(client, options, param):
    with pytest.raises(openai.BadRequestError) as error:
        chat(client, **options)
    assert error.value.param == param


@pytest.mark.parametrize(
    "options",
    [
        {"tools": [{"type": "function", "function": {"name": "x"}}]},
        {"tool_choice": "auto"},
        {"functions": [{"name": "x"}]},
        {"function_call": "none"},
        {"audio": {"format": "wav", "voice": "alloy"}},
        {"modalities": ["text", "audio"]},
        {"prediction": {"type": "content", "content": "x"}},
        {"web_search_options": {}},
        {"reasoning_effort": "low"},
        {"verbosity": "low"},
        {"service_tier": "flex"},
        {"store": True},
        {"prompt_cache_retention": "24h"},
        {"extra_body": {"wings": 2}},
    ],
)
def test_what_is_not_offered_is_refused_by_name(client, options):
    name = next(iter(options.get("extra_body", options)))
    with pytest.raises(openai.BadRequestError) as error:
        chat(client, **options)
    assert error.value.param == name and error.value.code == "unsupported_parameter"
