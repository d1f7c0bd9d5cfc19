"""Server-sent events from a thread: llama.cpp calls back in its own thread, the answer goes out in the loop.

They go out in bursts. The first one goes at once. Later ones wait a little for each other, as each burst takes
time from the cores that write the answer.
"""

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any, TypeVar

from starlette.responses import Response, StreamingResponse

from openai_local.service.connections import Caller
from openai_local.service.throttle import Load

Item = TypeVar("Item")
BURST_SECONDS = 0.04
"""How long events wait for others, at most."""
DONE = "data: [DONE]\n\n"


def frame(data: dict[str, Any], event: str | None = None) -> str:
    """One server-sent event."""
    return (f"event: {event}\n" if event else "") + f"data: {json.dumps(data)}\n\n"


async def stream(
    caller: Caller,
    load: Load,
    produce: Callable[[Callable[[Item], bool]], None],
    encode: Callable[[Item | Exception], Iterable[str]],
) -> Response:
    """Stream what `produce` emits.

    The first item is awaited before the answer begins, so that an error still gets its status: what `produce`
    raises before it, and `Load.place`, is raised here.

    Args:
        caller: the client. When it leaves, `produce` is told to stop.
        load: gives the place and the thread to produce in.
        produce: runs in the thread; calls its argument with each item, and stops when that returns True.
        encode: turns an item into the text of events; and an exception, if one comes later than the first item.
    """
    waiting: deque[Item | Exception | None] = deque()
    came, loop = asyncio.Event(), asyncio.get_running_loop()

    def emit(item: Item) -> bool:
        waiting.append(item)
        if not came.is_set():
            loop.call_soon_threadsafe(came.set)
        return caller.gone

    async def work() -> None:
        try:
            with load.place():
                await load.run(lambda: produce(emit))
            waiting.append(None)
        except Exception as error:
            waiting.append(error)
        came.set()

    async def burst() -> list[Item | Exception | None]:
        """What came since the last burst; at the end None or an exception."""
        await came.wait()
        came.clear()  # before looking, so that nothing is missed
        return [waiting.popleft() for _ in range(len(waiting))]

    task = asyncio.ensure_future(work())
    async with caller.watched():
        first = await burst()
    if isinstance(first[0], Exception):
        await task
        raise first[0]

    async def events() -> AsyncIterator[str]:
        items = first
        try:
            while True:
                if text := "".join(part for item in items if item is not None for part in encode(item)):
                    yield text
                if items and (items[-1] is None or isinstance(items[-1], Exception)):
                    return
                await asyncio.wait({task}, timeout=BURST_SECONDS)
                items = await burst()
        finally:
            caller.gone = True
            await asyncio.shield(task)

    return StreamingResponse(events(), media_type="text/event-stream", headers={"cache-control": "no-cache"})
