"""What the routes share: the parts of one running service, and who is asking."""

from __future__ import annotations

from dataclasses import dataclass, field

from openai.types import Model
from starlette.requests import HTTPConnection

from openai_local.answering.inference import Answering, Target
from openai_local.home import Home
from openai_local.models.base_models import Bases
from openai_local.service.auth import Identity
from openai_local.service.errors import APIError, brief, explain
from openai_local.service.queue import Queue
from openai_local.service.records import Records
from openai_local.service.store import Store
from openai_local.service.throttle import Load, Polling, Quota


@dataclass
class Context:
    """One running service.

    `open_calls` are being answered; for `idle_seconds` nobody has called.
    """

    home: Home
    bases: Bases
    store: Store
    records: Records
    queue: Queue
    answering: Answering
    quota: Quota
    polling: Polling = field(default_factory=Polling)
    load: Load = field(default_factory=Load)
    open_calls: int = 0
    idle_seconds: float = 0.0

    def target(self, name: str, who: Identity) -> tuple[str, Target]:
        """What a model's name means to somebody: its full name, and the files to answer from.

        Raises:
            APIError: there is no such model.
            LocalError: its base is not on this machine.
        """
        if base := self.bases.find(name):
            base.require()
            return base.name, Target(base.gguf, asker=who.name)
        if not (private := self.store.private(Model, name, who.sees)):
            raise self.no_model(name, who)
        return name, Target(self.bases.require(private["base"]).gguf, self.records.adapter(private), who.name)

    def explain(self, error: Exception) -> APIError:
        """What to tell a client of an error (`errors.explain`). Where things lie here is not their business."""
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
