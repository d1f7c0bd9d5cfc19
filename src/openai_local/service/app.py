"""The web application, and the process that serves it."""

import asyncio
import contextlib
import logging
import os
import re
import secrets
import signal
import socket
import sqlite3
import sys
import tempfile
import threading
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import anyio.to_thread
import uvicorn
from filelock import FileLock, Timeout
from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route, Router
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from openai_local.answering.inference import Answering
from openai_local.answering.server_pool import GoneError
from openai_local.classroom import overview
from openai_local.classroom.limits import NONE, Limits, Quota
from openai_local.errors import LocalError
from openai_local.home import Home
from openai_local.models.base_models import Bases
from openai_local.runners import Runner
from openai_local.runners.local import LocalRunner
from openai_local.service import errors
from openai_local.service.auth import Door, KeyDoor, RequireKey
from openai_local.service.connections import Connection, allow_handles
from openai_local.service.context import Context
from openai_local.service.job_records import Records
from openai_local.service.queue import Queue
from openai_local.service.routes import (
    chat_completions,
    fine_tunes_2022,
    fine_tuning,
    model_list,
    responses,
    text_completions,
    uploads,
)
from openai_local.service.scheduling import Forecast
from openai_local.service.store import Store
from openai_local.service.trusted_hosts import ANY, TrustedHosts

log = logging.getLogger(__name__)

ACTIVITY_SECONDS = 5  # so often it is written down who did what
LOOK_SECONDS = 0.5  # so often it is seen whether anybody calls
GRACE_SECONDS = 5  # so long answers that are under way may still take when the service stops
KEEP_ALIVE_SECONDS = 75
"""How long a connection stays open that nobody uses. The official client closes its own after 5 seconds. If the
service did the same, a request could meet a connection that is just being closed."""


@dataclass(frozen=True)
class Settings:
    """All that can be chosen when a service starts."""

    host: str = "127.0.0.1"  # the address to listen on
    port: int = 8765  # 0 picks a free one
    idle_timeout: float | None = None  # stop when nobody called for so many seconds; None never
    certificate: Path | None = None  # for TLS, a file with the certificate and those that vouch for it (PEM)
    private_key: Path | None = None  # for TLS, the file with its key (PEM)
    names: frozenset[str] = frozenset({ANY})  # hosts that the service may be called besides numbers; `ANY`: all
    prefix: str = ""  # the path under which a proxy puts the service, such as ``/services/openai``
    doors: tuple[Door, ...] = ()  # who else knows keys, such as a JupyterHub; asked after the service's own keys
    limits: Limits = NONE  # what one learner may have
    runner: Runner = field(default_factory=LocalRunner)  # where jobs run

    def url(self, host: str, port: int) -> str:
        """The base URL of the service for those who call it by `host`."""
        scheme = "https" if self.certificate else "http"
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}{self.prefix}/v1"


class NoteCalls:
    """ASGI middleware: notes for `--idle-timeout` that somebody calls, and gives each answer a number."""

    def __init__(self, app: ASGIApp, shared: Context) -> None:
        """`shared.open_calls` counts; `shared.idle_seconds` begin anew at each call's end."""
        self.app, self.shared = app, shared

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the call on. A crash gets its answer here: Starlette's own handler would end the connection too."""
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        begun = False

        async def numbered(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                MutableHeaders(scope=message)["x-request-id"] = f"req_{secrets.token_hex(16)}"
            await send(message)

        self.shared.open_calls += 1
        try:
            await self.app(scope, receive, numbered)
        except (ClientDisconnect, GoneError):
            return  # nobody waits for an answer
        except Exception as error:
            if begun:
                raise
            await errors.respond(errors.explain(error))(scope, receive, numbered)
        finally:
            self.shared.open_calls -= 1
            self.shared.idle_seconds = 0.0


class Branch(Mount):
    """All that is below a path, also where it holds a new line: nothing goes past the branch's middleware.

    Nobody who writes a slash too many is sent on, as that would be to an address made of their ``Host``.
    """

    def __init__(self, path: str, routes: list[BaseRoute], middleware: Sequence[Middleware] = ()) -> None:
        super().__init__(path, Router(routes, redirect_slashes=False), middleware=middleware)
        self.path_regex = re.compile(self.path_regex.pattern, re.DOTALL)


def behind(prefix: str, routes: list[BaseRoute]) -> list[BaseRoute]:
    """The routes of a service that a proxy has below a path. Its page is found without the last slash too."""

    async def to_the_page(_: Request) -> Response:
        return RedirectResponse(f"{prefix}/")

    return [Route(prefix, to_the_page, methods=["GET"]), Branch(prefix, routes)]


async def health(_: Request) -> Response:
    """The one address that needs no key: whether the service lives. It waits for no thread and no disk."""
    return JSONResponse({"status": "ok"})


def create_app(home: Home, cache: Path, settings: Settings | None = None) -> Starlette:
    """The application for one home. Its queue works from start-up to shutdown."""
    settings = settings or Settings()
    store = Store(home.database, check=True)
    records = Records(store, home, cache)
    bases = Bases(home, cache)
    queue = Queue(records, bases, settings.runner, Forecast(records, cache))
    quota = Quota(settings.limits, store)
    shared = Context(home, bases, store, records, queue, Answering(), quota)

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        loop = asyncio.get_running_loop()
        shared.answering.on_load = lambda: loop.call_soon_threadsafe(_take_back_signals)
        shared.answering.calm = lambda: not queue.busy()
        queue.start()
        failures = errors.ErrorLog(home.path)
        writing = asyncio.ensure_future(_write_activity(quota, failures))
        try:
            yield
        finally:
            with contextlib.suppress(OSError):
                home.running.unlink(missing_ok=True)  # here, as uvicorn ends the process with the signal that came
            writing.cancel()
            queue.stop()
            _write(quota, failures)
            shared.answering.close()
            store.close()

    answers = (text_completions, chat_completions, responses)
    resources = (uploads, fine_tuning, model_list, *answers, fine_tunes_2022, overview)
    doors = (KeyDoor(store), *settings.doors)
    routes: list[BaseRoute] = [
        Route("/health", health),
        *overview.PAGE,
        Branch(
            "/v1",
            [route for resource in resources for route in resource.ROUTES],
            middleware=[Middleware(RequireKey, doors=doors, quota=quota)],
        ),
    ]
    app = Starlette(
        routes=behind(settings.prefix, routes) if settings.prefix else routes,
        middleware=[Middleware(NoteCalls, shared=shared), Middleware(TrustedHosts, names=settings.names)],
        exception_handlers={
            LocalError: errors.on_error,
            OSError: errors.on_error,
            sqlite3.Error: errors.on_error,
            HTTPException: errors.on_http_error,
        },
        lifespan=lifespan,
    )
    app.state.context = shared
    app.state.classroom = overview.Classroom(shared, quota)
    app.router.redirect_slashes = False
    return app


async def _write_activity(quota: Quota, failures: errors.ErrorLog) -> None:
    while True:
        await asyncio.sleep(ACTIVITY_SECONDS)
        await anyio.to_thread.run_sync(_write, quota, failures)


def _write(quota: Quota, failures: errors.ErrorLog) -> None:
    try:
        quota.write_activity()
        failures.works(quota)
    except Exception as error:
        failures.failed(quota, error)


def _take_back_signals() -> None:
    """llama.cpp installs its own handlers for SIGINT and SIGTERM; put Python's back."""
    if threading.current_thread() is not threading.main_thread():
        return
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.getsignal(number))


def serve(home: Home, cache: Path, settings: Settings) -> None:
    """Serve until a signal comes, or until nobody called and no job ran for `settings.idle_timeout` seconds.

    Prints one line with the base URL when it listens. Raises `LocalError`: the home or the port is taken.
    """
    lock = FileLock(home.lock, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise LocalError(f"{home.taken()} Use it, or stop it with:  openai-local stop") from None
    home.running.unlink(missing_ok=True)  # of one that was killed: its port may be somebody else's by now
    allow_handles()
    tempfile.tempdir = str(home.files)  # an upload waits on the disk where it will lie; /tmp may be memory
    with lock, listen(settings.host, settings.port) as listener:
        url = settings.url(settings.host, listener.getsockname()[1])
        asyncio.run(_serve(create_app(home, cache, settings), home, listener, url, settings))


def listen(host: str, port: int) -> socket.socket:
    """Listen at a port; 0 is any that is free. Raises `LocalError`: the port can't be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Said to be TCP, so that asyncio turns off Nagle's algorithm: it would hold each answer back for 40 ms.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    if sys.platform != "win32":
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        message = f"Can't listen on {host}:{port}: {error.strerror}. Choose another port with --port."
        raise LocalError(message) from None
    listener.listen(128)
    return listener


async def _serve(app: Starlette, home: Home, listener: socket.socket, url: str, settings: Settings) -> None:
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            http=Connection,
            log_level="error",  # what is no HTTP is no news: whoever sends it would fill the disk
            access_log=False,
            ws="none",
            proxy_headers=False,  # anybody on this machine could write them, and so be somebody else at each guess
            lifespan="on",
            timeout_graceful_shutdown=GRACE_SECONDS,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            ssl_certfile=settings.certificate,
            ssl_keyfile=settings.private_key,
        )
    )
    task = asyncio.ensure_future(server.serve(sockets=[listener]))
    while not server.started and not task.done():
        await asyncio.sleep(0.01)
    if server.started:
        home.note_running(url=url, pid=os.getpid(), host=socket.gethostname())
        print(url, flush=True)
    shared = app.state.context
    while not task.done():
        await asyncio.sleep(LOOK_SECONDS)
        # Counted and not read from a clock: while the machine sleeps, nobody can call.
        shared.idle_seconds = 0.0 if shared.open_calls else shared.idle_seconds + LOOK_SECONDS
        idle = shared.idle_seconds
        if settings.idle_timeout is not None and idle > settings.idle_timeout and not shared.queue.busy():
            log.warning("nobody called for %d seconds; the service stops", idle)
            server.should_exit = True
            await task
    await task
