"""`openai-local keys`: made, listed, renewed and revoked, while the service runs."""

import json
import time

import openai
import pytest
from starlette.testclient import TestClient

from openai_local.cli import main
from openai_local.home import Home
from openai_local.service.app import create_app
from openai_local.service.store import Store


@pytest.fixture
def keys(tmp_path, capsys):
    """Call the command on a home of its own; returns what it printed, or its error."""

    def call(*words, home=tmp_path):
        code = main(["keys", *words, "--home", str(home)])
        said = capsys.readouterr()
        assert (code == 0) == (not said.err) and "Traceback" not in said.err
        return (said.out or said.err).strip()

    return call


def asks(service, key):
    return openai.OpenAI(base_url=service.url, api_key=key, max_retries=0).models.list().data


def test_a_key_counts_at_once_and_so_does_its_end(service, keys):
    first = keys("new", "kay", home=service.home)
    assert asks(service, first)
    second = keys("renew", "kay", home=service.home)
    assert second != first and "\n" not in second and asks(service, second)
    with pytest.raises(openai.AuthenticationError):
        asks(service, first)
    assert "1 key(s) of kay" in keys("revoke", "kay", home=service.home)
    with pytest.raises(openai.AuthenticationError):
        asks(service, second)


def test_the_list_tells_all_but_the_key(tiny_cache, tmp_path, keys):
    made = [keys("new", "ada"), keys("new", "chief", "--instructor")]
    with TestClient(create_app(Home.open(tmp_path), tiny_cache)) as http:  # its end writes down what is new
        assert http.get("/v1/models", headers={"Authorization": f"Bearer {made[1]}"}).is_success
    found = json.loads(keys("list", "--json"))
    assert [(key["name"], key["role"]) for key in found] == [("ada", "learner"), ("chief", "instructor")]
    assert found[0]["used_at"] is None and abs(found[1]["used_at"] - time.time()) < 60
    table = keys("list")
    heading, ada, chief = table.splitlines()
    assert heading.split() == ["NAME", "ID", "ROLE", "MADE", "LAST", "USED"]
    assert found[0]["id"] in ada and ada.endswith("never") and "instructor" in chief
    assert not any(key in table or key[9:] in json.dumps(found) for key in made)


def test_renewing_keeps_the_role_and_ends_all_keys_of_the_name(keys):
    for _ in range(2):
        keys("new", "chief", "--instructor")
    keys("new", "ada")
    keys("renew", "chief")
    assert [(key["name"], key["role"]) for key in json.loads(keys("list", "--json"))] == [
        ("ada", "learner"),
        ("chief", "instructor"),
    ]


def test_one_key_is_revoked_by_its_id(keys, tmp_path):
    for _ in range(2):
        keys("new", "ada")
    store = Store(Home.open(tmp_path).database)
    first, second = store.keys()
    keys("revoke", first.id)
    assert store.keys() == [second]
    store.close()


def test_what_is_not_there_is_said(keys):
    assert "keys new NAME" in keys("list") and json.loads(keys("list", "--json")) == []
    keys("new", "ada-lovelace")
    for action in ("renew", "revoke"):
        assert "no key of ada-lovelac. Is it ada-lovelace?" in keys(action, "ada-lovelac")
        assert "Is it" not in keys(action, "zz")
    assert len(json.loads(keys("list", "--json"))) == 1
    assert "letters, digits" in keys("new", "a b")
