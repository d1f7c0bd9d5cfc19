"""Responses, through the official client."""

from typing import Literal

import openai
import pytest
from openai.types.responses import Response
from pydantic import BaseModel

YES_OR_NO = {"format": {"type": "json_schema", "name": "answer", "schema": {"enum": ["yes", "no"]}}}
ORDER = """created in_progress output_item.added content_part.added output_text.delta
    output_text.done content_part.done output_item.done""".split()


def respond(client, given="hi", **options):
    return client.responses.create(**{"model": "ada", "input": given, "temperature": 0, **options})


def test_a_response(client):
    answer = respond(client, max_output_tokens=8)
    assert answer.object == "response" and answer.id.startswith("resp_") and answer.output[0].id.startswith("msg_")
    assert answer.status == answer.output[0].status == "incomplete"
    assert answer.incomplete_details.reason == "max_output_tokens"
    assert answer.usage.output_tokens == 8
    assert answer.usage.total_tokens == answer.usage.input_tokens + 8
    Response.model_validate(answer.to_dict(), strict=True)
    completed = respond(client, text=YES_OR_NO)
    assert completed.status == "completed" and completed.incomplete_details is None
    assert completed.output_text in ('"yes"', '"no"') and completed.completed_at >= completed.created_at
    Response.model_validate(completed.to_dict(), strict=True)


def test_it_says_what_chat_says(client):
    messages = [
        {"role": "developer", "content": "be good"},
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": "yes?"},
        {"role": "user", "content": "more"},
    ]
    chat = client.chat.completions.create(model="ada", messages=messages, max_tokens=6, temperature=0)
    parts = [
        {"role": "user", "content": [{"type": "input_text", "text": "h"}, {"type": "input_text", "text": "i"}]},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "yes?"}]},
        {"role": "user", "content": "more"},
    ]
    for answer in (
        respond(client, messages, max_output_tokens=6),
        respond(client, parts, instructions="be good", max_output_tokens=6),
    ):
        assert answer.output_text == chat.choices[0].message.content
        assert answer.usage.input_tokens == chat.usage.prompt_tokens


def test_a_response_goes_on_from_the_output_of_another(client):
    first = respond(client, max_output_tokens=4)
    more = [{"role": "user", "content": "hi"}, *first.output, {"role": "user", "content": "and?"}]
    again = respond(client, more, max_output_tokens=4)
    assert again.usage.input_tokens > first.usage.total_tokens


def test_the_events_come_in_order(client):
    whole = respond(client, max_output_tokens=8)
    events = list(respond(client, max_output_tokens=8, stream=True))
    kinds = list(dict.fromkeys(event.type for event in events))
    assert kinds == [f"response.{kind}" for kind in (*ORDER, "incomplete")]
    assert [event.sequence_number for event in events] == list(range(len(events)))
    text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    done = next(event for event in events if event.type == "response.output_text.done")
    last = events[-1].response
    assert text == done.text == last.output_text
    assert whole.output_text == text
    assert last.usage == whole.usage
    assert events[0].response.status == "in_progress" and events[0].response.output == []
    assert {event.response.id for event in (events[0], events[1], events[-1])} == {last.id}
    for event in events:
        type(event).model_validate(event.to_dict())


def test_every_event_has_its_name(client):
    with client.responses.with_streaming_response.create(
        model="ada", input="hi", max_output_tokens=3, stream=True
    ) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        lines = [line for line in answer.iter_lines() if line]
    names, bodies = lines[::2], lines[1::2]
    assert names[0] == "event: response.created" and "data: [DONE]" not in lines
    for name, body in zip(names, bodies, strict=True):
        assert f'"type": "{name.removeprefix("event: ")}"' in body


def test_the_helpers_of_the_client(client):
    class Answer(BaseModel):
        word: Literal["sun", "moon"]  # a number may have more digits than there are tokens
        good: bool

    parsed = client.responses.parse(model="ada", input="hi", text_format=Answer, max_output_tokens=100)
    assert isinstance(parsed.output_parsed, Answer)
    with client.responses.stream(model="ada", input="hi", text=YES_OR_NO) as stream:
        assert [event.type for event in stream][-1] == "response.completed"
        assert stream.get_final_response().output_text in ('"yes"', '"no"')


def test_logprobs(client):
    wanted = {"include": ["message.output_text.logprobs"], "top_logprobs": 2, "max_output_tokens": 4}
    answer = respond(client, **wanted).output[0].content[0]
    assert b"".join(bytes(token.bytes) for token in answer.logprobs).decode(errors="replace") in answer.text
    assert all(len(token.top_logprobs) == 2 for token in answer.logprobs)
    events = list(respond(client, **wanted, stream=True))
    deltas = [token for event in events if event.type == "response.output_text.delta" for token in event.logprobs]
    assert [token.token for token in deltas] == [token.token for token in answer.logprobs]
    assert respond(client, max_output_tokens=4).output[0].content[0].logprobs == []


def test_what_was_asked_for_stands_in_the_response(client):
    asked = {"instructions": "be good", "metadata": {"a": "b"}, "max_output_tokens": 3, "top_p": 0.5, "user": "me"}
    answer = respond(client, **asked)
    assert {name: getattr(answer, name) for name in asked} == asked
    assert answer.temperature == 0 and answer.text.format.type == "text" and answer.tools == []


@pytest.mark.parametrize(
    "options",
    [{"store": False}, {"tools": []}, {"tool_choice": "none"}, {"truncation": "disabled"}, {"background": False}],
)
def test_what_asks_for_nothing_is_taken(client, options):
    assert respond(client, max_output_tokens=2, **options).output


@pytest.mark.parametrize(
    ("options", "param"),
    [
        ({"store": True}, "store"),
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"conversation": "conv_1"}, "conversation"),
        ({"background": True}, "background"),
        ({"tools": [{"type": "web_search"}]}, "tools"),
        ({"reasoning": {"effort": "low"}}, "reasoning"),
        ({"include": ["reasoning.encrypted_content"]}, "include[reasoning.encrypted_content]"),
        ({"text": {"verbosity": "low"}}, "text.verbosity"),
        ({"text": {"format": {"type": "json_schema", "name": "x", "schema": {"type": "odd"}}}}, "text.format"),
        ({"extra_body": {"seed": 1}}, "seed"),
        ({"max_output_tokens": 0}, "max_output_tokens"),
        ({"given": []}, "input"),
        ({"given": [{"type": "item_reference", "id": "x"}]}, "input[0].type"),
        ({"given": [{"role": "tool", "content": "x"}]}, "input[0]"),
        ({"given": [{"role": "user", "content": [{"type": "input_image"}]}]}, "input[0].content"),
    ],
)
def test_what_is_not_offered_is_refused_by_name(client, options, param):
    with pytest.raises(openai.BadRequestError) as error:
        respond(client, **options)
    assert error.value.param == param


@pytest.mark.parametrize("missing", ["model", "input"])
def test_a_parameter_that_must_be_there(client, missing):
    body = {"model": "ada", "input": "hi"}
    del body[missing]
    with pytest.raises(openai.BadRequestError) as error:
        client.post("/responses", body=body, cast_to=object)
    assert error.value.param == missing


def test_nothing_is_kept(client):
    answer = respond(client, max_output_tokens=2)
    for call in (client.responses.retrieve, client.responses.delete, client.responses.cancel):
        with pytest.raises(openai.NotFoundError):
            call(answer.id)
