"""What the service offers, read from the service itself: its routes, and the tables of parameters beside them."""

from __future__ import annotations

import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starlette.routing import BaseRoute, Mount, Route

from openai_local.home import Home
from openai_local.service.app import create_app


@dataclass(frozen=True)
class Offer:
    """One endpoint of the service."""

    method: str
    path: str
    endpoint: Any

    @property
    def summary(self) -> str:
        """The first sentence of the endpoint's docstring."""
        return (self.endpoint.__doc__ or "").strip().split("\n")[0].replace("``", "`")

    def table(self, name: str) -> Any:
        """A table of the module that the endpoint stands in, under its public or its private name; or None."""
        module = sys.modules[self.endpoint.__module__]
        return getattr(module, name, getattr(module, f"_{name}", None))


def offers() -> list[Offer]:
    """The service's endpoints below ``/v1``, in the order of its routes."""
    with tempfile.TemporaryDirectory() as folder:
        app = create_app(Home.open(Path(folder)), Path(folder))
        app.state.context.store.close()
    return [offer for offer in _flatten(app.routes, "") if offer.path.startswith("/v1/")]


def _flatten(routes: list[BaseRoute], prefix: str) -> list[Offer]:
    found: list[Offer] = []
    for route in routes:
        if isinstance(route, Mount):
            found += _flatten(list(route.routes), prefix + route.path)
        elif isinstance(route, Route):
            methods = sorted((route.methods or set()) - {"HEAD"})
            found += [
                Offer(method, prefix + route.path.replace(":path", ""), route.endpoint) for method in methods
            ]
    return found
