"""OpenAI's error envelope, the errors that the routes raise, and what of them goes into the log.

``{"error": {"message", "type", "param", "code"}}`` with the HTTP status that makes the official client raise
the exception a user expects: 400 BadRequestError, 401 AuthenticationError, 404 NotFoundError, and so on.
"""

import logging
import sqlite3
from collections.abc import Hashable
from pathlib import Path
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from openai_local import disk
from openai_local.answering.inference import AnswerError
from openai_local.errors import LocalError

log = logging.getLogger(__name__)

MOST_SHOWN = 100  # how much an error repeats of a name that somebody sent, in characters


def brief(text: str) -> str:
    """A text that somebody sent, short enough to be repeated in a sentence."""
    return text if len(text) <= MOST_SHOWN else text[: MOST_SHOWN - 1] + "…"


class APIError(LocalError):
    """An answer in OpenAI's error envelope."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        kind: str = "invalid_request_error",
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.param, self.code, self.kind = status, message, param, code, kind
        self.headers = headers

    def body(self) -> dict[str, Any]:
        """The envelope."""
        return {"error": {"message": self.message, "type": self.kind, "param": self.param, "code": self.code}}


def invalid(param: str, message: str) -> APIError:
    """400 for a value that a parameter can't have."""
    return APIError(400, message, param=param, code="invalid_value")


def unsupported(param: str) -> APIError:
    """400 for a parameter that the service does not offer."""
    message = f"This service does not offer the parameter '{brief(param)}'."
    return APIError(400, message, param=brief(param), code="unsupported_parameter")


def too_long(param: str, what: str, most: int, has: int | str) -> APIError:
    """400 in OpenAI's words for an ``array`` or a ``string`` that has more items or characters than it may."""
    message = f"Invalid '{param}': {what} too long. Expected one with maximum length {most}, but got {has}."
    return APIError(400, message, param=param, code=f"{what}_above_max_length")


def too_much(message: str, seconds: int) -> APIError:
    """429, with the seconds after which to try again."""
    headers = {"retry-after": str(seconds)}
    return APIError(429, message, code="rate_limit_exceeded", kind="requests", headers=headers)


def explain(error: Exception) -> APIError:
    """What to tell of an error: what it says itself, unless it is a bug, whose details go to the log only."""
    if isinstance(error, APIError):
        return error
    if refused := disk.refusal(error):
        return APIError(507 if refused == "full" else 503, disk.FOR_CLIENTS[refused], kind="server_error")
    if isinstance(error, AnswerError):
        kind = "invalid_request_error" if error.status < 500 else "server_error"
        return APIError(error.status, str(error), param=error.param, code=error.code, kind=kind)
    if isinstance(error, LocalError):
        return APIError(503, str(error), kind="server_error")
    log.error("a request failed", exc_info=error)
    message = f"The service failed at this request ({type(error).__name__}). Its log says more."
    return APIError(500, message, kind="server_error")


def respond(error: APIError) -> Response:
    """An error as an HTTP answer."""
    return JSONResponse(error.body(), status_code=error.status, headers=error.headers)


async def on_error(request: Request, error: Exception) -> Response:
    """Starlette's handler for what the service, llama.cpp, the disk or the database refuses; others are bugs."""
    service = request.app.state.context
    if isinstance(error, OSError | sqlite3.Error):
        if disk.refusal(error) is None:
            raise error
        log.warning(disk.sentence(error, service.home.path))
    return respond(service.explain(error))


async def on_http_error(request: Request, error: Exception) -> Response:
    """Starlette's handler for unknown paths and methods."""
    assert isinstance(error, HTTPException)
    call = f"{brief(request.method)} {brief(request.scope['path'])}"
    if error.status_code == 404:
        message = f"Unknown request URL: {call}. Please check the URL for typos."
        return respond(APIError(404, message, code="unknown_url"))
    if error.status_code == 405:
        headers = dict(error.headers or {})  # which methods there are
        return respond(APIError(405, f"Not allowed: {call}.", code="method_not_supported", headers=headers))
    return respond(APIError(error.status_code, str(error.detail)))


class ErrorLog:
    """Writes into the log what goes wrong again and again: once, as the log needs room on the disk too."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._told: dict[Hashable, str] = {}

    def failed(self, what: Hashable, error: Exception) -> None:
        """Something failed, and will be tried again."""
        if self._told.get(what) == repr(error):
            return
        self._told[what] = repr(error)
        if said := disk.sentence(error, self._home):
            log.warning("%s The service goes on as soon as it can.", said)
        else:
            log.error("the service stumbled and goes on", exc_info=error)

    def works(self, what: Hashable) -> None:
        """It works again, so that its next failure is told."""
        self._told.pop(what, None)
