"""OpenAI's error envelope, and the errors that the routes raise.

``{"error": {"message", "type", "param", "code"}}`` with the HTTP status that makes the official client raise
the exception a user expects: 400 BadRequestError, 401 AuthenticationError, 404 NotFoundError, and so on.
"""

from __future__ import annotations

import logging
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from openai_local import disk
from openai_local.answering.inference import AnswerError
from openai_local.errors import LocalError

log = logging.getLogger(__name__)

MOST_SHOWN = 100
"""How much an error repeats of a name that somebody sent, in characters."""


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


def model_not_found(name: str, models: list[str]) -> APIError:
    """404 for a model that does not exist, with the names of those that do."""
    names = ", ".join(models)
    message = (
        f"The model `{brief(name)}` does not exist or you do not have access to it. Models here: {names}; "
        "the names of OpenAI's fine-tunable models, such as ada, stand for the first."
    )
    return APIError(404, message, param="model", code="model_not_found")


def respond(error: APIError) -> Response:
    """An error as an HTTP answer."""
    return JSONResponse(error.body(), status_code=error.status, headers=error.headers)


async def on_api_error(_: Request, error: Exception) -> Response:
    """Starlette's handler for `APIError`."""
    assert isinstance(error, APIError)
    return respond(error)


async def on_local_error(request: Request, error: Exception) -> Response:
    """Starlette's handler for errors of the engine: llama.cpp's refusals, a base model that is missing."""
    return respond(request.app.state.context.explain(error))


def explain(error: Exception) -> APIError:
    """What to tell of an error: what it says itself, unless it is a bug."""
    if isinstance(error, APIError):
        return error
    if refused := disk.refusal(error):
        return APIError(507 if refused == "full" else 503, disk.for_clients(refused), kind="server_error")
    if not isinstance(error, AnswerError):
        if isinstance(error, LocalError):
            return APIError(503, str(error), kind="server_error")
        log.error("an answer failed", exc_info=error)
        return crash(error)
    kind = "invalid_request_error" if error.status < 500 else "server_error"
    return APIError(error.status, str(error), param=error.param, code=error.code, kind=kind)


async def on_disk_error(request: Request, error: Exception) -> Response:
    """Starlette's handler for what the disk or the database refuses. Other errors of the system are bugs."""
    if disk.refusal(error) is None:
        raise error
    log.warning(disk.sentence(error, request.app.state.context.home.path))
    return respond(explain(error))


async def on_http_error(request: Request, error: Exception) -> Response:
    """Starlette's handler for unknown paths and methods."""
    assert isinstance(error, HTTPException)
    method, path = brief(request.method), brief(request.scope["path"])
    if error.status_code == 404:
        message = f"Unknown request URL: {method} {path}. Please check the URL for typos."
        return respond(APIError(404, message, code="unknown_url"))
    if error.status_code == 405:
        message = f"Not allowed: {method} {path}."
        headers = dict(error.headers or {})  # which methods there are
        return respond(APIError(405, message, code="method_not_supported", headers=headers))
    return respond(APIError(error.status_code, str(error.detail)))


def crash(error: Exception) -> APIError:
    """500 for a bug here, whose details go to the log only."""
    message = f"The service failed at this request ({type(error).__name__}). Its log says more."
    return APIError(500, message, kind="server_error")
