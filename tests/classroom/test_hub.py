"""A JupyterHub's tokens as keys, against a small server that says what a Hub says about tokens."""

import asyncio
import hashlib
import json
import logging
import secrets
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from openai_local.classroom import hub
from openai_local.classroom.hub import HubDoor, name_of
from openai_local.errors import LocalError
from openai_local.service.auth import PREFIX, Identity
from openai_local.service.errors import APIError

MAY = ["access:services!service=openai"]


def user(name="ada", scopes=MAY, **others):
    """What the Hub says of a token's owner."""
    return {"kind": "user", "name": name, "admin": False, "groups": [], "scopes": [*scopes], **others}


class Hub(ThreadingHTTPServer):
    """Answers ``/hub/api/user``."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Asked)
        self.tokens, self.asked, self.pause, self.instead = {}, Counter(), 0.0, None
        self.api = f"http://127.0.0.1:{self.server_port}/hub/api"

    def knows(self, **owner):
        """A new token, 32 hexadecimal digits as the Hub's own are."""
        token = secrets.token_hex(16)
        self.tokens[token] = user(**owner)
        return token

    def handle_error(self, *_):
        """Some callers leave before the answer."""


class Asked(BaseHTTPRequestHandler):
    def do_GET(self):
        kind, _, token = self.headers["Authorization"].partition(" ")
        assert (self.path, kind) == ("/hub/api/user", "token")
        self.server.asked[token] += 1
        time.sleep(self.server.pause)
        model = self.server.tokens.get(token)
        status, body = (200, json.dumps(model)) if model else (403, '{"status": 403, "message": "Forbidden"}')
        status, body = self.server.instead or (status, body)
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_):
        pass


@pytest.fixture
def a_hub():
    with Hub() as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
        yield server
        server.shutdown()


def door_of(server):
    return HubDoor(server.api, "openai", instructors=frozenset({"instructors"}))


def identify(server, *keys):
    """What one door says to each key, all brought at the same time: an identity, None, or the error."""

    async def ask():
        door = door_of(server)
        return await asyncio.gather(*map(door.identify, keys), return_exceptions=True)

    return asyncio.run(ask())


def test_a_token_is_its_owners(a_hub):
    ada, bob = a_hub.knows(name="ada"), a_hub.knows(name="bob")
    assert identify(a_hub, bob, ada) == [Identity("bob"), Identity("ada")]


def test_a_token_that_the_hub_does_not_know(a_hub):
    assert identify(a_hub, secrets.token_hex(16)) == [None]


@pytest.mark.parametrize(
    ("facts", "instructor"),
    [
        ({"admin": True}, True),
        ({"groups": ["course-7", "instructors"]}, True),
        ({"groups": ["course-7"]}, False),
        ({"scopes": [*MAY, "admin:users"]}, False),
    ],
)
def test_who_is_an_instructor(a_hub, facts, instructor):
    assert identify(a_hub, a_hub.knows(**facts)) == [Identity("ada", instructor)]


@pytest.mark.parametrize(
    ("scopes", "may"),
    [
        (MAY, True),
        (["access:services"], True),
        (["access:services!service=grader"], False),
        (["access:servers!user=ada", "read:users:name!user=ada"], False),
        ([], False),
    ],
)
def test_only_a_token_for_this_service_opens_it(a_hub, scopes, may):
    (said,) = identify(a_hub, a_hub.knows(admin=True, scopes=scopes))
    if may:
        assert said == Identity("ada", True)
    else:
        assert isinstance(said, APIError) and said.status == 403
        assert "not for this service" in str(said) and "access:services!service=openai" in str(said)


def test_a_service_is_nobody(a_hub):
    (said,) = identify(a_hub, a_hub.knows(kind="service", name="cull-idle", admin=True))
    assert isinstance(said, APIError) and said.status == 403


def test_what_is_no_token_is_never_sent(a_hub):
    keys = [PREFIX + secrets.token_urlsafe(32), "", "abc", "x" * 300, "a token\nof mine, too long", "é" * 20]
    assert identify(a_hub, *keys) == [None] * len(keys)
    assert not a_hub.asked


def test_calls_at_the_same_time_share_one_question(a_hub):
    a_hub.pause, token, other = 0.3, a_hub.knows(), a_hub.knows(name="bob")
    said = identify(a_hub, *[token] * 50, other)
    assert said == [Identity("ada")] * 50 + [Identity("bob")]
    assert a_hub.asked == {token: 1, other: 1}


def test_a_caller_who_leaves_takes_no_answer_away(a_hub):
    a_hub.pause, token = 0.3, a_hub.knows()

    async def ask():
        door = door_of(a_hub)
        first, second = (asyncio.create_task(door.identify(token)) for _ in range(2))
        await asyncio.sleep(0.1)
        first.cancel()
        return await second

    assert asyncio.run(ask()) == Identity("ada")
    assert a_hub.asked[token] == 1


def test_the_hubs_word_counts_for_a_while(a_hub, monkeypatch):
    """A token that is revoked is known a little longer; one that is new, unknown a little longer."""
    monkeypatch.setattr(hub, "KNOWN_SECONDS", 0.4)
    monkeypatch.setattr(hub, "UNKNOWN_SECONDS", 0.2)
    revoked, new = a_hub.knows(), secrets.token_hex(16)

    async def ask():
        door = door_of(a_hub)
        assert [await door.identify(revoked), await door.identify(new)] == [Identity("ada"), None]
        a_hub.tokens = {new: user("bob")}
        assert [await door.identify(revoked), await door.identify(new)] == [Identity("ada"), None]
        await asyncio.sleep(0.25)
        assert [await door.identify(revoked), await door.identify(new)] == [Identity("ada"), Identity("bob")]
        await asyncio.sleep(0.2)
        assert [await door.identify(revoked), await door.identify(new)] == [None, Identity("bob")]

    asyncio.run(ask())
    assert (hub.KNOWN_SECONDS, a_hub.asked) == (0.4, {revoked: 2, new: 2})


def test_only_so_many_answers_are_kept_and_none_with_its_token(a_hub, monkeypatch):
    monkeypatch.setattr(hub, "MOST_KEPT", 3)
    tokens = [a_hub.knows(name=f"learner{n}") for n in range(5)]

    async def ask():
        door = door_of(a_hub)
        for token in tokens:
            await door.identify(token)
        return door

    door = asyncio.run(ask())
    assert list(door._kept) == [hashlib.sha256(token.encode()).hexdigest() for token in tokens[2:]]
    assert not any(token in repr(vars(door)) for token in tokens)


@pytest.mark.parametrize(
    "instead",
    [
        (500, "oh"),
        (503, "{}"),
        (404, "{}"),
        (429, "{}"),
        (302, ""),
        (200, "<html>"),
        (200, "{}"),
        (200, "[]"),
        (200, "null"),
        (200, '{"kind": "user", "name": "ada", "admin": true}'),
        (200, '{"kind": "user", "name": null, "admin": true, "groups": [], "scopes": ["access:services"]}'),
        (200, '{"kind": "user", "name": "ada", "admin": true, "groups": null, "scopes": 3}'),
    ],
)
def test_a_hub_that_says_something_else(a_hub, instead, caplog):
    """Nobody comes in, nobody is told that their token is wrong, and the next call asks again."""
    caplog.set_level(logging.DEBUG)
    token = a_hub.knows(name="ada")

    async def ask():
        door = door_of(a_hub)
        a_hub.instead = instead
        with pytest.raises(APIError) as error:
            await door.identify(token)
        a_hub.instead = None
        return error.value, await door.identify(token)

    error, after = asyncio.run(ask())
    assert (error.status, error.headers, after) == (503, {"retry-after": "5"}, Identity("ada"))
    assert "JupyterHub" in str(error)
    assert token not in f"{error!r} {error.__cause__} {error.body()} {caplog.text}"


def test_a_hub_that_is_not_there(a_hub):
    a_hub.shutdown()
    a_hub.server_close()
    (said,) = identify(a_hub, a_hub.knows())
    assert isinstance(said, APIError) and said.status == 503 and "does not answer" in str(said)


def test_a_hub_that_takes_too_long(a_hub, monkeypatch):
    monkeypatch.setattr(hub, "ANSWER_SECONDS", 0.1)
    a_hub.pause = 0.5
    (said,) = identify(a_hub, a_hub.knows())
    assert isinstance(said, APIError) and said.status == 503


def test_a_proxy_that_is_set_is_not_asked(a_hub, monkeypatch):
    """A token goes to the Hub and to nobody else."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    assert identify(a_hub, a_hub.knows()) == [Identity("ada")]


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("ada", "ada"),
        ("Ada_L-7+x", "Ada_L-7+x"),
        ("ada@uni.example", "ada@uni.example"),
        ("ada lovelace", "ada=20lovelace"),
        ("a:b", "a=3Ab"),
        ("a=3Ab", "a=3D3Ab"),
        ("zoë", "zo=C3=AB"),
    ],
)
def test_names_suit_the_names_of_models(name, written):
    assert name_of(name) == written


def test_the_hubs_variables(monkeypatch):
    variables = {
        "JUPYTERHUB_API_URL": "http://127.0.0.1:8081/hub/api",
        "JUPYTERHUB_SERVICE_NAME": "openai",
        "JUPYTERHUB_SERVICE_PREFIX": "/services/openai/",
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert HubDoor.from_environment().prefix == "/services/openai"
    for name in variables:
        with monkeypatch.context() as without:
            without.delenv(name)
            with pytest.raises(LocalError, match=f"{name} is not set"):
                HubDoor.from_environment()


def test_other_groups_may_be_the_instructors(a_hub, monkeypatch):
    monkeypatch.setenv("JUPYTERHUB_API_URL", a_hub.api + "/")
    monkeypatch.setenv("JUPYTERHUB_SERVICE_NAME", "openai")
    monkeypatch.setenv("JUPYTERHUB_SERVICE_PREFIX", "/services/openai/")

    def instructors(named):
        monkeypatch.setenv("OPENAI_LOCAL_INSTRUCTORS", named)
        keys = [a_hub.knows(groups=[group]) for group in ("staff", "tutors", "instructors")]

        async def ask():
            door = HubDoor.from_environment()
            return [(await door.identify(key)).instructor for key in keys]

        return asyncio.run(ask())

    assert instructors("staff, tutors") == [True, True, False]
    assert instructors("") == [False, False, False]
