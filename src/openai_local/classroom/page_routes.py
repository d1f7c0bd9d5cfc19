"""``/`` and ``/page/…``: the class's page. Static files only; what they show comes from ``/v1``, with a key."""

from __future__ import annotations

import hashlib
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

FOLDER = Path(__file__).parent / "page"
_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
        "form-action 'none'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-cache",  # kept, but the service is asked each time whether it is still the same
}
"""What the browser is told with each file: run and load nothing but these files, and tell nobody of the page."""


def _answer(request: Request, name: str) -> Response:
    path = FOLDER / name
    if path.suffix not in _TYPES or path.name not in _NAMES:
        raise HTTPException(404)
    content = path.read_bytes()
    headers = HEADERS | {"etag": f'"{hashlib.sha256(content).hexdigest()[:32]}"'}
    if headers["etag"] in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(content, media_type=_TYPES[path.suffix], headers=headers)


_NAMES = frozenset(path.name for path in FOLDER.iterdir())


def page(request: Request) -> Response:
    """The page itself."""
    return _answer(request, "index.html")


def part(request: Request) -> Response:
    """A style or a script of the page."""
    return _answer(request, request.path_params["name"])


ROUTES = [Route("/", page, methods=["GET"]), Route("/page/{name}", part, methods=["GET"])]
