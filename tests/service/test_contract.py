import json

import pytest
from openai.types.chat.completion_create_params import CompletionCreateParamsNonStreaming as Chat
from openai.types.completion_create_params import CompletionCreateParamsNonStreaming as Completion
from openai.types.fine_tuning.job_create_params import JobCreateParams
from pydantic import ValidationError

from openai_local.service.contract import contract

COMPLETION, CHAT, JOB = contract(Completion, stream=bool | None), contract(Chat), contract(JobCreateParams)


def check(adapter, **body):
    return adapter.validate_json(json.dumps(body), strict=True)


@pytest.mark.parametrize("prompt", ["one", ["one", "two"], [1, 2], [[1], [2, 3]]])
def test_all_four_forms_of_a_prompt_come_through_as_they_are(prompt):
    assert check(COMPLETION, model="ada", prompt=prompt)["prompt"] == prompt


@pytest.mark.parametrize(
    ("adapter", "body"),
    [
        (COMPLETION, {"model": "ada", "prompt": [1, "two"]}),
        (COMPLETION, {"model": "ada", "prompt": 5}),
        (COMPLETION, {"prompt": "x"}),
        (COMPLETION, {"model": "ada", "prompt": "x", "max_tokens": "16"}),
        (CHAT, {"model": "ada", "messages": [{"role": "robot", "content": "x"}]}),
        (CHAT, {"model": "ada", "messages": "hello"}),
        (JOB, {"model": "ada", "training_file": "f", "hyperparameters": {"n_epochs": "many"}}),
        (JOB, {"model": "ada", "training_file": "f", "metadata": {"a": 1}}),
    ],
)
def test_wrong_types_are_refused(adapter, body):
    with pytest.raises(ValidationError):
        check(adapter, **body)


def test_unknown_parameters_are_kept_to_be_refused_by_name():
    assert check(COMPLETION, model="ada", prompt="x", wings=2)["wings"] == 2


def test_nested_lists_are_checked_at_once():
    messages = [{"role": "user", "content": [{"type": "text", "text": "x"}]}]
    assert check(CHAT, model="ada", messages=messages)["messages"] == messages
