"""The llama.cpp servers of one base model, and who is answered by which.

Different adapters can't share llama.cpp's work, and its slots are served in order of their number, the later ones
only when the earlier ones are done. So there are several servers, up to `LANES`: lanes. Each answers one request
at a time, with threads of its own. Those who ask at the same time then get their answers side by side, as the
operating system shares the cores among threads, and each as if nobody else asked. Who finds no lane waits; the
order is that of coming.

A lane holds adapters of up to `LANE_BYTES`. One that is not loaded costs a new server in its lane, about half a
second; the adapters of others who wait are loaded with it. A request goes to a lane that has its adapter. If that
lane is busy, it waits there; but as long as a core has nothing to do, another lane loads the adapter too.

Who asks alone, while no training needs the cores, gets the wide lane: its answers use all cores (up to
`WIDE_THREADS`), and it has room for more adapters (`WIDE_BYTES`). Beside other work that would be slower than one
thread, as its threads wait for each other all the time.

A lane starts when it is needed, and takes about 100 MB besides its adapters. One learner who asks one model after
the other needs one.
"""

import ctypes
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Condition
from typing import cast

from openai_local.answering.llama_server import Server, start
from openai_local.errors import LocalError

LANES = 6
WIDE_THREADS = 8
LANE_BYTES, WIDE_BYTES = 64 << 20, 192 << 20
LOOK_SECONDS = 0.5  # how often somebody who waits is asked whether they still do


class GoneError(Exception):
    """Nobody waits for the answer any more."""


def here() -> bool:
    """Whoever asks waits for the answer: the default of `gone`."""
    return False


@dataclass(eq=False)
class _Lane:
    """`adapters` are those that it has or is about to load, the one asked for last first."""

    threads: int
    room: int
    server: Server | None = None
    adapters: tuple[Path, ...] = ()
    busy: bool = False

    def has(self, adapter: Path | None) -> bool:
        return adapter in self.adapters if adapter else self.server is not None

    def has_room(self, adapter: Path | None) -> bool:
        return sum(map(_size, {*self.adapters} | ({adapter} if adapter else set()))) <= self.room


@dataclass(eq=False)
class _Request:
    adapter: Path | None
    gone: Callable[[], bool]
    lane: _Lane | None = None


class Lanes:
    """The servers of one base model. Its methods may be called from several threads at once."""

    def __init__(self, gguf: Path, on_load: Callable[[], object], calm: Callable[[], bool]) -> None:
        """Nothing is loaded yet. `on_load` is called when a server was started; `calm` is that of `Answering`."""
        self._gguf, self._on_load, self._calm = gguf, on_load, calm
        self._wide = _Lane(min(cores(), WIDE_THREADS), WIDE_BYTES)
        self._lanes = [_Lane(max(1, cores() // LANES), LANE_BYTES) for _ in range(LANES)]
        self._waiting: list[_Request] = []
        self._changed, self._loading = Condition(), 0
        # One thread for all: the C library would keep what a server leaves behind for the thread that started it.
        self._loader = ThreadPoolExecutor(1)

    @contextmanager
    def take(self, adapter: Path | None = None, gone: Callable[[], bool] = here) -> Iterator[Server]:
        """A server that has `adapter` (None: the base model), for the caller alone. Waits for it.

        Raises `LocalError`: llama.cpp can't load a file; `GoneError`: as `gone` says, whoever asked has left.
        """
        lane = self._wait(_Request(adapter, gone))
        try:
            if gone():
                raise GoneError
            server = lane.server
            if not server or not server.reachable or (adapter and adapter not in server.adapters):
                self._load(lane, adapter)
            assert lane.server
            yield lane.server
        finally:
            with self._changed:
                lane.busy = False
                self._assign()

    def any(self) -> Server:
        """A server that may be answering somebody, for llama.cpp's small questions."""
        for lane in (self._wide, *self._lanes):
            if (server := lane.server) and server.reachable:
                return server
        with self.take() as server:
            return server

    def _wait(self, request: _Request) -> _Lane:
        with self._changed:
            self._waiting.append(request)
            self._assign()
            while request.lane is None:
                if request.gone():
                    self._waiting.remove(request)
                    raise GoneError
                self._changed.wait(LOOK_SECONDS)
            return request.lane

    def _assign(self) -> None:
        for request in [*self._waiting]:
            if lane := self._choose(request.adapter):
                request.lane, lane.busy = lane, True
                if request.adapter:
                    others = (adapter for adapter in lane.adapters if adapter != request.adapter)
                    lane.adapters = request.adapter, *others
                self._waiting.remove(request)
        self._changed.notify_all()

    def _choose(self, adapter: Path | None) -> _Lane | None:
        free = [lane for lane in self._lanes if not lane.busy]
        busy = [lane for lane in (self._wide, *self._lanes) if lane.busy]
        if not busy and len(self._waiting) == 1 and self._calm():
            return self._wide
        if having := [lane for lane in free if lane.has(adapter)]:
            return having[0]
        if adapter and len(busy) >= cores() and any(lane.has(adapter) for lane in busy):
            return None
        # One that has room, if possible one that runs already; else one whose adapters must make room.
        free.sort(key=lambda lane: (not lane.has_room(adapter), lane.server is None))
        return free[0] if free else None

    def _load(self, lane: _Lane, adapter: Path | None) -> None:
        """Give a lane a new server, with a share of the adapters of those who wait.

        One lane loads at a time, so that the next one sees who waits by then. The lanes that are about to load
        share the adapters. A single one leaves some to others, so that each core has something to do.
        """
        with self._changed:
            self._loading += 1
        self._loader.submit(self._renew, lane, adapter).result()
        self._on_load()

    def _renew(self, lane: _Lane, adapter: Path | None) -> None:
        with self._changed:
            # The adapters of those who wait that no lane has, in the order of waiting.
            loaded = {adapter for lane in self._lanes for adapter in lane.adapters}
            waiting = dict.fromkeys(request.adapter for request in self._waiting if request.adapter)
            wanted = [adapter for adapter in waiting if adapter not in loaded]
            share = -(-len(wanted) // max(self._loading, cores()))
            self._loading -= 1
            lane.adapters = _fitting([*lane.adapters[:1], *wanted[:share], *lane.adapters[1:]], lane.room)
        lane.server = None
        _trim(0)
        try:
            lane.server = self._start(lane, adapter)
        finally:
            if lane.server is None:
                lane.adapters = ()

    def _start(self, lane: _Lane, adapter: Path | None) -> Server:
        """With the adapter alone, if another one can't be loaded: that is not the fault of who asks now."""
        alone = (adapter,) if adapter else ()
        try:
            return start(self._gguf, lane.adapters, lane.threads)
        except LocalError:
            if lane.adapters == alone:
                raise
            lane.adapters = alone
            return start(self._gguf, alone, lane.threads)


def _find_trim() -> Callable[[int], object]:
    """What makes glibc give freed memory back. Without it, each server would leave some megabytes behind."""
    try:
        return cast(Callable[[int], object], ctypes.CDLL(None).malloc_trim)
    except (AttributeError, OSError, TypeError):  # another C library, another system
        return lambda _: None


_trim = _find_trim()


def cores() -> int:
    """How many cores answers may use: all, or what the user says where programs look for it."""
    told = os.environ.get("OMP_NUM_THREADS", "")
    return int(told) if told.isdecimal() and int(told) else os.cpu_count() or 1


def _fitting(adapters: list[Path], room: int) -> tuple[Path, ...]:
    """The first one, and of the others those that are still there, as long as they fit."""
    fitting, room = adapters[:1], room - sum(map(_size, adapters[:1]))
    for adapter in dict.fromkeys(adapters[1:]):
        size = _size(adapter)
        if size and adapter not in fitting and size <= room:
            fitting.append(adapter)
            room -= size
    return tuple(fitting)


def _size(adapter: Path) -> int:
    return adapter.stat().st_size if adapter.exists() else 0
