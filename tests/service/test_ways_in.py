"""Ways in without a key, tried on a service that listens: requests byte by byte, as no client would send them."""

import json
import socket
from urllib.parse import urlsplit

import httpx2
import pytest
from starlette.routing import Mount, Route

from openai_local.home import Home
from openai_local.service.app import create_app
from openai_local.service.trusted_hosts import HEADERS

OPEN = {"/health", "/", "/page/{name}"}
"""What answers without a key: whether the service lives, and the page, which holds nothing of anybody."""


@pytest.fixture
def send(service):
    """Send bytes to the service. Returns the status, the headers and the body of its answer."""

    def send(text, **places):
        address = urlsplit(service.url)
        host = f"{address.hostname}:{address.port}"
        text = text.replace("HOST", host).replace("\n", "\r\n")
        with socket.create_connection((address.hostname, address.port), timeout=10) as line:
            line.sendall(text.encode("latin-1") + b"\r\n\r\n")
            answer = b""
            while piece := line.recv(65536):
                answer += piece
        head, _, body = answer.decode("latin-1").partition("\r\n\r\n")
        first, *lines = head.split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines)
        return int(first.split()[1]), headers, body

    return send


def routes(app):
    """Each path of the service, with its methods."""
    for route in app.routes:
        inner = route.routes if isinstance(route, Mount) else [route]
        for each in inner:
            assert isinstance(each, Route), f"{each} is a way in that no test knows"
            yield (route.path if isinstance(route, Mount) else "") + each.path, each.methods or {"GET"}


@pytest.fixture
def paths(tmp_path, tiny_cache):
    app = create_app(Home.open(tmp_path), tiny_cache)
    yield dict.fromkeys(path for path, _ in routes(app)), list(routes(app))
    app.state.context.store.close()


def test_every_route_wants_a_key(service, paths, tried):
    """All that there are, in all methods, without a key and with wrong ones."""
    known, all_ = paths
    assert set(known) >= OPEN, "the list of what is open is older than the service"
    address, count = service.url.removesuffix("/v1"), 0
    with httpx2.Client(base_url=address, trust_env=False) as http:
        for path, methods in all_:
            if path in OPEN:
                continue
            for method in methods | {"PUT", "PATCH", "OPTIONS", "HEAD"}:
                where = path.replace("{id}", "x").replace("{id:path}", "x")
                answer = http.request(method, where)
                assert answer.status_code == 401, f"{method} {path}"
                assert method == "HEAD" or "didn't provide an API key" in answer.text
                count += 1
    tried("routes without a key", f"{count} requests", 0)


def test_nothing_changes_by_a_get(paths):
    """A picture or a link in a page can't change anything, even where somebody's key went along."""
    changing = ("create", "delete", "cancel", "pause", "resume", "first", "last", "complete")
    app_routes = paths[1]
    reading = [path for path, methods in app_routes if methods <= {"GET", "HEAD"}]
    assert not [path for path in reading if path.rsplit("/", 1)[-1] in changing]
    assert all(methods <= {"GET", "HEAD"} or methods in ({"POST"}, {"DELETE"}) for _, methods in app_routes)


@pytest.mark.parametrize(
    "path",
    [
        "/v1//models",
        "//v1/models",
        "/v1/./models",
        "/page/../v1/models",
        "/health/../v1/models",
        "/%76%31/models",
        "/v1%2Fmodels",
        "/V1/models",
        "/v1/models;/health",
        "/health/v1/models",
        "/v1/models?/health",
        "/v1/models%00",
        "/page/..%2f..%2fservice%2fapp.py",
        "/page/%2e%2e/%2e%2e/pyproject.toml",
        "/page//etc/passwd",
        "http://HOST/v1/models",
        "http://evil.example/v1/models",
        "*",
    ],
)
def test_a_path_in_disguise_gets_nothing(send, path):
    status, _, body = send(f"GET {path} HTTP/1.1\nHost: HOST\nConnection: close")
    assert status in (400, 401, 404), body
    assert "smollm" not in body.lower()


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("Host: HOST", 401),
        ("", 400),
        ("Host:", 403),
        ("Host: HOST\nHost: evil.example", 400),
        ("Host: evil.example\nHost: HOST", 400),
        ("Host: evil.example", 403),
        ("Host: evil.example\nX-Forwarded-Host: 127.0.0.1\nForwarded: host=127.0.0.1", 403),
        ("Host: 127.0.0.1.evil.example", 403),
        ("Host: localhost.evil.example", 403),
        ("Host: evil.example.", 403),
        ("Host: EVIL.example", 403),
        ("Host: 127.0.0.1@evil.example", 403),
        ("Host: evil.example#127.0.0.1", 403),
        ("Host: evil.example/127.0.0.1", 403),
        ("Host: [::ffff:evil]", 403),
        ("Host: 127.1", 403),
        ("Host: 0x7f000001", 403),
        ("Host: HOST\nOrigin: null", 403),
        ("Host: HOST\nOrigin: http://evil.example", 403),
        ("Host: HOST\nOrigin: http://HOST.evil.example", 403),
        ("Host: HOST\nOrigin: http://HOST@evil.example", 403),
        ("Host: HOST\nOrigin: http://localhost:9", 403),
        ("Host: HOST\nOrigin: http://HOST\nOrigin: http://evil.example", 403),
        ("Host: HOST\nOrigin: file://", 403),
        ("Host: HOST\nOrigin: http://HOST", 401),
        ("Host: HOST\nSec-Fetch-Site: cross-site\nSec-Fetch-Mode: no-cors\nSec-Fetch-Dest: script", 403),
        ("Host: HOST\nSec-Fetch-Site: same-site\nSec-Fetch-Mode: no-cors\nSec-Fetch-Dest: image", 403),
        ("Host: HOST\nSec-Fetch-Site: cross-site\nSec-Fetch-Mode: navigate\nSec-Fetch-Dest: iframe", 403),
        ("Host: HOST\nSec-Fetch-Site: cross-site\nSec-Fetch-Mode: navigate\nSec-Fetch-Dest: document", 401),
        ("Host: HOST\nSec-Fetch-Site: same-origin\nSec-Fetch-Mode: cors", 401),
        ("Host: HOST\nAuthorization: Bearer", 401),
        ("Host: HOST\nAuthorization: Basic QWRhOg==", 401),
        ("Host: HOST\nCookie: key=x\nX-Api-Key: x", 401),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_who_asks_is_seen_in_the_request(send, method, lines, expected):
    """The web server refuses a broken request (400), the guard another's page, and the rest has no key."""
    length = "\nContent-Length: 0" if method == "POST" else ""
    status, headers, _ = send(
        f"{method} /v1/models HTTP/1.1\n{lines}\nConnection: close{length}".replace("\n\n", "\n")
    )
    assert status == expected
    assert not [name for name in headers if name.startswith("access-control-")]


def test_a_form_of_another_page_is_turned_away(send):
    """A form needs no leave to be sent (no "preflight"), so it must fail by what it says of itself."""
    for kind in ("multipart/form-data; boundary=x", "text/plain", "application/x-www-form-urlencoded"):
        form = f"POST /v1/files HTTP/1.1\nHost: HOST\nOrigin: http://evil.example\nContent-Type: {kind}"
        assert send(f"{form}\nContent-Length: 0\nConnection: close")[0] == 403


def test_there_are_no_websockets(send):
    upgrade = "Connection: Upgrade\nUpgrade: websocket\nSec-WebSocket-Version: 13\n"
    upgrade += "Sec-WebSocket-Key: eHh4eHh4eHh4eHh4eHh4eA=="
    for path in ("/", "/v1/models", "/health"):
        status, headers, _ = send(f"GET {path} HTTP/1.0\nHost: HOST\n{upgrade}")
        assert status != 101 and "sec-websocket-accept" not in headers


def test_each_answer_is_for_nobody_else(service):
    """No other page may show or read it, and the browser keeps none of it."""
    service.client()
    mine = {"authorization": f"Bearer {service.keys['tester']}"}
    address = service.url.removesuffix("/v1")
    with httpx2.Client(base_url=address, trust_env=False) as http:
        for path, headers in [("/v1/models", mine), ("/v1/models", {}), ("/health", {}), ("/nothing", {})]:
            answer = http.get(path, headers=headers)
            assert {name: answer.headers[name] for name in HEADERS} == HEADERS, path
        page = http.get("/")
        assert (
            page.headers["x-frame-options"] == "DENY"
            and "frame-ancestors 'none'" in page.headers["content-security-policy"]
        )
        assert page.headers["referrer-policy"] == "no-referrer" and page.headers["cache-control"] == "no-cache"
        assert "script-src 'self';" in page.headers["content-security-policy"]
        file = http.post(
            "/v1/files", headers=mine, files={"file": ("x.jsonl", b"<script>")}, data={"purpose": "fine-tune"}
        )
        content = http.get(f"/v1/files/{json.loads(file.text)['id']}/content", headers=mine)
        assert content.headers["content-type"] == "application/octet-stream"
        assert (
            content.headers["x-content-type-options"] == "nosniff"
            and "sandbox" in content.headers["content-security-policy"]
        )
        assert http.delete(f"/v1/files/{json.loads(file.text)['id']}", headers=mine).status_code == 200
