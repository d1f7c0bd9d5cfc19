"""llama.cpp's small questions, asked of something that stands in for it."""

import faulthandler
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from openai_local.answering import llama_server


@pytest.fixture
def slow():
    """Answers, but the first time late."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            asked.append(self.path)
            self.rfile.read(int(self.headers["content-length"]))
            if len(asked) == 1:
                time.sleep(0.5)
            body = json.dumps({"tokens": [7]}).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield llama_server.Server(None, (), f"http://127.0.0.1:{server.server_port}", "key"), asked
    server.shutdown()
    server.server_close()


def test_a_machine_that_slept_asks_again(slow, monkeypatch):
    """After an hour of sleep the time-out is over, though llama.cpp had no time to answer."""
    monkeypatch.setattr(llama_server, "_SECONDS", 0.2)
    asking, asked = slow
    assert asking.tokenize("x") == [7] and asked == ["/tokenize", "/tokenize"]


def test_a_server_that_is_let_go_of_at_once_ends(tiny_cache):
    """llama.cpp's would hang for ever, and hold up all Python threads, if its loop had not begun yet."""
    gguf = next(tiny_cache.rglob("*.gguf"))
    faulthandler.dump_traceback_later(120, exit=True)  # such a hang can't be interrupted
    try:
        for _ in range(200):
            llama_server.start(gguf, [], 1)
    finally:
        faulthandler.cancel_dump_traceback_later()
