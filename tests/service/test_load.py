"""How many answers may wait, and what the next one is told."""

import asyncio

import openai
import pytest

from openai_local.service.errors import APIError
from openai_local.service.load import MOST, Load


def test_a_place_is_free_again_after_an_answer_or_an_error():
    load = Load(most=1)
    with pytest.raises(KeyError), load.place():
        raise KeyError
    with load.place():
        with pytest.raises(APIError) as error, load.place():
            pass
        assert error.value.status == 429
    with load.place():
        pass


def test_too_many_answers_at_once(service):
    """More than can wait: some are refused, and come through when the client tries again by itself."""

    async def ask(client: openai.AsyncOpenAI, number: int):
        try:
            options = {"model": "ada", "prompt": "the thin", "max_tokens": 60, "stream": number % 2 == 0}
            answer = await client.completions.create(**options)
            return [chunk async for chunk in answer] if options["stream"] else answer
        except openai.RateLimitError as error:
            return error

    async def ask_all(retries: int):
        key = service.client().api_key
        async with openai.AsyncOpenAI(base_url=service.url, api_key=key, max_retries=retries) as client:
            return await asyncio.gather(*(ask(client, number) for number in range(MOST + 16)))

    answers = asyncio.run(ask_all(0))
    refused = [answer for answer in answers if isinstance(answer, openai.RateLimitError)]
    assert refused and len(answers) - len(refused) >= MOST
    for error in refused:
        assert error.code == "rate_limit_exceeded" and error.type == "requests"
        assert error.response.headers["retry-after"] == "1"
    assert not any(isinstance(answer, Exception) for answer in asyncio.run(ask_all(30)))
