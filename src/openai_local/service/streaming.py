"""Server-sent events from a thread: llama.cpp calls back in its own thread, the answer goes out in the loop."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any, TypeVar

from starlette.responses import Response, StreamingResponse

from openai_local.service.load import Load

Item = TypeVar("Item")
DONE = "data: [DONE]\n\n"


def frame(data: dict[str, Any], event: str | None = None) -> str:
    """One server-sent event."""
    return (f"event: {event}\n" if event else "") + f"data: {json.dumps(data)}\n\n"


async def stream(
    load: Load,
    produce: Callable[[Callable[[Item], bool]], None],
    encode: Callable[[Item | Exception], Iterable[str]],
) -> Response:
    """Stream what `produce` emits.

    The first item is awaited before the answer begins, so that an error still gets its status.

    Args:
        load: gives the place and the thread to produce in.
        produce: runs in the thread; calls its argument with each item, and stops when that returns True.
        encode: turns an item into the text of events; and an exception, if one comes later than the first item.

    Raises:
        Whatever `produce` raises before its first item, and `Load.place`.
    """
    queue: asyncio.Queue[Item | Exception | None] = asyncio.Queue()
    loop, gone = asyncio.get_running_loop(), False

    def emit(item: Item) -> bool:
        loop.call_soon_threadsafe(queue.put_nowait, item)
        return gone

    async def work() -> None:
        try:
            with load.place():
                await load.run(lambda: produce(emit))
        except Exception as error:
            queue.put_nowait(error)
        else:
            queue.put_nowait(None)

    task = asyncio.ensure_future(work())
    first = await queue.get()
    if isinstance(first, Exception):
        await task
        raise first

    async def events() -> AsyncIterator[str]:
        nonlocal gone
        item: Item | Exception | None = first
        try:
            while item is not None:
                for text in encode(item):
                    yield text
                item = None if isinstance(item, Exception) else await queue.get()
        finally:
            gone = True
            await asyncio.shield(task)

    return StreamingResponse(events(), media_type="text/event-stream", headers={"cache-control": "no-cache"})
