"""One llama.cpp server inside this process: a base model, some adapters, and one answer at a time.

The server has a single slot. llama.cpp's slots would share the work of one model, but on a processor that gains
little: thirty tokens at once take nearly as long as one after the other. And the answers would then depend on
each other, because sums are rounded differently in company. Those who ask at once get servers of their own
instead (`server_pool`); the system shows all of them the same copy of the base model's file.

llama.cpp's server also listens, at a socket file in a folder that only this user can enter. Nobody is given its
key, which is random and known to this process only. A port on the loopback address is open to every user of the
machine, and to pages in a browser. llama.cpp asks for its key there. But it tells everybody that it lives, and
whoever connects and says nothing keeps its one thread busy. On Windows, and where no folder has a path that is
short enough for a socket, it is a port all the same.

xllamacpp passes on the answers of llama.cpp's server, but not its small questions (the chat template, tokens,
texts, the size of the vocabulary). They are asked where the server listens.
"""

import contextlib
import http.client
import itertools
import json
import os
import secrets
import shutil
import socket
import sys
import tempfile
import weakref
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from threading import RLock
from typing import Any

import xllamacpp
from filelock import FileLock, Timeout

from openai_local.errors import LocalError

CONTEXT_TOKENS = 4096
_SECONDS = 60
_PREFIX = "openai-local-"
_LONGEST = 100  # bytes that a socket's path may have: four less than where it may have the fewest, on macOS


class AnswerError(LocalError):
    """llama.cpp can't answer: with the HTTP status for it, OpenAI's code, and the parameter that is to blame."""

    def __init__(self, message: str, status: int, code: str | None = None, param: str | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.param = status, code, param


@dataclass(eq=False)
class Server:
    """A server that runs, as long as anybody holds `handle`. Its methods are llama.cpp's small questions.

    `adapters` are those that it can answer with, in llama.cpp's order. It listens at the `address`
    ``http://127.0.0.1:…`` or ``unix:///…``; then `socket` is the file. `asker` had the last answer. What llama.cpp
    remembers of that prompt makes the next one quicker if it begins alike, and that must not tell anybody what
    somebody else has asked.
    """

    handle: Any
    adapters: tuple[Path, ...]
    address: str
    key: str
    socket: Path | None = None
    asker: str | None = None

    @property
    def reachable(self) -> bool:
        """Whether its small questions can be asked. Some systems delete old files where its socket lies."""
        return self.socket is None or self.socket.exists()

    def template(self, messages: list[dict[str, str]]) -> str:
        """The prompt that a conversation becomes, up to where the assistant speaks."""
        return self.ask("/apply-template", {"messages": messages})["prompt"]

    def tokenize(self, text: str) -> list[int]:
        """The tokens of a text, as for a prompt: names of control tokens count as such."""
        return self.ask("/tokenize", {"content": text, "add_special": True, "parse_special": True})["tokens"]

    def detokenize(self, tokens: list[int]) -> str:
        """The text of tokens; bytes that are no text become U+FFFD."""
        return self.ask("/detokenize", {"tokens": tokens})["content"]

    @cached_property
    def vocabulary(self) -> int:
        """How many tokens there are."""
        return self.ask("/v1/models")["data"][0]["meta"]["n_vocab"]

    def ask(self, path: str, body: dict[str, Any] | None = None) -> Any:
        """What llama.cpp says to a question. Raises `AnswerError` if it is refused."""
        try:
            return self._answer(path, body)
        except OSError:  # the machine slept for longer than the time-out, perhaps; then the next try goes well
            return self._answer(path, body)

    def _answer(self, path: str, body: dict[str, Any] | None) -> Any:
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        with contextlib.closing(_Connection(self.address)) as connection:
            connection.request("POST" if data else "GET", path, data, headers)
            answer = connection.getresponse()
            content = answer.read()
        if answer.status != http.HTTPStatus.OK:
            raise AnswerError(_message(content), 400)
        return json.loads(content)


def start(gguf: Path, adapters: Sequence[Path], threads: int) -> Server:
    """Start a server for a base model and the adapters that it may be asked for. This takes about half a second.

    So many threads work on an answer. Raises `LocalError` if a file is not sound, or llama.cpp can't load it.
    """
    from openai_local.models.adapter import require_sound  # late: numpy takes a moment, and a service must start

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
    file = SOCKETS.new()
    params.hostnames, params.port, params.n_threads_http = [str(file or "127.0.0.1")], 0, 1
    params.api_keys, params.ui, params.endpoint_slots = [key], False, False
    try:
        handle = xllamacpp.Server(params)
    except RuntimeError:
        message = f"llama.cpp could not load {gguf} with the adapters {[str(a) for a in adapters]}."
        raise LocalError(message) from None
    server = Server(handle, tuple(adapters), handle.listening_address, key, file)
    # The question for adapters goes through the thread that answers come from, and so waits until that works: a
    # server that is let go of before its loop has begun would never end.
    server.ask("/lora-adapters")
    if file:
        weakref.finalize(server, file.unlink, missing_ok=True)
    return server


class _Connection(http.client.HTTPConnection):
    """A connection to a loopback port or a socket file."""

    def __init__(self, address: str) -> None:
        kind, _, place = address.partition("://")
        self._file = place if kind == "unix" else ""
        super().__init__("llama" if self._file else place, timeout=_SECONDS)

    def connect(self) -> None:
        if not self._file:
            return super().connect()
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._file)


def _message(answer: bytes) -> str:
    try:
        return str(json.loads(answer)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return answer.decode(errors="replace")


class Sockets:
    """The socket files of one process. Its methods may be called from several threads at once."""

    def __init__(self) -> None:
        self._lock, self._numbers = RLock(), itertools.count(1)
        self._folder: Path | None = None  # made when somebody asks for a path
        self._held: FileLock | None = None

    def new(self) -> Path | None:
        """A path for a socket that is not there yet, or None if there can be none."""
        if sys.platform == "win32":
            return None
        with self._lock:
            if self._folder is None or not self._folder.is_dir():  # what cleans up /tmp may have taken it
                self.close()
                self._make()
            return self._folder and self._folder / f"{next(self._numbers)}.sock"

    def close(self) -> None:
        """Remove the folder; the next path lies in a new one."""
        with self._lock:
            if self._folder and self._held:
                self._held.release()
                shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = self._held = None

    def _make(self) -> None:
        for parent in [*_parents()] * 2:  # twice, as another process may take a new folder for one that was left
            with contextlib.suppress(OSError):
                _clear(parent)
                folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
                held = FileLock(folder / "lock", timeout=0, thread_local=False)
                held.acquire()
                self._folder, self._held = folder, held
                return


def _parents() -> Iterator[Path]:
    """Folders whose paths are short enough. The session's own is the last: it goes when the user logs out."""
    for parent in (os.environ.get("TMPDIR"), f"{os.sep}tmp", os.environ.get("XDG_RUNTIME_DIR")):
        if parent and len(os.fsencode(parent)) + len(f"/{_PREFIX}12345678/123456.sock") <= _LONGEST:
            yield Path(parent)


def _clear(parent: Path) -> None:
    """Remove what processes of this user left that were killed. A living one holds its lock."""
    for folder in parent.glob(f"{_PREFIX}????????"):
        with contextlib.suppress(OSError, Timeout):
            if folder.lstat().st_uid == os.getuid() and (folder / "lock").exists():
                with FileLock(folder / "lock", timeout=0):
                    shutil.rmtree(folder, ignore_errors=True)


SOCKETS = Sockets()  # those of this process
