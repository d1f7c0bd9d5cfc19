"""One llama.cpp server inside this process: a base model, some adapters, and one answer at a time.

The server has a single slot. llama.cpp's slots would share the work of one model, but on a processor that gains
little: thirty tokens at once take nearly as long as one after the other. And the answers would then depend on each
other, because sums are rounded differently in company. Those who ask at once get servers of their own instead
(`openai_local.engine.lanes`); the system shows all of them the same copy of the base model's file.

llama.cpp's server also listens, at a socket file that only this user can reach (`openai_local.engine.sockets`).
Nobody is given its key, which is random and known to this process only.
"""

from __future__ import annotations

import secrets
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import xllamacpp

from openai_local.engine.loopback import Loopback
from openai_local.engine.sockets import SOCKETS
from openai_local.errors import LocalError

CONTEXT_TOKENS = 4096


@dataclass(eq=False)
class Server:
    """A server that runs, as long as anybody holds `handle`.

    `adapters` are those that it can answer with, in llama.cpp's order; `loopback` asks its small questions.
    `asker` had the last answer. What llama.cpp remembers of that prompt makes the next one quicker if it begins
    alike, and that must not tell anybody what somebody else has asked. `socket` is the file where it listens.
    """

    handle: Any
    adapters: tuple[Path, ...]
    loopback: Loopback
    asker: str | None = None
    socket: Path | None = None

    @property
    def reachable(self) -> bool:
        """Whether its small questions can be asked. Some systems delete old files where its socket lies."""
        return self.socket is None or self.socket.exists()


def start(gguf: Path, adapters: Sequence[Path], threads: int) -> Server:
    """Start a server. This takes about half a second.

    Args:
        gguf: the base model's file.
        adapters: the files of the fine-tunes that it may be asked for.
        threads: how many threads work on an answer.

    Raises:
        LocalError: a file is not sound, or llama.cpp can't load it.
    """
    from openai_local.engine.soundness import require_sound  # late: numpy takes a moment, and a service must start

    require_sound(gguf, adapters)
    params, key = xllamacpp.CommonParams(), secrets.token_urlsafe(32)
    params.model.path = str(gguf)
    params.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(str(adapter), 0.0) for adapter in adapters]
    params.lora_init_without_apply = True
    params.n_ctx, params.n_parallel, params.kv_unified = CONTEXT_TOKENS, 1, True
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
    params.fit_params = False  # else it reads the model twice, to see what of it fits on a graphics card
    params.cache_ram_mib = 0  # what it remembers of a prompt is for one asker, and forgotten with the next
    params.warmup = False
    params.verbosity = -1
    params.prefill_assistant = False  # an answer is a new message, even after one of the assistant
    socket = SOCKETS.new()
    params.hostnames, params.port, params.n_threads_http = [str(socket or "127.0.0.1")], 0, 1
    params.api_keys, params.ui, params.endpoint_slots = [key], False, False
    try:
        handle = xllamacpp.Server(params)
    except RuntimeError:
        raise LocalError(
            f"llama.cpp could not load {gguf} with the adapters {[str(a) for a in adapters]}."
        ) from None
    loopback = Loopback(handle.listening_address, key)
    loopback.wait_for_loop()  # a server that is let go of before its loop has begun would never end
    server = Server(handle, tuple(adapters), loopback, socket=socket)
    if socket:
        weakref.finalize(server, socket.unlink, missing_ok=True)
    return server
