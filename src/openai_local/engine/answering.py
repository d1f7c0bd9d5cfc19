"""Answers, through llama.cpp inside this process.

One llama.cpp server per base model holds the base once and up to `MOST_ADAPTERS` adapters; each request says
which adapter counts. A model that is not loaded yet gets a new server with its adapter added, which takes about
a second; requests that the old server is still answering finish there, and then it is gone.

llama.cpp's server also opens a port on the loopback address. Nobody is given its key, which is random and known
to this process only.

Left out: a bound on how many bases are loaded at once (there is one).
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

import xllamacpp

from openai_local.errors import LocalError

MOST_ADAPTERS = 8
CONTEXT_TOKENS = 4096
SLOTS = 4

Emit = Callable[[dict[str, Any]], bool]
"""Receives one chunk of a streamed answer; returns True to stop."""


class AnswerError(LocalError):
    """llama.cpp refused a request. `status` is the HTTP status it would have sent, `code` OpenAI's word for it."""

    def __init__(self, message: str, status: int, code: str | None = None) -> None:
        super().__init__(message)
        self.status, self.code = status, code


@dataclass(frozen=True)
class Target:
    """What to ask: a base model's GGUF file and, for a fine-tune, its adapter."""

    gguf: Path
    adapter: Path | None = None


@dataclass(frozen=True)
class _Loaded:
    server: Any
    adapters: tuple[Path, ...]


class Answering:
    """The models that are loaded. Its methods may be called from several threads at once."""

    def __init__(self) -> None:
        """Nothing is loaded yet. `on_load` is called each time llama.cpp took over SIGINT and SIGTERM."""
        self.on_load: Callable[[], object] = lambda: None
        self._loaded: dict[Path, _Loaded] = {}
        self._lock = Lock()

    def complete(self, target: Target, request: dict[str, Any], *, chat: bool = False) -> dict[str, Any]:
        """Answer a request in the form of llama.cpp's server, whole.

        Raises:
            AnswerError: llama.cpp refuses it.
        """
        loaded = self._load(target)
        handle = loaded.server.handle_chat_completions if chat else loaded.server.handle_completions
        return _checked(handle(self._address(loaded, target, request)))

    def stream(self, target: Target, request: dict[str, Any], emit: Emit, *, chat: bool = False) -> None:
        """Answer a request chunk by chunk. Returns when the answer is over or `emit` returns True.

        Raises:
            AnswerError: llama.cpp refuses it; nothing was emitted then.
        """
        loaded = self._load(target)
        handle = loaded.server.handle_chat_completions if chat else loaded.server.handle_completions
        refused: list[dict[str, Any]] = []

        def receive(chunk: dict[str, Any]) -> bool:
            if "error" in chunk:
                refused.append(chunk)
                return True
            return emit(chunk)

        handle({**self._address(loaded, target, request), "stream": True}, receive)
        for chunk in refused:
            _checked(chunk)

    def close(self) -> None:
        """Stop every server."""
        with self._lock:
            self._loaded.clear()

    def _address(self, loaded: _Loaded, target: Target, request: dict[str, Any]) -> dict[str, Any]:
        scales = [
            {"id": number, "scale": 1.0 if adapter == target.adapter else 0.0}
            for number, adapter in enumerate(loaded.adapters)
        ]
        return {**request, "lora": scales}

    def _load(self, target: Target) -> _Loaded:
        with self._lock:
            loaded = self._loaded.get(target.gguf)
            adapters = loaded.adapters if loaded else ()
            if loaded and (target.adapter is None or target.adapter in adapters):
                return loaded
            if target.adapter:
                kept = [adapter for adapter in adapters if adapter.exists()]
                adapters = (target.adapter, *kept[: MOST_ADAPTERS - 1])
            loaded = _Loaded(_start(target.gguf, adapters), adapters)
            self._loaded[target.gguf] = loaded
            self.on_load()
            return loaded


def _checked(answer: dict[str, Any]) -> dict[str, Any]:
    error = answer.get("error") or (answer if "message" in answer else None)
    if not error:
        return answer
    if error.get("type") == "exceed_context_size_error":
        message = (
            f"This model's maximum context length is {error['n_ctx']} tokens, but the prompt has "
            f"{error['n_prompt_tokens']}. Shorten it."
        )
        raise AnswerError(message, 400, "context_length_exceeded")
    raise AnswerError(error["message"], int(error.get("code", 500)))


def _start(gguf: Path, adapters: tuple[Path, ...]) -> Any:
    params = xllamacpp.CommonParams()
    params.model.path = str(gguf)
    params.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(str(adapter), 0.0) for adapter in adapters]
    params.lora_init_without_apply = True
    params.n_ctx, params.n_parallel, params.kv_unified = CONTEXT_TOKENS, SLOTS, True
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = min(8, os.cpu_count() or 1)
    params.cache_ram_mib = 64
    params.warmup = False
    params.verbosity = -1
    params.hostnames, params.port, params.n_threads_http = ["127.0.0.1"], 0, 1
    params.api_keys, params.ui, params.endpoint_slots = [secrets.token_urlsafe(32)], False, False
    try:
        return xllamacpp.Server(params)
    except RuntimeError:
        raise LocalError(
            f"llama.cpp could not load {gguf} with the adapters {[str(a) for a in adapters]}."
        ) from None
