"""The lesson at OpenAI, for those who may still train there: what it costs, and a client that asks before it pays.

Nothing that costs money is started without two things: a key, and the learner's word for it. Without them each
function says so in a sentence, and sends nothing but questions that are free. Unlike `connect`, nothing here
changes the environment: other cells and other programs go where they went before.
"""

from __future__ import annotations

import time

import openai
import pandas as pd

from openai_data import Report, tokens
from openai_data.errors import LessonError
from openai_lesson import connection
from openai_lesson.connection import sentence

_SECONDS = 20.0
"""How long an answer to `look` may take."""
_NO_KEY = "You have no key for OpenAI, so nothing is sent there."


def client(may_spend: bool = False) -> openai.OpenAI | None:
    """A client for OpenAI that may spend the learner's money.

    Args:
        may_spend: ``True`` to allow what costs money.

    Returns:
        The official client, or nothing without a key or without leave to spend; a sentence says so.
    """
    found = _destination()
    if found is None:
        print(f"{_NO_KEY} With a key, and with may_spend = True, you would be connected here.")
        return None
    if may_spend is not True:
        print(
            "You have a key for OpenAI. may_spend is not True, so nothing is started there, and nothing is paid."
        )
        return None
    print(f"Connected to OpenAI ({found.url}). From here on it costs money.")
    return openai.OpenAI(base_url=found.url, api_key=found.key)


def look() -> None:
    """Say whether OpenAI knows the learner's key, and whether the account has trained there. It costs nothing."""
    found = _destination()
    if found is None:
        print(
            f"{_NO_KEY} With a key you would see here whether it works, and whether you have trained there before."
        )
        return
    reader = openai.OpenAI(base_url=found.url, api_key=found.key, timeout=_SECONDS, max_retries=1)
    try:
        models = len(reader.models.list().data)
        jobs = reader.fine_tuning.jobs.list(limit=1).data
    except openai.AuthenticationError:
        print(f"OpenAI does not know your key. A new one comes from {connection.WHERE_KEYS_ARE}")
    except openai.OpenAIError as error:
        print(f"You have a key, but OpenAI gives no answer to it: {sentence(error, found.key)}")
    else:
        print(f"Your key works. It reaches {models} models.")
        print(_may_train(jobs[0].created_at if jobs else None))


def _may_train(last: int | None) -> str:
    if last is None:
        return "This account has never trained a model at OpenAI. So OpenAI will refuse: it takes no new ones."
    day = time.strftime("%Y-%m-%d", time.gmtime(last))
    return (
        f"This account trained at OpenAI, last on {day}. Whether it still may, OpenAI says when a job is started."
    )


def prices(report: Report) -> pd.DataFrame:
    """What it would cost to train on a file at OpenAI.

    Args:
        report: from `openai_data.analyse`. Its tokens are those of the model on this machine; OpenAI's
            own models count some more or fewer.

    Returns:
        A table with the columns ``model``, ``dollars per million tokens`` and ``dollars for this file``, for as
        many epochs as are usual there.
    """
    each = tokens.price(report.lengths.total)
    return pd.DataFrame(
        [(model, rate, round(each[model], 3)) for model, rate in tokens.PRICES.items()],
        columns=["model", "dollars per million tokens", "dollars for this file"],
    ).sort_values("dollars for this file", ignore_index=True)


def _destination() -> connection.Destination | None:
    """OpenAI with the learner's key, or nothing if there is no key."""
    try:
        return connection.for_notebook("openai")
    except LessonError:
        return None
