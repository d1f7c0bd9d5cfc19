"""What the routes share: the parts of one running service, who is asking, and answers in OpenAI's form."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from openai import BaseModel
from openai.types import Model
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, Response

from openai_local.answering.inference import Answering, Target
from openai_local.home import Home
from openai_local.models.base_models import Bases
from openai_local.service.auth import Identity, Quota
from openai_local.service.errors import APIError, brief, explain, invalid
from openai_local.service.job_records import Records
from openai_local.service.queue import Queue
from openai_local.service.store import Page, Store, UnknownCursorError
from openai_local.service.throttle import Load, Polling


@dataclass
class Context:
    """One running service."""

    home: Home
    bases: Bases
    store: Store
    records: Records
    queue: Queue
    answering: Answering
    quota: Quota
    polling: Polling = field(default_factory=Polling)
    load: Load = field(default_factory=Load)
    open_calls: int = 0  # that are being answered
    idle_seconds: float = 0.0  # for so long nobody has called

    def target(self, name: str, who: Identity) -> tuple[str, Target]:
        """A model's full name, and where to answer from. Raises `APIError`: no model, `LocalError`: no base."""
        if base := self.bases.find(name):
            base.require()
            return base.name, Target(base.gguf, asker=who.name)
        if not (private := self.store.private(Model, name, who.sees)):
            raise self.no_model(name, who)
        return name, Target(self.bases.require(private["base"]).gguf, self.records.adapter(private), who.name)

    def explain(self, error: Exception) -> APIError:
        """What to tell a client of an error (`errors.explain`), but where things lie here."""
        found = explain(error)
        found.message = self.records.hidden(found.message)
        return found

    def share(self, who: Identity) -> Load:
        """The places that somebody's answers may take."""
        most = self.quota.answers(who)
        return self.load if most is None else self.load.share(who.name, most)

    def no_model(self, name: str, who: Identity) -> APIError:
        """404 with the names of the models that somebody has."""
        bases, fine_tunes = self.bases.all(), self.store.page(Model, owner=who.sees)
        names = ", ".join([*(base.name for base in bases), *(model.id for model in fine_tunes)])
        message = (
            f"The model `{brief(name)}` does not exist or you do not have access to it. Models here: {names}; "
            "the names of OpenAI's fine-tunable models, such as ada, stand for the first."
        )
        return APIError(404, message, param="model", code="model_not_found")


def context(request: HTTPConnection) -> Context:
    """The service that a request came to."""
    return request.app.state.context


def identity(request: HTTPConnection) -> Identity:
    """Whose key the request has."""
    return request.scope["identity"]


def plain(item: BaseModel) -> dict[str, Any]:
    """An object as it goes out."""
    return item.to_dict(mode="json", warnings=False)


def one(item: BaseModel, headers: dict[str, str] | None = None) -> Response:
    """An answer that is one object."""
    return JSONResponse(plain(item), headers=headers)


def page(
    request: Request, fetch: Callable[..., Page[Any]], *, default: int, highest: int, ends: bool = False
) -> Response:
    """An answer that is a page of a list: behind ``after``, at most ``limit`` objects, as the query says.

    `fetch` takes both and returns the page; its objects may be as they go out already. The limit is `default` if
    none is given, and `highest` at most. With `ends` the answer tells the ids of its first and last object, as
    some lists of OpenAI's do. Raises `APIError` (400) if one of the two makes no sense.
    """
    after, limit = request.query_params.get("after"), request.query_params.get("limit", str(default))
    if not limit.isdecimal() or len(limit) > 9 or not 1 <= int(limit) <= highest:
        raise invalid("limit", f"'limit' must be a whole number from 1 to {highest}.")
    try:
        found = fetch(after=after, limit=int(limit))
    except UnknownCursorError:
        named = brief(str(after))
        message = f"'after' must be the id of an object in this list; {named!r} is none."
        raise invalid("after", message) from None
    data = [item if isinstance(item, dict) else plain(item) for item in found]
    answer: dict[str, Any] = {"object": "list", "data": data, "has_more": found.has_more}
    if ends:
        answer |= {"first_id": data[0]["id"] if data else None, "last_id": data[-1]["id"] if data else None}
    return JSONResponse(answer)
