"""llama.cpp's small questions: the chat template, tokens, texts, the size of the vocabulary.

xllamacpp passes on the answers of llama.cpp's server, but not these. They are asked where the server listens
anyway, at a socket file or a loopback port, with the key that only this process knows.
"""

from __future__ import annotations

import http.client
import json
import socket
import urllib.error
import urllib.request
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

_SECONDS = 60


class LoopbackError(Exception):
    """llama.cpp refused a question; the message is its own."""


@dataclass
class Loopback:
    """Where one llama.cpp server listens: ``http://127.0.0.1:…`` or ``unix:///…``."""

    address: str
    key: str

    def wait_for_loop(self) -> None:
        """Wait until the thread works that answers come from: the question for adapters goes through it."""
        self._ask("/lora-adapters")

    def template(self, messages: list[dict[str, str]]) -> str:
        """The prompt that a conversation becomes, up to where the assistant speaks."""
        return self._ask("/apply-template", {"messages": messages})["prompt"]

    def tokenize(self, text: str) -> list[int]:
        """The tokens of a text, as for a prompt: names of control tokens count as such."""
        return self._ask("/tokenize", {"content": text, "add_special": True, "parse_special": True})["tokens"]

    def detokenize(self, tokens: list[int]) -> str:
        """The text of tokens; bytes that are no text become U+FFFD."""
        return self._ask("/detokenize", {"tokens": tokens})["content"]

    @cached_property
    def vocabulary(self) -> int:
        """How many tokens there are."""
        return self._ask("/v1/models")["data"][0]["meta"]["n_vocab"]

    def _ask(self, path: str, body: dict[str, Any] | None = None) -> Any:
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        address = "http://llama" if self._file else self.address
        request = urllib.request.Request(address + path, data, headers)  # noqa: S310 - llama.cpp's own
        try:
            return self._answer(request)
        except OSError:  # the machine slept for longer than the time-out, perhaps; then the next try goes well
            return self._answer(request)

    def _answer(self, request: urllib.request.Request) -> Any:
        try:
            with self._opener.open(request, timeout=_SECONDS) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise LoopbackError(_message(error.read())) from None

    @property
    def _file(self) -> str:
        return self.address.removeprefix("unix://") if self.address.startswith("unix://") else ""

    @cached_property
    def _opener(self) -> urllib.request.OpenerDirector:
        """Never through a proxy: the address is on this machine."""
        direct = urllib.request.ProxyHandler({})
        return urllib.request.build_opener(direct, *([_Files(self._file)] if self._file else []))


class _Files(urllib.request.HTTPHandler):
    """Opens requests at a socket file."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self._path = path

    def http_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(partial(_Connection, self._path), request)


class _Connection(http.client.HTTPConnection):
    """A connection to a socket file."""

    def __init__(self, path: str, host: str, **more: Any) -> None:
        super().__init__(host, **more)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def _message(answer: bytes) -> str:
    try:
        return str(json.loads(answer)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return answer.decode(errors="replace")
