"""``/v1/class``: what the class's page shows, and an instructor's word on the queue."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock

from openai.types.fine_tuning import FineTuningJob
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from openai_local.service.classroom import Classroom
from openai_local.service.context import context, identity, one
from openai_local.service.errors import APIError
from openai_local.service.routes.fine_tuning import find

_MAKING = Lock()


def _classroom(request: Request) -> Classroom:
    """The one of this service; it is made when somebody first asks."""
    state = request.app.state
    with _MAKING:
        if not hasattr(state, "classroom"):
            state.classroom = Classroom(context(request))
    return state.classroom


def show(request: Request) -> Response:
    """The class as the caller may see it."""
    return JSONResponse(_classroom(request).view(identity(request)))


def curve(request: Request) -> Response:
    """One job's losses over its steps."""
    job = find(request)
    curve = _classroom(request).curves.of(job.id, context(request).records.journal(job.id))
    return JSONResponse({"id": job.id, **curve.read()})


def put_first(request: Request) -> Response:
    """Let a job be the next one."""
    return _reorder(request, context(request).queue.put_first)


def put_last(request: Request) -> Response:
    """Let a job wait until no other waits."""
    return _reorder(request, context(request).queue.put_last)


def _reorder(request: Request, act: Callable[[FineTuningJob], FineTuningJob]) -> Response:
    job = find(request)
    if not identity(request).instructor:
        raise APIError(403, "Only an instructor can change the queue's order.", code="insufficient_permissions")
    if job.status not in ("validating_files", "queued"):
        message = f"Job {job.id} is {job.status}, so it has no place in the queue."
        raise APIError(400, message, param="fine_tuning_job_id", code="invalid_value")
    return one(act(job))


ROUTES = [
    Route("/class", show, methods=["GET"]),
    Route("/class/jobs/{id}/curve", curve, methods=["GET"]),
    Route("/class/jobs/{id}/first", put_first, methods=["POST"]),
    Route("/class/jobs/{id}/last", put_last, methods=["POST"]),
]
