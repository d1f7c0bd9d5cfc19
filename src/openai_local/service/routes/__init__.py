"""The service's addresses, a module for each group; and routes below a path, for which Starlette's won't do."""

import re
from collections.abc import Sequence

from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route, Router


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
