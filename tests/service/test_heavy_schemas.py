"""A schema of a few hundred letters can't keep a core busy, fill the memory, or end the service for everybody."""

import time

import httpx2
import psutil
import pytest

LIST = {"type": "array", "items": {"type": "string"}}
TEXT = {"type": "string", "maxLength": 5}


def pattern(number):
    return {"type": "string", "pattern": f"^(a|b)*a(a|b){{{number}}}$"}


def chain(count):
    """Each pattern below the one before."""
    below = {f"p{at}": {"$ref": f"#/$defs/p{at - 1}", **pattern(at)} for at in range(1, count)}
    return {"$defs": {"p0": pattern(0), **below}, "$ref": f"#/$defs/p{count - 1}"}


HEAVY = {
    "a list of a billion": {**LIST, "minItems": 10**9, "maxItems": 10**9},
    "at most a billion": {**LIST, "maxItems": 1e9},
    "far down": {"anyOf": [{"type": "object", "properties": {"a": {**LIST, "maxItems": 10**6}}}]},
    "many that are long": {"type": "array", "prefixItems": [{**LIST, "maxItems": 1000 + at} for at in range(200)]},
    "less than none": {"anyOf": [{**LIST, "maxItems": 10**9}, {**LIST, "minItems": -(10**9)}]},
    "what can't be counted": {**LIST, "maxItems": 1e308, "minItems": 10**400},
    "names that are a number": {"type": "object", "patternProperties": 7, "pattern": 7, "minItems": []},
    "patterns that all hold": {"allOf": [pattern(at) for at in range(2, 60)]},
    "patterns of names": {
        "type": "object",
        "patternProperties": {f"^(a|b)*{at}$": {"type": "string"} for at in range(1000)},
    },
    "one below the other": chain(30),
    "brackets in brackets": {"type": "string", "pattern": "(" * 40_000 + ")" * 40_000},
    "around in a circle": {"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"},
    "another file": {"$ref": "file:///etc/hostname"},
}


@pytest.fixture(scope="module")
def ask(service):
    service.client("schemer")
    headers = {"authorization": f"Bearer {service.keys['schemer']}"}
    with httpx2.Client(base_url=service.url, headers=headers, trust_env=False, timeout=30) as http:

        def ask(schema):
            """The answer to a request with a schema, in the chat's form and in that of responses."""
            messages = [{"role": "user", "content": "x"}]
            form = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
            chat = {"model": "ada", "messages": messages, "response_format": form, "max_tokens": 3}
            text = {"format": {"type": "json_schema", "name": "x", "schema": schema}}
            response = {"model": "ada", "input": "x", "text": text, "max_output_tokens": 3}
            return http.post("/chat/completions", json=chat), http.post("/responses", json=response)

        ask({"type": "object"})
        yield ask


@pytest.mark.parametrize("schema", HEAVY.values(), ids=HEAVY)
def test_a_schema_that_is_too_much_is_refused_at_once(ask, service, schema):
    process = psutil.Process(service.process.pid)
    begun, before = time.monotonic(), process.memory_info().rss
    for answer in ask(schema):
        assert answer.status_code == 400 and answer.json()["error"]["code"] == "invalid_json_schema"
    assert time.monotonic() - begun < 5 and process.memory_info().rss - before < 200_000_000


@pytest.mark.parametrize(
    "schema",
    [
        {**LIST, "minItems": 1, "maxItems": 4000},
        {"type": "object", "properties": {"pattern": TEXT, "minItems": TEXT, "patternProperties": TEXT}},
        {"type": "object", "properties": {f"p{at}": pattern(at) for at in range(10)}},
    ],
)
def test_others_are_held_to(ask, schema):
    for answer in ask(schema):
        assert answer.status_code == 200, answer.text
