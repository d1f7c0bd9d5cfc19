"""Connections: nobody can take all file handles with them, and who says nothing is hung up on."""

import asyncio
import contextlib
import json
import socket
import sys
from urllib.parse import urlsplit

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.responses import StreamingResponse
from starlette.routing import Route

from openai_local.service import connections

HANDLES, LET_IN = 600, 300
SILENT_SECONDS = 0.5
LINE = b'{"prompt": "a", "completion": " b"}\n'


@pytest.mark.skipif(sys.platform != "linux", reason="the limit of another process can be set on Linux only")
def test_connections_are_refused_before_files_can_not_be_opened(new_service):
    resource = pytest.importorskip("resource")
    service = new_service()
    client = service.client()
    assert client.models.list().data
    resource.prlimit(service.process.pid, resource.RLIMIT_NOFILE, (HANDLES, HANDLES))
    address = urlsplit(service.url)
    with contextlib.ExitStack() as stack:
        lines = [
            stack.enter_context(socket.create_connection((address.hostname, address.port), timeout=5))
            for _ in range(LET_IN + 50)
        ]
        head, _, body = _all_of(lines[-1]).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 429 Too Many Requests\r\n") and b"retry-after: 5" in head.lower()
        assert set(json.loads(body)["error"]) == {"message", "type", "param", "code"}
        file = client.files.create(file=("a.jsonl", LINE), purpose="fine-tune")
        assert client.files.content(file.id).content == LINE
    with service.client().with_options(max_retries=5) as newcomer:
        assert newcomer.models.list().data, "there is room again"


@pytest.mark.parametrize("said", [b"", b"GET / HT", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n12"])
def test_who_owes_the_rest_of_a_request_is_hung_up_on(monkeypatch, said):
    assert _served(monkeypatch, said) == b""


def test_who_waits_for_an_answer_owes_nothing(monkeypatch):
    assert _served(monkeypatch, b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").endswith(b"0\r\n\r\n")


async def _slow(request):
    """An answer in pieces that takes longer than a client may be silent."""
    await request.body()

    async def pieces():
        for _ in range(4):
            await asyncio.sleep(SILENT_SECONDS / 2)
            yield b"a piece"

    return StreamingResponse(pieces())


def _served(monkeypatch, said):
    """All that is answered until the service hangs up, which it must do by itself."""
    monkeypatch.setattr(connections, "SILENT_SECONDS", SILENT_SECONDS)

    async def call():
        app = Starlette(routes=[Route("/", _slow, methods=["GET", "POST"])])
        server = uvicorn.Server(uvicorn.Config(app, http=connections.Connection, log_level="critical"))
        with socket.create_server(("127.0.0.1", 0)) as listener:
            serving = asyncio.ensure_future(server.serve(sockets=[listener]))
            reader, writer = await asyncio.open_connection(*listener.getsockname())
            writer.write(said)
            answer = await asyncio.wait_for(reader.read(), 10 * SILENT_SECONDS)
            writer.close()
            server.should_exit = True
            await serving
        return answer

    return asyncio.run(call())


def _all_of(line):
    answer = b""
    while came := line.recv(65536):
        answer += came
    return answer
