"""Pages of others are turned away, and guessing keys takes time."""

import asyncio
import time

import pytest
from starlette.testclient import TestClient

from openai_local.home import Home
from openai_local.service.app import Settings, create_app
from openai_local.service.auth import Patience
from openai_local.service.trusted_hosts import ANY, LOOPBACK


@pytest.fixture
def enter(tiny_cache, tmp_path):
    """Makes callers of a service that goes by some names."""
    stores = []

    def make(names=LOOPBACK):
        app = create_app(Home.open(tmp_path), tiny_cache, Settings(names=names))
        stores.append(app.state.context.store)
        return TestClient(app, base_url="http://127.0.0.1:8765")

    yield make
    for store in stores:
        store.close()


@pytest.mark.parametrize(
    "host", ["127.0.0.1:8765", "localhost:8765", "LOCALHOST", "[::1]:8765", "192.0.2.7:8765", "localhost.:8765"]
)
def test_it_answers_to_its_names_and_to_numbers(enter, host):
    assert enter().get("/health", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example:8765", "127.0.0.1.evil.example", "localhost.evil.example", "", "[::1", "@", "a b"]
)
def test_a_name_that_suddenly_means_this_machine_is_turned_away(enter, host):
    for path in ("/", "/health", "/v1/models", "/page/main.js"):
        answer = enter().get(path, headers={"host": host})
        assert answer.status_code == 403 and answer.json()["error"]["code"] == "forbidden"


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:9999", "http://[::1", ""])
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "OPTIONS"])
def test_pages_of_other_addresses_are_turned_away(enter, origin, method):
    answer = enter().request(method, "/v1/models", headers={"origin": origin})
    assert answer.status_code == 403
    assert not [name for name in answer.headers if name.startswith("access-control-")]


def test_its_own_page_may_ask(enter):
    answer = enter().post("/v1/completions", headers={"origin": "http://127.0.0.1:8765"})
    assert answer.status_code == 401, "only the key is missing"


def test_behind_a_proxy_the_name_that_was_given_counts(enter):
    http = enter(LOOPBACK | {"lesson.example.org"})
    assert http.get("/health", headers={"host": "lesson.example.org"}).status_code == 200
    origin = {"origin": "https://lesson.example.org"}
    assert http.post("/v1/completions", headers=origin).status_code == 401
    assert http.post("/v1/completions", headers={"origin": "https://evil.example"}).status_code == 403


def test_where_the_names_are_not_known_the_origin_still_counts(enter):
    http = enter(frozenset({ANY}))
    assert http.get("/health", headers={"host": "hub.example.org"}).status_code == 200
    hub = {"host": "hub.example.org"}
    assert http.post("/v1/completions", headers=hub | {"origin": "http://hub.example.org"}).status_code == 401
    assert http.post("/v1/completions", headers=hub | {"origin": "http://evil.example"}).status_code == 403


def test_guessing_takes_longer_and_longer(enter):
    http, took = enter(), []
    for number in range(9):
        begun = time.monotonic()
        assert http.get("/v1/models", headers={"authorization": f"Bearer {number}"}).status_code == 401
        took.append(time.monotonic() - begun)
    assert max(took[:5]) < 0.1 < took[6] < took[8]


async def _waits(patience, address, monkeypatch):
    waited = []

    async def sleep(seconds):
        waited.append(seconds)

    monkeypatch.setattr("openai_local.service.auth.asyncio.sleep", sleep)
    for _ in range(30):
        await patience.wait(address)
    return waited


def test_nobody_waits_for_ever_or_for_others(monkeypatch):

    patience = Patience()
    waited = asyncio.run(_waits(patience, "192.0.2.1", monkeypatch))
    assert waited[0] == pytest.approx(0.1) and max(waited) == 5.0 and len(waited) == 25
    assert len(asyncio.run(_waits(patience, "192.0.2.2", monkeypatch))) == 25, "each address begins anew"
