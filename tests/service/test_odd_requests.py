"""Requests that try to be two, to be somebody else's, or to end up elsewhere; and what they leave in the log."""

import json
import socket
import subprocess
import sys
import time
from urllib.parse import urlsplit

import httpx2
import pytest

from conftest import Service


@pytest.fixture(scope="module")
def logged(tmp_path_factory, tiny_cache):
    """A service behind a prefix, and the file with what it says."""
    folder = tmp_path_factory.mktemp("logged")
    service = Service(folder / "home", tiny_cache)
    words = [sys.executable, "-m", "openai_local", "serve", "--port", "0", "--prefix", "/lesson"]
    with (folder / "log").open("wb") as log:
        service.process = subprocess.Popen(
            words, env=service.environment, stdout=subprocess.PIPE, stderr=log, text=True
        )
    service.url = service.process.stdout.readline().strip()
    service.client("ada")
    yield service, folder / "log"
    service.stop()


@pytest.fixture
def send(logged):
    """Send pieces of bytes, a moment after each other. Returns all that was answered until the service hung up."""
    service, _ = logged
    address = urlsplit(service.url)

    def send(*pieces):
        with socket.create_connection((address.hostname, address.port), timeout=5) as line:
            for piece in pieces:
                text = piece.replace("HOST", address.netloc).replace("KEY", service.keys["ada"])
                line.sendall(text.replace("\n", "\r\n").encode("latin-1"))
                time.sleep(0.1 if len(pieces) > 1 else 0)
            answer = b""
            while came := line.recv(65536):
                answer += came
        return answer.decode()

    return send


SECOND = "GET /lesson/health HTTP/1.1\nHost: HOST\nConnection: close\n\n"
"""What a request would carry past a proxy that takes it for a part of the first one's body."""


@pytest.mark.parametrize(
    "lengths",
    [
        "Content-Length: 4\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\nContent-Length: 4",
        "Transfer-Encoding:\tchunked\ncontent-length: 0",
        "Transfer-Encoding: chunked\nTransfer-Encoding: identity",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding: identity, chunked",
        "Transfer-Encoding : chunked",
        "Content-Length: 4\nContent-Length: 5",
        "Content-Length: +5",
        "Content-Length: 0x5",
        "Content-Length: 5 5",
        "Content-Length: 1_0",
    ],
)
@pytest.mark.parametrize("key", ["", "Authorization: Bearer KEY\n"])
def test_a_request_is_one(send, lengths, key):
    """Where it ends can be read in one way only. Else the connection ends with it (400, or 501 for a coding)."""
    answer = send(f"POST /lesson/v1/completions HTTP/1.1\nHost: HOST\n{key}{lengths}\n\n0\n\n{SECOND}")
    head, _, body = answer.partition("\r\n\r\n")
    assert answer.count("HTTP/1.1 ") == 1 and '"ok"' not in answer
    assert (
        head.split()[1] == "400" and "connection: close" in head.lower() and json.loads(body)["error"]["message"]
    )


@pytest.mark.parametrize("header", ["X: a\rY: b", "X: a\x00b", "X: a\x0bb\x7f\x01", "X\x00: a", " X: a", "X"])
def test_a_header_is_one(send, header):
    answer = send(f"GET /lesson/health HTTP/1.1\n{header}\nHost: HOST\n\n")
    assert answer.startswith("HTTP/1.1 400 ") and answer.count("HTTP/1.1 ") == 1


def test_the_second_of_two_keys_does_not_help(send):
    both = "Authorization: Bearer x\nAuthorization: Bearer KEY\nX-Api-Key: KEY\nProxy-Authorization: Bearer KEY"
    assert send(f"GET /lesson/v1/models HTTP/1.1\nHost: HOST\n{both}\nConnection: close\n\n").split()[1] == "401"


@pytest.mark.parametrize(
    "name", ["X-Original-URL", "X-Rewrite-URL", "X-Forwarded-Prefix", "X-HTTP-Method-Override"]
)
def test_what_proxies_write_means_nothing(send, name):
    """Neither another path, nor another method, nor a key that somebody else has checked."""
    more = f"{name}: /lesson/v1/models\nX-Forwarded-User: ada\nRemote-User: ada\nX-Forwarded-Host: evil.example"
    answer = send(f"GET /lesson/health HTTP/1.1\nHost: HOST\n{more}\nConnection: close\n\n")
    assert answer.split()[1] == "200" and "smollm" not in answer and "evil" not in answer
    answer = send(f"GET /lesson/v1/models HTTP/1.1\nHost: HOST\n{more}\nConnection: close\n\n")
    assert answer.split()[1] == "401" and "evil" not in answer


def test_who_guesses_keys_can_not_be_somebody_else_each_time(logged):
    """Each user of the machine can write what a proxy of this machine would write."""
    service, _ = logged
    begun = time.monotonic()
    with httpx2.Client(base_url=service.url, trust_env=False) as http:
        for number in range(8):
            forged = {"x-forwarded-for": f"192.0.2.{number}", "forwarded": f"for=192.0.2.{number}"}
            assert http.get("/models", headers=forged | {"authorization": "Bearer x"}).status_code == 401
    assert time.monotonic() - begun > 0.1 + 0.2 + 0.4


@pytest.mark.parametrize("path", ["/v1", "/v1/files/", "/health/", "/page/main.js/", "//evil.example/..", "/", ""])
@pytest.mark.parametrize("key", ["", "Authorization: Bearer KEY\n"])
def test_nobody_is_sent_elsewhere(send, path, key):
    """An answer never names an address that was made of what the request says. Else a key would go there too."""
    answer = send(f"GET /lesson{path} HTTP/1.1\nHost: HOST\n{key}X-Forwarded-Proto: http\nConnection: close\n\n")
    lines = [line for line in answer.lower().splitlines() if line.startswith("location:")]
    assert lines == (["location: /lesson/"] if path == "" else [])


@pytest.mark.parametrize(
    "path", ["/v1/%0A", "/v1/x%0A/y", "/v1/models%0A", "/v1/%0D%0Ax", "/v1/%00", "/v1/%E2%80%A8x"]
)
def test_an_odd_path_wants_a_key_too(send, path):
    assert send(f"GET /lesson{path} HTTP/1.1\nHost: HOST\nConnection: close\n\n").split()[1] == "401"


@pytest.mark.parametrize("method", ["OPTIONS", "TRACE", "CONNECT", "PUT", "PATCH", "PROPFIND", "get"])
def test_other_methods_do_nothing(send, method):
    for path in ("models", "files", "fine_tuning/jobs", "class", "completions"):
        asked = f"{method} /lesson/v1/{path} HTTP/1.1\nHost: HOST\nAuthorization: Bearer KEY\nX-Odd: sent"
        answer = send(f"{asked}\nConnection: close\n\n")
        assert answer.split()[1] == "405" and "X-Odd" not in answer and "access-control" not in answer.lower()


def test_a_head_tells_what_a_get_tells_without_its_body(send):
    for path, status in (("models", "200"), ("files/x", "404"), ("completions", "405")):
        answer = send(
            f"HEAD /lesson/v1/{path} HTTP/1.1\nHost: HOST\nAuthorization: Bearer KEY\nConnection: close\n\n"
        )
        assert answer.split()[1] == status and answer.endswith("\r\n\r\n")
    assert send("HEAD /lesson/v1/models HTTP/1.1\nHost: HOST\nConnection: close\n\n").split()[1] == "401"


@pytest.mark.parametrize("protocol", ["websocket", "h2c"])
@pytest.mark.parametrize("key", ["", "Authorization: Bearer KEY\n"])
def test_the_protocol_stays_what_it_is(send, protocol, key):
    """Also where a library for web sockets is installed."""
    upgrade = f"Upgrade: {protocol}\nConnection: Upgrade, close\nSec-WebSocket-Version: 13\n"
    upgrade += "Sec-WebSocket-Key: eHh4eHh4eHh4eHh4eHh4eA==\n"
    for path in ("/v1/models", "/", "/nothing"):
        assert send(f"GET /lesson{path} HTTP/1.1\nHost: HOST\n{key}{upgrade}\n").split()[1] in (
            "200",
            "401",
            "404",
        )


def test_none_of_it_fills_the_log(logged, send):
    """It needs no key to send such things; so a line for each would fill the disk of whoever runs the service."""
    _, log = logged
    chunked = "POST /lesson/v1/completions HTTP/1.1\nHost: HOST\nTransfer-Encoding: chunked\n\n"
    for pieces in (
        ["x\n\n"],
        [chunked, "ZZ\n"],
        [f"{chunked}5\nabcdeZZ\n"],
        [chunked, "5\nabcdeZZ\n"],
        [f"{chunked}g\n"],
    ):
        assert send(*pieces).split()[1] in ("400", "401")
    assert log.read_text() == ""
