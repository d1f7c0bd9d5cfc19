"""The two ways to train: the fine-tunes of 2022, and today's fine-tuning jobs. `fine_tunes.…` speaks to both.

The service on this machine has the endpoint of 2022, so a model gets a name of that time there. OpenAI has
switched it off; there, what was asked for is said in today's words, or refused where nobody offers it any more.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import openai
from openai.types.fine_tuning import FineTuningJobEvent

from openai_data.errors import LessonError
from openai_lesson.connection import host
from openai_lesson.training import refusal
from openai_lesson.watching import Line, Watcher

_HYPERPARAMETERS = ("n_epochs", "batch_size", "learning_rate_multiplier")
_SWITCHED_OFF = {
    **dict.fromkeys(("ada", "babbage", "curie", "davinci"), "2024-01-04"),
    **dict.fromkeys(("babbage-002", "davinci-002"), "2024-10-28"),
}
"""When OpenAI ended training on its old models."""


class Endpoint(ABC):
    """Creates, lists and shows fine-tunes, as plain objects."""

    watcher: type[Watcher] = Watcher

    def __init__(self, client: openai.OpenAI) -> None:
        """Use a client."""
        self.client = client

    @abstractmethod
    def request(self, options: dict[str, Any]) -> dict[str, Any]:
        """What to ask for, from the options that were given, but for the files.

        Raises:
            LessonError: something among them is not offered.
        """

    @abstractmethod
    def create(self, request: dict[str, Any]) -> dict[str, Any]:
        """Start a fine-tune."""

    @abstractmethod
    def list(self) -> dict[str, Any]:
        """All fine-tunes."""

    @abstractmethod
    def get(self, id_: str) -> dict[str, Any]:
        """One fine-tune."""

    @abstractmethod
    def cancel(self, id_: str) -> dict[str, Any]:
        """End a fine-tune before its time."""

    @abstractmethod
    def events(self, id_: str) -> dict[str, Any]:
        """What happened in a fine-tune."""


def endpoint(client: openai.OpenAI) -> Endpoint:
    """The endpoint that the client's host has."""
    return Of2022(client) if host(client).local else Today(client)


class WatcherOf2022(Watcher):
    """Tells events in the wording of 2022. They have no ids, but their order never changes: counting is enough."""

    _told = 0

    def lines(self, news: list[FineTuningJobEvent]) -> list[Line]:
        """What to tell of new events, oldest first."""
        if all(event.type == "metrics" for event in news):
            return []
        events = Of2022(self.client).events(self.job.id)["data"]
        new, self._told = events[self._told :], len(events)
        return [(event["created_at"], event["message"]) for event in new]


class Of2022(Endpoint):
    """``/v1/fine-tunes``, which the official client has forgotten; it still carries the requests."""

    watcher = WatcherOf2022

    def request(self, options: dict[str, Any]) -> dict[str, Any]:
        """All options went out under their own names."""
        return options

    def create(self, request: dict[str, Any]) -> dict[str, Any]:
        """Start a fine-tune."""
        return self._ask("POST", "", request)

    def list(self) -> dict[str, Any]:
        """All fine-tunes, oldest first."""
        return self._ask("GET")

    def get(self, id_: str) -> dict[str, Any]:
        """One fine-tune."""
        return self._ask("GET", f"/{id_}")

    def cancel(self, id_: str) -> dict[str, Any]:
        """End a fine-tune before its time."""
        return self._ask("POST", f"/{id_}/cancel")

    def events(self, id_: str) -> dict[str, Any]:
        """What happened in a fine-tune, oldest first."""
        return self._ask("GET", f"/{id_}/events")

    def _ask(self, method: str, path: str = "", body: dict[str, Any] | None = None) -> dict[str, Any]:
        if method == "GET":
            answer: Any = self.client.get(f"/fine-tunes{path}", cast_to=object)
        else:
            answer = self.client.post(f"/fine-tunes{path}", cast_to=object, body=body)
        return answer


class Today(Endpoint):
    """Today's fine-tuning jobs."""

    def request(self, options: dict[str, Any]) -> dict[str, Any]:
        """The options in today's words."""
        given = dict(options)
        there = host(self.client)
        model = given.pop("model", there.model)
        if model in _SWITCHED_OFF and not there.local:
            raise LessonError(_switched_off(model, there.model))
        chosen = {name: given.pop(name) for name in _HYPERPARAMETERS if name in given}
        request: dict[str, Any] = {"model": model}
        if "suffix" in given:
            request["suffix"] = given.pop("suffix")
        if given:
            name = next(iter(given))
            raise LessonError(
                f"Today's fine-tuning has no --{name}. Leave it out, or train with  openai -b local api …"
            )
        method = {"type": "supervised", "supervised": {"hyperparameters": chosen}}
        return request | ({"method": method} if chosen else {})

    def create(self, request: dict[str, Any]) -> dict[str, Any]:
        """Start a job."""
        try:
            return self.client.fine_tuning.jobs.create(**request).to_dict(mode="json")
        except openai.PermissionDeniedError as error:
            raise refusal(error, "openai -b local api fine_tunes.create …") from None

    def list(self) -> dict[str, Any]:
        """All jobs, newest first."""
        return {
            "object": "list",
            "data": [job.to_dict(mode="json") for job in self.client.fine_tuning.jobs.list()],
        }

    def get(self, id_: str) -> dict[str, Any]:
        """One job."""
        return self.client.fine_tuning.jobs.retrieve(id_).to_dict(mode="json")

    def cancel(self, id_: str) -> dict[str, Any]:
        """End a job before its time."""
        return self.client.fine_tuning.jobs.cancel(id_).to_dict(mode="json")

    def events(self, id_: str) -> dict[str, Any]:
        """What happened in a job, newest first."""
        found = self.client.fine_tuning.jobs.list_events(id_)
        return {"object": "list", "data": [event.to_dict(mode="json") for event in found]}


def _switched_off(model: str, today: str) -> str:
    return (
        f"OpenAI does not train {model} any more, since {_SWITCHED_OFF[model]}. It trains  -m {today}  with data "
        "that was prepared with  --format chat . Or stay on this machine:  openai -b local api fine_tunes.create …"
    )
