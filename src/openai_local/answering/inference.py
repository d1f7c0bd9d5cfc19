"""Answers, through llama.cpp inside this process.

Each base model has its llama.cpp servers (`server_pool`); each request takes one of them for itself,
and says which adapter counts. Of several base models, the `MOST_BASES` that were asked last stay.

A request is that of llama.cpp's ``/v1/completions``. It may have `messages` in place of a prompt; then the model's
chat template makes the prompt. llama.cpp's own ``/v1/chat/completions`` is not used: it looks for tool calls and
thoughts in the answer, and fails where a small model writes something that only resembles them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

from openai_local.answering.llama_server import CONTEXT_TOKENS, SOCKETS, AnswerError, Server
from openai_local.answering.server_pool import GoneError, Lanes, here
from openai_local.models.base_models import file_state

MOST_BASES = 2
_FORCE = 1e4  # added to a token's logit, it beats every other

Emit = Callable[[dict[str, Any]], bool]  # receives one chunk of a streamed answer; returns True to stop


@dataclass(frozen=True)
class Target:
    """What to ask: a base model's GGUF file and, for a fine-tune, its adapter; and who asks."""

    gguf: Path
    adapter: Path | None = None
    asker: str | None = None


class Answering:
    """The models that are loaded. Its methods may be called from several threads at once."""

    def __init__(self) -> None:
        """Nothing is loaded yet."""
        self.on_load: Callable[[], object] = lambda: None  # called when llama.cpp took over SIGINT and SIGTERM
        self.calm: Callable[[], bool] = lambda: True  # nothing else needs the cores: one answer may have them all
        self._lanes: dict[tuple[Path | int, ...], Lanes] = {}
        self._lock = Lock()

    def complete(self, target: Target, request: dict[str, Any]) -> dict[str, Any]:
        """Answer a request in the form of llama.cpp's server, whole. Raises `AnswerError` if it is refused."""
        with self._servers(target).take(target.adapter) as server:
            return _complete(server, target, request)

    def stream(self, target: Target, request: dict[str, Any], emit: Emit, gone: Callable[[], bool] = here) -> None:
        """Answer such a request chunk by chunk. Returns when the answer is over or `emit` returns True.

        While it waits, `gone` says whether whoever asked left (`GoneError`). Raises `AnswerError` if refused.
        """
        refused: list[dict[str, Any]] = []

        def receive(chunk: dict[str, Any]) -> bool:
            if "error" in chunk:
                refused.append(chunk)
                return True
            return emit(chunk)

        with self._servers(target).take(target.adapter, gone) as server:
            streamed = {**_address(server, target, request), "stream": True}
            _call(server.handle.handle_completions, streamed, receive)
        for chunk in refused:
            _checked(chunk)

    def text(self, target: Target, tokens: list[int]) -> str:
        """The text of tokens."""
        return self._servers(target).any().detokenize(tokens)

    def prompt(self, target: Target, messages: list[dict[str, str]]) -> str:
        """The prompt that a conversation becomes."""
        return self._servers(target).any().template(messages)

    def tokens(self, target: Target, text: str) -> list[int]:
        """The tokens of a text."""
        return self._servers(target).any().tokenize(text)

    def check_tokens(self, target: Target, tokens: Sequence[int], param: str) -> None:
        """Raise `AnswerError`, naming `param`, if one of them is not a token of the model."""
        size = self._servers(target).any().vocabulary
        for token in tokens:
            if not 0 <= token < size:
                message = f"Invalid '{param}': {token} is not a token of this model, which has 0 to {size - 1}."
                raise AnswerError(message, 400, "invalid_value", param)

    def takes_schema(self, target: Target, schema: dict[str, Any]) -> bool:
        """Whether llama.cpp can hold an answer to a JSON schema.

        It does not say so: with a schema that it does not understand, it answers freely. So it is told to say "#",
        which begins no JSON, and where it obeys, the schema had no effect.
        """
        forced = {self.tokens(target, "#")[0]: _FORCE}
        request = {**_one_token([0], forced), "json_schema": schema}
        try:
            return self.complete(target, request)["choices"][0]["text"] != "#"
        except AnswerError:
            return False

    def score(
        self, target: Target, tokens: list[int], most: int, gone: Callable[[], bool] = here
    ) -> list[dict[str, Any]]:
        """Each token after the first with its log-probability, as llama.cpp gives them for what it wrote itself.

        With each come the likeliest, `most` of them. llama.cpp has nothing for prompts. So it is asked for one
        token after each part of the prompt, and forced to say the one that comes; its probabilities are those from
        before the forcing. This takes about as long as to write the prompt. Raises `AnswerError`: the prompt is
        too long; `GoneError`: whoever asked has left.
        """
        if len(tokens) >= CONTEXT_TOKENS:
            raise _too_long(CONTEXT_TOKENS, len(tokens))
        scores = []
        with self._servers(target).take(target.adapter, gone) as server:
            for end in range(1, len(tokens)):
                if gone():
                    raise GoneError
                scores.append(_score(server, target, tokens[:end], tokens[end], most))
        return scores

    def close(self) -> None:
        """Stop every server."""
        with self._lock:
            self._lanes.clear()
        SOCKETS.close()

    def _servers(self, target: Target) -> Lanes:
        with self._lock:
            file: tuple[Path | int, ...] = (target.gguf, *file_state(target.gguf))
            lanes = self._lanes.pop(file, None) or Lanes(target.gguf, lambda: self.on_load(), lambda: self.calm())
            self._lanes[file] = lanes  # the one asked last stands last
            for old in [*self._lanes][:-MOST_BASES]:
                del self._lanes[old]
            return lanes


def _complete(server: Server, target: Target, request: dict[str, Any]) -> dict[str, Any]:
    return _checked(_call(server.handle.handle_completions, _address(server, target, request)))


def _score(server: Server, target: Target, before: list[int], token: int, most: int) -> dict[str, Any]:
    forced = _one_token(before, {token: _FORCE}) | {"logprobs": most}
    answer = _complete(server, target, forced)["choices"][0]
    if answer["logprobs"]:
        return answer["logprobs"]["content"][0]
    # A part of a character only: llama.cpp keeps silent about it, but lists it among the others.
    silent = _one_token(before, {server.tokenize("#")[0]: _FORCE}) | {"logprobs": 1 << 20}
    every = _complete(server, target, silent)["choices"][0]["logprobs"]["content"][0]["top_logprobs"]
    entry = next(entry for entry in every if entry["id"] == token)
    return {**entry, "top_logprobs": every[:most]}


def _address(server: Server, target: Target, request: dict[str, Any]) -> dict[str, Any]:
    """The request with its prompt, and with the adapter that counts. Nobody gains by what another has asked."""
    request = dict(request)
    if messages := request.pop("messages", None):
        request["prompt"] = server.template(messages)
    scales = [
        {"id": number, "scale": 1.0 if adapter == target.adapter else 0.0}
        for number, adapter in enumerate(server.adapters)
    ]
    known, server.asker = server.asker == target.asker, target.asker
    return {**request, "lora": scales, "cache_prompt": known and request.get("cache_prompt", True)}


def _one_token(prompt: list[int], bias: dict[int, float]) -> dict[str, Any]:
    return {
        "prompt": prompt,
        "max_tokens": 1,
        "temperature": 0,
        "samplers": ["temperature"],
        "logit_bias": [[token, value] for token, value in bias.items()],
    }


def _call(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call llama.cpp. xllamacpp hands on some refusals as exceptions: bad input as `ValueError`."""
    try:
        return function(*arguments)
    except ValueError as error:
        raise AnswerError(str(error), 400) from None
    except RuntimeError as error:
        raise AnswerError(str(error), 500) from None


def _checked(answer: dict[str, Any]) -> dict[str, Any]:
    error = answer.get("error") or (answer if "message" in answer else None)
    if not error:
        return answer
    if error.get("type") == "exceed_context_size_error":
        raise _too_long(error["n_ctx"], error["n_prompt_tokens"])
    raise AnswerError(error["message"], int(error.get("code", 500)))


def _too_long(most: int, tokens: int) -> AnswerError:
    message = f"This model's maximum context length is {most} tokens, but the prompt has {tokens}. Shorten it."
    return AnswerError(message, 400, "context_length_exceeded")
