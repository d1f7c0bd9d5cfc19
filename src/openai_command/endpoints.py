"""The two ways to train: the fine-tunes of 2022, and today's fine-tuning jobs. `fine_tunes.…` speaks to both.

The service on this machine has the endpoint of 2022, so a model gets a name of that time there. OpenAI has
switched it off; there, what was asked for is said in today's words, or refused where nobody offers it any more.
"""

import argparse
import base64
import binascii
import sys
import time
from contextlib import suppress
from typing import Any
from urllib.parse import quote

import openai
from openai.types.fine_tuning import FineTuningJobEvent

from openai_command.api_words import say
from openai_data.errors import LessonError
from openai_figures import visible
from openai_lesson.connection import host
from openai_lesson.other_hosts import refusal
from openai_lesson.watching import Line, Watcher, reason

_Json = dict[str, Any]
_HYPERPARAMETERS = ("n_epochs", "batch_size", "learning_rate_multiplier")
_SWITCHED_OFF = {
    **dict.fromkeys(("ada", "babbage", "curie", "davinci"), "2024-01-04"),
    **dict.fromkeys(("babbage-002", "davinci-002"), "2024-10-28"),
}
"""When OpenAI ended training on its old models."""
_MOST_ON_A_PAGE = 100


class Endpoint:
    """``/v1/fine-tunes`` of 2022, or ``/v1/fine_tuning/jobs`` of today. Both answer to the same few requests.

    The words ``fine_tunes.…`` speak to the older one where a host has it. The official client has forgotten that
    one, but still carries the requests.
    """

    def __init__(self, client: openai.OpenAI, group: str) -> None:
        self.client, self.of_2022 = client, group == "fine_tunes" and host(client).local
        self._path = "/fine-tunes" if self.of_2022 else "/fine_tuning/jobs"

    def get(self, id_: str) -> dict[str, Any]:
        """One fine-tune."""
        return self.client.get(self._at(id_), cast_to=_Json)

    def post(self, *words: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """Change something: a fine-tune's id and what to do with it, or nothing and a new one."""
        return self.client.post(self._at(*words), cast_to=_Json, body=body)

    def list(self, *words: str, after: str | None = None, limit: int | None = None) -> dict[str, Any]:
        """All fine-tunes, or what an id has, such as its ``events``: of all pages, or `limit` of them.

        The endpoint of 2022 begins with the oldest and has one page; today's begins with the newest.
        """
        if limit is not None and limit < 1:
            raise LessonError("--limit must be 1 or more.")
        asked: dict[str, object] = {} if limit is None else {"limit": min(limit, _MOST_ON_A_PAGE)}
        found: list[Any] = []
        more = True
        while more and (limit is None or len(found) < limit):
            params = {**asked, **({"after": after} if after else {})}
            page = self.client.get(self._at(*words), cast_to=_Json, options={"params": params})
            found += page["data"]
            more = bool(page.get("has_more") and page["data"])
            after = found[-1]["id"] if more else None
        return {"object": "list", "data": found[:limit]}

    def create(self, options: dict[str, Any], files: dict[str, str]) -> dict[str, Any]:
        """Start a fine-tune. The options come from `in_its_words`; the files are ids."""
        try:
            if not self.of_2022:
                for id_ in files.values():
                    self.client.files.wait_for_processing(id_)
            return self.post(body=options | files)
        except openai.PermissionDeniedError as error:
            raise refusal(error, "openai -b local api fine_tunes.create …") from None

    def in_its_words(self, options: dict[str, Any]) -> dict[str, Any]:
        """The options that were given, as the endpoint takes them. What is not offered is a `LessonError`."""
        if self.of_2022:
            return options  # all went out under their own names
        given, there = dict(options), host(self.client)
        request = {"model": given.pop("model", there.model)}
        if request["model"] in _SWITCHED_OFF and not there.local:
            raise LessonError(
                f"OpenAI does not train {request['model']} any more, since {_SWITCHED_OFF[request['model']]}. It "
                f"trains  -m {there.model}  with data that was prepared with  --format chat . Or stay on this "
                "machine:  openai -b local api fine_tunes.create …"
            )
        if "suffix" in given:
            request["suffix"] = given.pop("suffix")
        if chosen := {name: given.pop(name) for name in _HYPERPARAMETERS if name in given}:
            request["method"] = {"type": "supervised", "supervised": {"hyperparameters": chosen}}
        for name in given:
            raise LessonError(
                f"Today's fine-tuning has no --{name}. Leave it out, or train with  openai -b local api …"
            )
        return request

    def results(self, id_: str) -> str:
        """The first result file of a fine-tune: a CSV table, a row for each step. Without one: `LessonError`."""
        fine_tune = self.get(id_)
        files = fine_tune.get("result_files") or []
        if not files:
            raise LessonError(
                f"No results file available for fine-tune {fine_tune['id']}: it is {fine_tune['status']}. "
                "There is one when it has succeeded."
            )
        file = files[0]["id"] if isinstance(files[0], dict) else files[0]
        content = self.client.files.content(file).content
        with suppress(binascii.Error):
            content = base64.b64decode(content, validate=True)  # so OpenAI sends it
        return content.decode("utf-8", "replace")

    def follow(self, id_: str, arguments: argparse.Namespace) -> None:
        """Show the events of a fine-tune as they come, with a bar where there is a terminal.

        Ctrl-C ends the showing, not the training. `arguments` are the command's, for what is suggested. If it
        failed or was cancelled, or the connection was lost for too long, that is a `LessonError`.
        """
        # What is suggested goes to the same host. A key is left out.
        command = f"openai -b {arguments.api_base} api" if arguments.api_base else "openai api"
        again = f"{command} {arguments.group}.follow -i {id_}"
        kind = WatcherOf2022 if self.of_2022 else Watcher
        watcher = kind(self.client, id_, tell=_tell, come_back=again, bar=sys.stderr.isatty())
        try:
            job = watcher.watch()
        except KeyboardInterrupt:
            print(
                f"\nStream interrupted. Job is still {watcher.job.status}.\nTo resume the stream, run:\n\n"
                f"  {again}\n\nTo cancel your job, run:\n\n  {command} {arguments.group}.cancel -i {id_}\n"
            )
            return
        if job.status == "failed":
            raise LessonError(f"The fine-tune {id_} failed: {reason(job)}")
        if job.status == "cancelled":
            raise LessonError(f"The fine-tune {id_} was cancelled, so there is no model.")
        ask = f"completions.create -m {job.fine_tuned_model} -p <YOUR_PROMPT>"
        if host(self.client).chat:
            ask = f"chat.completions.create -m {job.fine_tuned_model} -g user <YOUR_PROMPT>"
        say(f"\nJob complete! Status: succeeded 🎉\nTry out your fine-tuned model:\n\n{command} {ask}")

    def _at(self, *words: str) -> str:
        return "/".join([self._path, *(quote(word, safe="") for word in words)])


class WatcherOf2022(Watcher):
    """Tells events in the wording of 2022. They have no ids, but their order never changes: counting is enough."""

    _told = 0

    def lines(self, news: list[FineTuningJobEvent]) -> list[Line]:
        """What to tell of new events, oldest first."""
        if all(event.type == "metrics" for event in news):
            return []
        events = Endpoint(self.client, "fine_tunes").list(self.job.id, "events")["data"]
        new, self._told = events[self._told :], len(events)
        return [(event["created_at"], event["message"]) for event in new]


def _tell(created_at: float, message: str) -> None:
    """Print an event as in 2022: ``[2022-12-07 17:10:04] Fine-tune started``."""
    when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(created_at))
    print(f"[{when}] {visible.line(message)}", flush=True)
