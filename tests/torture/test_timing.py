"""What can be measured from outside: whether another's id, or a key that is nearly right, takes longer."""

import random
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


def mixed(one, other):
    """Both kinds in an order by chance, so that whatever else the machine does meets both alike."""
    both = [*((True, value) for value in one), *((False, value) for value in other)]
    random.shuffle(both)
    return both


PATHS = {
    "file": "/files/{}",
    "job": "/fine_tuning/jobs/{}",
    "events": "/fine_tuning/jobs/{}/events",
    "model": "/models/{}",
    "cursor": "/files?after={}",
}


@pytest.mark.parametrize("what", PATHS)
def test_anothers_id_takes_as_long_as_nobodys(service, trained, size, tried, what):
    count = size(100, 2000)
    theirs = {"file": trained.training_file, "cursor": trained.training_file, "model": trained.fine_tuned_model}
    id_ = theirs.get(what, trained.id)
    service.client("stranger")
    headers = {"authorization": f"Bearer {service.keys['stranger']}"}
    asked = mixed([id_] * count, [id_[:-8] + secrets.token_hex(4) for _ in range(count)])
    times = {True: [], False: []}
    with httpx2.Client(base_url=service.url, headers=headers, trust_env=False) as http:
        for _ in range(10):  # to warm up
            http.get(PATHS[what].format("x"))
        for is_theirs, id_ in asked:
            path = PATHS[what].format(id_)
            times[is_theirs].append(took(lambda path=path: http.get(path)))
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
    nearly_right = [key[:-2] + secrets.token_urlsafe(2)[:2] for _ in range(count)]
    far_off = [key[:9] + secrets.token_urlsafe(40)[: len(key) - 9] for _ in range(count)]
    guesses = [(nearly, wrong) for nearly, wrong in mixed(nearly_right, far_off) if wrong != key]

    async def guess():
        assert (await door.identify(key)).name == "ada"
        for nearly, wrong in guesses:
            begun = time.perf_counter()
            assert await door.identify(wrong) is None
            times[nearly].append(time.perf_counter() - begun)

    asyncio.run(guess())
    store.close()
    found = advantage(times[True], times[False])
    tried(
        "telling a key that is nearly right by the time of the answer",
        f"2 x {count:,} guesses, right {found:.1%}",
        0,
    )
    assert abs(found - 0.5) < bound(count), f"right in {found:.1%} of the cases"
