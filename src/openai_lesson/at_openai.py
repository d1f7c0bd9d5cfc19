"""The lesson at OpenAI, for those who may still train there: what it costs, and a client that asks before it pays.

Nothing that costs money is started without two things: a key, and the learner's word for it. Without them each
function says so in a sentence, and sends nothing but questions that are free. Unlike `connect`, nothing here
changes the environment: other cells and other programs go where they went before.
"""

import time

import openai

from openai_data.errors import LessonError
from openai_lesson.connection import Destination, for_notebook
from openai_lesson.other_hosts import WHERE_KEYS_ARE, sentence

_SECONDS = 20.0  # so long an answer to `look` may take


def client(may_spend: bool = False) -> openai.OpenAI | None:
    """A client for OpenAI that may spend the learner's money.

    Args:
        may_spend: ``True`` to allow what costs money.

    Returns:
        The official client, or nothing without a key or without leave to spend; a sentence says so.
    """
    found = _with_key("With a key, and with may_spend = True, you would be connected here.")
    if found is None:
        return None
    if may_spend is not True:
        said = "may_spend is not True, so nothing is started there, and nothing is paid."
        return print(f"You have a key for OpenAI. {said}")
    print(f"Connected to OpenAI ({found.url}). From here on it costs money.")
    return openai.OpenAI(base_url=found.url, api_key=found.key)


def look() -> None:
    """Say whether OpenAI knows the learner's key, and whether the account has trained there. It costs nothing."""
    found = _with_key("With a key you would see here whether it works, and whether you have trained there before.")
    if found is None:
        return
    reader = openai.OpenAI(base_url=found.url, api_key=found.key, timeout=_SECONDS, max_retries=1)
    try:
        models = len(reader.models.list().data)
        jobs = reader.fine_tuning.jobs.list(limit=1).data
    except openai.AuthenticationError:
        return print(f"OpenAI does not know your key. A new one comes from {WHERE_KEYS_ARE}")
    except openai.OpenAIError as error:
        return print(f"You have a key, but OpenAI gives no answer to it: {sentence(error, found.key)}")
    print(f"Your key works. It reaches {models} models.")
    if not jobs:
        print("This account has never trained a model at OpenAI. So OpenAI will refuse: it takes no new ones.")
        return
    day = time.strftime("%Y-%m-%d", time.gmtime(jobs[0].created_at))
    print(
        f"This account trained at OpenAI, last on {day}. Whether it still may, OpenAI says when a job is started."
    )


def _with_key(otherwise: str) -> Destination | None:
    """OpenAI with the learner's key. Without one it says what would be, and returns nothing."""
    try:
        return for_notebook("openai")
    except LessonError:
        return print(f"You have no key for OpenAI, so nothing is sent there. {otherwise}")
