"""``/`` and ``/page/…``: the class's page. ``/v1/class``: what it shows, and an instructor's word on the queue.

The page is static files only; what they show comes from ``/v1``, with a key.
"""

import hashlib
from functools import partial
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from openai_local.classroom.overview import Classroom
from openai_local.service.context import context, identity, one
from openai_local.service.errors import APIError, invalid
from openai_local.service.routes.fine_tuning import find

FOLDER = Path(__file__).parent / "page"
_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_NAMES = frozenset(path.name for path in FOLDER.iterdir())
HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
        "form-action 'none'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
    ),
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-cache",  # kept, but the service is asked each time whether it is still the same
}
"""What a browser is told with each file besides `trusted_hosts.HEADERS`: run and load nothing but these files."""


def show(request: Request) -> Response:
    """The class as the caller may see it."""
    classroom: Classroom = request.app.state.classroom
    return JSONResponse(classroom.view(identity(request)))


def curve(request: Request) -> Response:
    """One job's losses over its steps."""
    job = find(request)
    return JSONResponse({"id": job.id, **request.app.state.classroom.curve(job.id)})


def put(request: Request, *, first: bool) -> Response:
    """Let a job be the next one, or else wait until no other waits, as an instructor says."""
    job = find(request)
    if not identity(request).instructor:
        raise APIError(403, "Only an instructor can change the queue's order.", code="insufficient_permissions")
    if job.status not in ("validating_files", "queued"):
        message = f"Job {job.id} is {job.status}, so it has no place in the queue."
        raise invalid("fine_tuning_job_id", message)
    return one(context(request).queue.put(job, first=first))


def page(request: Request) -> Response:
    """The page itself, or a style or a script of it."""
    name = request.path_params.get("name", "index.html")
    path = FOLDER / name
    if path.suffix not in _TYPES or name not in _NAMES:
        raise HTTPException(404)
    content = path.read_bytes()
    headers = HEADERS | {"etag": f'"{hashlib.sha256(content).hexdigest()[:32]}"'}
    if headers["etag"] in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(content, media_type=_TYPES[path.suffix], headers=headers)


ROUTES = [
    Route("/class", show, methods=["GET"]),
    Route("/class/jobs/{id}/curve", curve, methods=["GET"]),
    Route("/class/jobs/{id}/first", partial(put, first=True), methods=["POST"]),
    Route("/class/jobs/{id}/last", partial(put, first=False), methods=["POST"]),
]
PAGE = [Route("/", page, methods=["GET"]), Route("/page/{name}", page, methods=["GET"])]
