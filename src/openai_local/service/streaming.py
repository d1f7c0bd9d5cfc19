"""Server-sent events from a thread: llama.cpp calls back in its own thread, the answer goes out in the loop."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

import anyio.to_thread
from starlette.responses import Response, StreamingResponse

Chunk = dict[str, Any]
Produce = Callable[[Callable[[Chunk], bool]], None]
"""Runs in a thread; calls its argument with each chunk, and stops when that returns True."""


async def stream(produce: Produce, translate: Callable[[Chunk], Iterable[Chunk]]) -> Response:
    """Stream what `produce` emits, each chunk turned into events by `translate`, ending with ``[DONE]``.

    The first chunk is awaited before the answer begins, so that an error still gets its status.

    Raises:
        Whatever `produce` raises before its first chunk.
    """
    queue: asyncio.Queue[Chunk | BaseException | None] = asyncio.Queue()
    loop, gone = asyncio.get_running_loop(), False

    def put(item: Chunk | BaseException | None) -> None:
        loop.call_soon_threadsafe(queue.put_nowait, item)

    def emit(chunk: Chunk) -> bool:
        put(chunk)
        return gone

    def run() -> None:
        try:
            produce(emit)
        except Exception as error:
            put(error)
        else:
            put(None)

    task = asyncio.ensure_future(anyio.to_thread.run_sync(run))
    first = await queue.get()
    if isinstance(first, BaseException):
        await task
        raise first

    async def events() -> AsyncIterator[str]:
        nonlocal gone
        item: Chunk | BaseException | None = first
        try:
            while item is not None:
                if isinstance(item, BaseException):
                    error = {"message": str(item), "type": "server_error", "param": None, "code": None}
                    yield f"data: {json.dumps({'error': error})}\n\n"
                    break
                for chunk in translate(item):
                    yield f"data: {json.dumps(chunk)}\n\n"
                item = await queue.get()
            yield "data: [DONE]\n\n"
        finally:
            gone = True
            await asyncio.shield(task)

    return StreamingResponse(events(), media_type="text/event-stream", headers={"cache-control": "no-cache"})
