"""llama.cpp's small questions: the chat template, tokens, texts, the size of the vocabulary.

xllamacpp passes on the answers of llama.cpp's server, but not these. They are asked over the loopback port that
the server opens anyway, with the key that only this process knows.
"""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from dataclasses import dataclass
from functools import cached_property
from typing import Any

# Never through a proxy: the address is on this machine.
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))
_SECONDS = 60


class LoopbackError(Exception):
    """llama.cpp refused a question; the message is its own."""


@dataclass
class Loopback:
    """The loopback port of one llama.cpp server."""

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
        request = urllib.request.Request(self.address + path, data, headers)
        try:
            return _answer(request)
        except OSError:  # the machine slept for longer than the time-out, perhaps; then the next try goes well
            return _answer(request)


def _answer(request: urllib.request.Request) -> Any:
    try:
        with _OPENER.open(request, timeout=_SECONDS) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        raise LoopbackError(_message(error.read())) from None


def _message(answer: bytes) -> str:
    try:
        return str(json.loads(answer)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return answer.decode(errors="replace")
