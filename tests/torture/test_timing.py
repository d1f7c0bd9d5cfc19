"""What can be measured from outside: whether an id that is another's, or a key that is nearly right, takes longer."""

import secrets
import time

import httpx2
import pytest

from openai_local.home import Home
from openai_local.service.auth import KeyDoor, make_key
from openai_local.service.store import Store


def took(act):
    begun = time.perf_counter()
    act()
    return time.perf_counter() - begun


def advantage(one, other):
    """How often the one takes longer than the other, from 0 to 1. Half the time: they can't be told apart.

    That is the area under the ROC curve, the Mann-Whitney U divided by the number of pairs.
    """
    ordered = sorted([(value, 1) for value in one] + [(value, 0) for value in other])
    ranks = sum(rank for rank, (_, first) in enumerate(ordered, 1) if first)
    return (ranks - len(one) * (len(one) + 1) / 2) / (len(one) * len(other))


def bound(count):
    """Five standard errors of `advantage` for as many values each, were they the same."""
    return 5 * (1 / (6 * count)) ** 0.5


PATHS = {
    "file": "/files/{}",
    "job": "/fine_tuning/jobs/{}",
    "events": "/fine_tuning/jobs/{}/events",
    "model": "/models/{}",
    "cursor": "/files?after={}",
}


@pytest.mark.parametrize("what", PATHS)
def test_anothers_id_takes_as_long_as_nobodys(service, trained, size, tried, what):
    count = size(300, 2000)
    theirs = {"file": trained.training_file, "cursor": trained.training_file, "model": trained.fine_tuned_model}
    id_ = theirs.get(what, trained.id)
    service.client("stranger")
    headers = {"authorization": f"Bearer {service.keys['stranger']}"}
    times = {True: [], False: []}
    with httpx2.Client(base_url=service.url, headers=headers, trust_env=False) as http:
        for number in range(2 * count + 20):
            is_theirs = number % 2 == 0
            asked = id_ if is_theirs else id_[:-8] + secrets.token_hex(4)
            path = PATHS[what].format(asked)
            seconds = took(lambda path=path: http.get(path))
            if number >= 20:  # the first ones warm up
                times[is_theirs].append(seconds)
    found = advantage(times[True], times[False])
    tried(f"telling another's {what} by the time of the answer", f"2 x {count:,} calls, right {found:.1%}", 0)
    assert abs(found - 0.5) < bound(count), f"right in {found:.1%} of the cases"


def test_a_key_that_is_nearly_right_takes_as_long_as_any(tmp_path, size, tried):
    """Keys are looked up by their hashes, which differ wholly. So nobody finds one letter by letter."""
    import asyncio

    store = Store(Home.open(tmp_path).database)
    key, count = make_key(store, "ada"), size(1000, 10_000)
    for number in range(200):
        make_key(store, f"learner-{number}")
    door, times = KeyDoor(store), {True: [], False: []}

    async def guess():
        assert (await door.identify(key)).name == "ada"
        for number in range(2 * count):
            nearly = number % 2 == 0
            wrong = (key[:-2] if nearly else key[:9] + secrets.token_urlsafe(40)[: len(key) - 11]) + "xx"
            begun = time.perf_counter()
            assert await door.identify(wrong) is None
            times[nearly].append(time.perf_counter() - begun)

    asyncio.run(guess())
    store.close()
    found = advantage(times[True], times[False])
    tried("telling a key that is nearly right by the time", f"2 x {count:,} guesses, right {found:.1%}", 0)
    assert abs(found - 0.5) < bound(count), f"right in {found:.1%} of the cases"
