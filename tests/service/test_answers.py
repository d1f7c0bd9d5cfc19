"""Completions and chat completions, through the official client."""

import openai
import pytest

HI = [{"role": "user", "content": "hi"}]


def test_a_completion(client):
    answer = client.completions.create(model="ada", prompt="the thin", temperature=0, seed=1)
    choice = answer.choices[0]
    assert answer.object == "text_completion" and answer.model == "smollm2-135m-instruct"
    assert answer.usage.completion_tokens <= 16, "16 tokens is OpenAI's default"
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
    assert choice.finish_reason in ("stop", "length") and choice.text
    again = client.completions.create(model="ada", prompt="the thin", temperature=0)
    assert again.choices[0].text == choice.text


def test_streaming_gives_the_same_text(client):
    whole = client.completions.create(model="ada", prompt="the thin", temperature=0)
    chunks = list(
        client.completions.create(
            model="ada", prompt="the thin", temperature=0, stream=True, stream_options={"include_usage": True}
        )
    )
    assert "".join(chunk.choices[0].text for chunk in chunks if chunk.choices) == whole.choices[0].text
    assert chunks[-1].usage.completion_tokens == whole.usage.completion_tokens
    assert chunks[-1].choices == [] and len({chunk.id for chunk in chunks}) == 1
    plain = list(client.completions.create(model="ada", prompt="the thin", temperature=0, stream=True))
    assert all(chunk.choices for chunk in plain)


def test_several_prompts_and_choices(client):
    answer = client.completions.create(model="ada", prompt=["the", "thin"], n=2, max_tokens=3, seed=5)
    assert [choice.index for choice in answer.choices] == [0, 1, 2, 3]
    again = client.completions.create(model="ada", prompt=["the", "thin"], n=2, max_tokens=3, seed=5)
    assert [c.text for c in again.choices] == [c.text for c in answer.choices], "the same seed, the same answer"
    assert answer.choices[0].text != answer.choices[1].text, "each choice has a seed of its own"
    streamed: dict[int, str] = {}
    for chunk in client.completions.create(
        model="ada", prompt=["the", "thin"], n=2, max_tokens=3, seed=5, stream=True
    ):
        choice = chunk.choices[0]
        streamed[choice.index] = streamed.get(choice.index, "") + choice.text
    assert sorted(streamed) == [0, 1, 2, 3]
    for choice in answer.choices:
        if "\ufffd" not in choice.text:  # a random model says bytes that are no text; a stream holds them back
            assert streamed[choice.index] == choice.text


def test_stop_ends_an_answer(client):
    text = client.completions.create(model="ada", prompt="the thin", temperature=0).choices[0].text
    stop = text[len(text) // 2]
    answer = client.completions.create(model="ada", prompt="the thin", temperature=0, stop=[stop])
    assert answer.choices[0].text == text[: text.index(stop)] and answer.choices[0].finish_reason == "stop"


def test_a_chat_completion(client):
    answer = client.chat.completions.create(model="ada", messages=HI, max_tokens=5, temperature=0)
    assert answer.object == "chat.completion" and answer.choices[0].message.role == "assistant"
    assert answer.usage.completion_tokens <= 5
    chunks = list(
        client.chat.completions.create(
            model="ada",
            messages=HI,
            max_completion_tokens=5,
            temperature=0,
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == answer.choices[0].message.content
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[-1].usage == answer.usage


def test_parts_of_text_are_joined(client):
    parts = [{"role": "user", "content": [{"type": "text", "text": "h"}, {"type": "text", "text": "i"}]}]
    one, two = (
        client.chat.completions.create(model="ada", messages=m, max_tokens=3, temperature=0) for m in (HI, parts)
    )
    assert one.choices == two.choices


@pytest.mark.parametrize(
    ("options", "param"),
    [
        ({"best_of": 1, "n": 2}, "best_of"),
        ({"best_of": 3, "stream": True}, "best_of"),
        ({"logprobs": 6}, "logprobs"),
        ({"suffix": "end"}, "suffix"),
        ({"logit_bias": {"hello": 1}}, "logit_bias"),
        ({"logit_bias": {"40": 101}}, "logit_bias"),
        ({"logit_bias": {"999999": 1}}, "logit_bias"),
        ({"stop": list("abcde")}, "stop"),
        ({"stream_options": {"include_usage": True}}, "stream_options"),
        ({"temperature": 3}, "temperature"),
        ({"max_tokens": -5}, "max_tokens"),
        ({"prompt": []}, "prompt"),
        ({"prompt": [[]]}, "prompt"),
        ({"extra_body": {"wings": 2}}, "wings"),
    ],
)
def test_bad_completions_are_refused_by_name(client, options, param):
    with pytest.raises(openai.BadRequestError) as error:
        client.completions.create(**{"model": "ada", "prompt": "x", **options})
    assert error.value.param == param


@pytest.mark.parametrize(
    ("options", "param"),
    [
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "messages[0].role"),
        ({"tools": [{"type": "function", "function": {"name": "x"}}]}, "tools"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]},
            "messages[0].content",
        ),
    ],
)
def test_bad_chats_are_refused_by_name(client, options, param):
    with pytest.raises(openai.BadRequestError) as error:
        client.chat.completions.create(**{"model": "ada", "messages": HI, **options})
    assert error.value.param == param


def test_a_prompt_that_is_too_long_is_refused(client):
    for stream in (False, True):
        with pytest.raises(openai.BadRequestError) as error:
            client.completions.create(model="ada", prompt="x" * 9000, stream=stream)
        assert error.value.code == "context_length_exceeded"


def test_a_client_that_leaves_stops_the_answer(client):
    """The answer to somebody who left is not finished: the next one is not held up by it."""
    stream = client.completions.create(model="ada", prompt="the thin", max_tokens=4000, stream=True)
    next(iter(stream))
    stream.close()
    answer = client.completions.create(model="ada", prompt="the thin", max_tokens=2, timeout=20)
    assert answer.choices
