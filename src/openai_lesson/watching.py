"""Watching a job: what is new in it, shown as lines with a bar that updates in place, until it is over.

The host is asked again and again; events have ids, so after a break only what is new is told. A connection that is
lost is picked up again by itself, also when the service on this machine went on at another port.
"""

import time
from collections.abc import Callable, Mapping

import openai
from openai.types.fine_tuning import FineTuningJob, FineTuningJobEvent

from openai_data.errors import LessonError
from openai_figures import visible
from openai_figures.progress import Card, Progress, in_notebook
from openai_lesson.connection import find_again

ENDED = ("succeeded", "failed", "cancelled")
PAUSE = 1.0  # seconds between two looks, unless the host asks for more
_LONGEST_PAUSE = 30.0
PATIENCE = 600.0  # seconds for which a lost connection is tried again
_ANSWER_SECONDS = 30.0  # an answer that takes longer counts as a lost connection
_LONGEST_TRY = 120.0  # if two tries are further apart, in seconds, the machine slept meanwhile
_LOST = (openai.APIConnectionError, openai.InternalServerError)

Line = tuple[float, str]  # when something happened (seconds since 1970), and what


def line_of(when: float, message: str) -> str:
    """An event as a line: the time of day, and what happened."""
    return f"{time.strftime('%H:%M:%S', time.localtime(when))}  {message}"


def _print(when: float, message: str) -> None:
    print(line_of(when, visible.line(message)))


class Watcher:
    """Watches one job.

    `job` is the job as it was last seen.
    """

    def __init__(
        self,
        client: openai.OpenAI,
        job: str,
        *,
        come_back: str,
        tell: Callable[[float, str], None] = _print,
        bar: bool = True,
    ) -> None:
        """Look at the job with the id `job` for the first time.

        `come_back` is what to type to watch it again. `tell` gets each event: when, and its message.
        """
        self._given, self._tell, self._come_back = client, tell, come_back
        self.client = client.with_options(timeout=_ANSWER_SECONDS)
        self.job: FineTuningJob = client.fine_tuning.jobs.retrieve(job)
        self._card, self._progress, self._bar = Card(), Progress(), bar
        self._seen: set[str] = set()
        self._lost_at: float | None = None
        self._tried_for = 0.0
        self._pause = 0.0

    def watch(self) -> FineTuningJob:
        """Show how the job goes. Returns it when it is over.

        Raises:
            LessonError: the host could not be reached for ten minutes.
        """
        try:
            while not self._look():
                time.sleep(max(PAUSE, self._pause))
        finally:
            self._card.close()
        return self.job

    def lines(self, news: list[FineTuningJobEvent]) -> list[Line]:
        """What to tell of new events, oldest first."""
        return [(event.created_at, event.message) for event in news if event.type != "metrics"]

    def _look(self) -> bool:
        """Fetch and show the news. Returns whether the job is over."""
        try:
            answer = self.client.fine_tuning.jobs.with_raw_response.retrieve(self.job.id)
            job, self._pause = answer.parse(), _pause(answer.headers)
            news = self._news()
            lines = self.lines(news)
        except _LOST:
            self._wait_for_it()
            return False
        if self._lost_at is not None:
            self._say(time.time(), "The connection is back.")
            self._lost_at = None
        self.job = job
        self._seen.update(event.id for event in news)
        self._show(news, lines)
        return job.status in ENDED

    def _wait_for_it(self) -> None:
        now = time.monotonic()
        if self._lost_at is None:
            self._tried_for = 0.0
            self._say(
                time.time(),
                f"The connection is lost. Trying again for {PATIENCE / 60:.0f} minutes; training may go on.",
            )
        else:
            self._tried_for += min(now - self._lost_at, _LONGEST_TRY)
        self._lost_at = now
        if self._tried_for > PATIENCE:
            raise LessonError(
                f"{self.client.base_url} could not be reached for {PATIENCE / 60:.0f} minutes. "
                f"Training may go on. Come back later with:  {self._come_back}"
            )
        find_again(self._given)
        self.client = self._given.with_options(timeout=_ANSWER_SECONDS)

    def _news(self) -> list[FineTuningJobEvent]:
        """The events that were not seen yet, oldest first."""
        new: list[FineTuningJobEvent] = []
        limit = 20 if self._seen else 100  # there is little news, once the beginning is known
        for event in self.client.fine_tuning.jobs.list_events(self.job.id, limit=limit):
            if event.id in self._seen:
                break
            new.append(event)
        return new[::-1]

    def _show(self, news: list[FineTuningJobEvent], lines: list[Line]) -> None:
        for event in news:
            self._progress.note(event.message, event.data)
        for created_at, message in lines:
            self._say(created_at, message)
        if self._bar:
            progress = self._progress
            progress.model = self.job.fine_tuned_model or self.job.model
            progress.state, progress.finish = self.job.status, self.job.estimated_finish
            self._card.show(progress.text(), progress.card)

    def _say(self, when: float, message: str) -> None:
        """Tell what happened: in a notebook on the card, elsewhere as a line of its own."""
        if self._bar and in_notebook():
            self._progress.log.append(line_of(when, message))
        else:
            self._card.clear()
            self._tell(when, message)


def _pause(headers: Mapping[str, str]) -> float:
    """How many seconds the host asks followers to wait, as OpenAI does in this header; 0 if it does not."""
    milliseconds = headers.get("openai-poll-after-ms", "")
    return min(int(milliseconds) / 1000, _LONGEST_PAUSE) if milliseconds.isdecimal() else 0.0


def reason(job: FineTuningJob) -> str:
    """Why a job failed."""
    return job.error.message if job.error and job.error.message else "no reason was given"
