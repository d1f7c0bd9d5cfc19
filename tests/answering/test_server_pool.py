"""Who is answered by which server, with servers that only remember what they were started with."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from openai_local.answering import server_pool as module
from openai_local.answering.llama_server import Server
from openai_local.answering.server_pool import LANE_BYTES, LANES, WIDE_BYTES, Lanes
from openai_local.errors import LocalError

SECONDS = 10


@pytest.fixture
def threads():
    """The threads of each server that was started."""
    return []


@pytest.fixture
def started(monkeypatch, threads):
    """The adapters of each server that was started; those called "damaged" can't be."""
    started, used = [], threads

    def start(gguf, adapters, threads):
        if any(adapter.name == "damaged" for adapter in adapters):
            raise LocalError("damaged")
        started.append([adapter.name for adapter in adapters])
        used.append(threads)
        return Server(object(), tuple(adapters), "", "")

    monkeypatch.setattr(module, "start", start)
    monkeypatch.setattr(module, "cores", lambda: 2)
    return started


@pytest.fixture
def adapters(tmp_path):
    """Makes files for adapters, as large as is said."""

    def make(names, size=1000):
        paths = [tmp_path / name for name in names]
        for path in paths:
            with path.open("wb") as file:
                file.truncate(size)
        return paths

    return make


@pytest.fixture
def lanes(tmp_path, started):
    """Beside a training: nobody gets all cores."""
    return Lanes(tmp_path / "base", lambda: None, lambda: False)


@pytest.fixture
def calm(tmp_path, started):
    return Lanes(tmp_path / "base", lambda: None, lambda: True)


def ask(lanes, adapter=None):
    with lanes.take(adapter) as server:
        assert adapter is None or adapter in server.adapters
        return server


class Holding:
    """Requests that hold their lanes until they are told to let go; each in a thread of its own."""

    def __init__(self, lanes):
        self.lanes, self.pool, self.order, self.gates = lanes, ThreadPoolExecutor(32), [], {}

    def ask(self, name, adapter, waits=False):
        """Ask, and return when the request has its lane, or waits for one."""
        gate, has = self.gates.setdefault(name, threading.Event()), threading.Event()

        def hold():
            with self.lanes.take(adapter):
                self.order.append(name)
                has.set()
                assert gate.wait(SECONDS)

        before = len(self.lanes._waiting)
        self.pool.submit(hold)
        end = time.monotonic() + SECONDS
        while not (len(self.lanes._waiting) > before if waits else has.is_set()):
            assert time.monotonic() < end, f"{name} neither waits nor is answered"
            time.sleep(0.001)

    def let_go(self, *names):
        for name in names or self.gates:
            self.gates[name].set()

    def end(self):
        self.let_go()
        self.pool.shutdown()


@pytest.fixture
def holding(lanes):
    holding = Holding(lanes)
    yield holding
    holding.end()


def test_one_learner_needs_one_lane_and_switches_without_loading(lanes, started, adapters):
    a, b, c = adapters("abc")
    for adapter in (None, a, b, c):
        ask(lanes, adapter)
    assert started == [[], ["a"], ["b", "a"], ["c", "b", "a"]]
    for adapter in (a, None, c, b):
        ask(lanes, adapter)
    assert len(started) == 4


def test_who_asks_many_models_alone_loads_each_once(calm, started, adapters):
    all_ = adapters("abcdefgh", WIDE_BYTES // 9)
    for adapter in all_ * 3:
        ask(calm, adapter)
    assert len(started) == len(all_)


def test_who_asks_alone_has_all_cores(calm, started, threads, adapters):
    a, b = adapters("ab")
    for adapter in (a, b, a, None):
        ask(calm, adapter)
    assert started == [["a"], ["b", "a"]] and threads == [2, 2]
    with calm.take(a), calm.take(a), calm.take(None):
        assert started[2:] == [["a"], []] and threads[2:] == [1, 1], "not any more, when others come"


def test_those_who_ask_at_once_have_servers_of_their_own(lanes, started, adapters, holding):
    a, b = adapters("ab")
    holding.ask("first", a)
    holding.ask("second", b)
    holding.ask("base", None)
    assert started == [["a"], ["b"], []]


def test_the_same_adapter_is_loaded_again_only_for_a_core_that_has_nothing_to_do(
    lanes, started, adapters, holding
):
    (a,) = adapters("a")
    holding.ask("one", a)
    holding.ask("two", a)
    holding.ask("three", a, waits=True)
    assert started == [["a"], ["a"]]
    holding.let_go("one")
    holding.end()
    assert holding.order == ["one", "two", "three"] and len(started) == 2


def test_the_adapters_of_those_who_wait_are_loaded_together(lanes, started, adapters, holding):
    names = [f"{number}" for number in range(LANES + 5)]
    for number, adapter in enumerate(adapters(names)):
        holding.ask(str(number), adapter, waits=number >= LANES)
    assert started == [[name] for name in names[:LANES]]
    holding.let_go("0")
    while len(holding.order) <= LANES:
        time.sleep(0.001)
    assert started[LANES] == ["6", "7", "8", "0"], "half of those who wait; the others are for another lane"
    holding.end()
    assert sorted(holding.order) == sorted(names)


def test_who_waits_is_answered_in_the_order_of_coming(lanes, started, holding):
    for number in range(LANES + 4):
        holding.ask(number, None, waits=number >= LANES)
    for number in range(LANES + 4):
        holding.let_go(number)
        while len(holding.order) < min(LANES + 4, LANES + number + 1):
            time.sleep(0.001)
    assert holding.order[LANES:] == list(range(LANES, LANES + 4))


def test_adapters_have_bounded_room_and_the_one_asked_longest_ago_leaves(lanes, started, adapters):
    three = adapters([f"{number}" for number in range(3 * LANES + 1)], LANE_BYTES // 3)
    for adapter in three:
        ask(lanes, adapter)
    assert all(len(names) <= 3 for names in started)
    assert started[-1] == [three[-1].name, "2", "1"], "all lanes were full, and 0 was asked longest ago"


def test_one_that_is_larger_than_the_room_is_loaded_alone(lanes, started, adapters):
    (small,), (large,) = adapters(["small"]), adapters(["large"], 2 * LANE_BYTES)
    ask(lanes, small)
    ask(lanes, large)
    assert ["large"] in started


def test_adapters_that_were_deleted_are_not_loaded_again(lanes, started, adapters):
    a, b = adapters("ab")
    ask(lanes, a)
    a.unlink()
    ask(lanes, b)
    assert started == [["a"], ["b"]]


def test_a_damaged_adapter_troubles_only_those_who_ask_for_it(lanes, started, adapters, holding):
    a, damaged = adapters(["a", "damaged"])
    with pytest.raises(LocalError):
        ask(lanes, damaged)
    for number in range(LANES):
        holding.ask(number, None)
    holding.ask("good", a, waits=True)
    failing = holding.pool.submit(ask, lanes, damaged)
    holding.let_go()
    with pytest.raises(LocalError):
        failing.result(SECONDS)
    holding.end()
    assert "good" in holding.order


def test_small_questions_wait_for_nobody(lanes, started, holding):
    server = lanes.any()
    for number in range(LANES):
        holding.ask(number, None)
    assert lanes.any() is server
