"""What llama.cpp remembers of a prompt: it makes one's own next question quicker, and tells others nothing."""

import secrets

import openai
import pytest


def cached(client, model, prompt):
    """How many tokens of a prompt were known already."""
    usage = client.responses.create(model=model, input=prompt, max_output_tokens=1).usage
    return usage.input_tokens_details.cached_tokens


@pytest.fixture
def prompt():
    return " ".join(f"a secret {word}" for word in [secrets.token_hex(4)] * 30)


def test_nobody_learns_what_another_has_asked(service, prompt):
    """The base model is everybody's. A prompt that another has asked is read anew, and says so."""
    ada, ben = service.client("ada"), service.client("ben")
    assert cached(ada, "ada", prompt) == 0
    assert cached(ben, "ada", prompt) == 0, "ben learned that somebody has asked this"
    assert cached(ben, "ada", prompt) > 50, "his own is remembered"
    assert cached(ada, "ada", prompt) == 0, "and hers is forgotten"


def test_an_instructor_is_another_too(service, trained, prompt):
    key = service.command("keys", "new", "curious", "--instructor")
    teacher, tester = openai.OpenAI(base_url=service.url, api_key=key), service.client()
    cached(tester, trained.fine_tuned_model, prompt)
    assert cached(teacher, trained.fine_tuned_model, prompt) == 0


def test_the_answer_is_the_same_with_and_without(service, prompt):
    """So it can't be told from the answer, either."""
    ada, ben = service.client("ada"), service.client("ben")
    asked = {"model": "ada", "prompt": prompt, "max_tokens": 12, "temperature": 0, "logprobs": 2}
    answers = [client.completions.create(**asked).choices[0] for client in (ada, ada, ben, ben)]
    assert {answer.text for answer in answers} == {answers[0].text}
