"""How many answers may wait, and what the next one is told."""

import asyncio

import openai
import pytest

from openai_local.answering.server_pool import LANES
from openai_local.service.errors import APIError
from openai_local.service.throttle import MOST, Load


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


LONG = LANES + 1
"""How many answers are made at the same time: one in each lane, and in the wide one."""
ENDLESS = {
    "model": "ada",
    "prompt": "the",
    "max_tokens": 4000,
    "logit_bias": {"0": -100, "2": -100},
    "stream": True,
}
QUICK = {"model": "ada", "prompt": "the", "max_tokens": 1}


def test_too_many_answers_at_once(service):
    """Long answers hold every lane, quick ones wait; some are refused, and come through when they try again."""

    async def ask(client: openai.AsyncOpenAI):
        try:
            return await client.completions.create(**QUICK)
        except openai.RateLimitError as error:
            return error

    async def ask_too_many(client: openai.AsyncOpenAI):
        long = [await client.completions.create(**ENDLESS) for _ in range(LONG)]
        patient = client.with_options(max_retries=30)
        waiting = [asyncio.create_task(ask(client)) for _ in range(MOST)]
        first = await next(asyncio.as_completed(waiting))
        again = asyncio.create_task(ask(patient))
        for stream in long:
            await stream.close()
        return await asyncio.gather(*waiting), first, await again

    async def run():
        key = service.client().api_key
        async with openai.AsyncOpenAI(base_url=service.url, api_key=key, max_retries=0, timeout=60) as client:
            return await ask_too_many(client)

    answers, first, again = asyncio.run(run())
    refused = [answer for answer in answers if isinstance(answer, openai.RateLimitError)]
    assert first in refused and len(refused) <= LONG, "the long ones count too"
    for error in refused:
        assert error.code == "rate_limit_exceeded" and error.type == "requests"
        assert error.response.headers["retry-after"] == "1"
    assert again.choices
