"""A class of ten on this machine, to look at: ``make class-demo``.

Starts a service with an empty home, which only this machine reaches. Ten simulated learners come one after the
other, and each goes through the lesson with a few questions; one of them makes a mistake first. The instructor's
page shows it all. It stays open until Enter is pressed; without a terminal the demo ends when the learners are
done. Then the service is stopped, and its home is removed.
"""

from __future__ import annotations

import signal
import sys
import threading
import time
from types import FrameType

import openai

from openai_local.classroom.handout import Strip, page_url
from sent import Sent
from service import Service, service
from simulated import Learner, hand_out, mixed_up

LEARNERS = 10
EPOCHS = 10
APART = 4.0
"""Seconds between a learner and the next. A training takes longer, so that a queue grows."""
CLUMSY = 3
"""The number of the learner who makes a mistake."""
MISTAKE = b'{"prompt": "What is the word?"}\n'


def say(text: str = "") -> None:
    """Tell what happens."""
    print(text, flush=True)


class Attendance:
    """One simulated learner in a thread of their own."""

    def __init__(self, url: str, number: int, strip: Strip) -> None:
        """The learner comes when it is their turn by `number`; `strip` is theirs of the hand-out."""
        self._url, self._number, self._strip = url, number, strip
        self.learner = Learner(strip.name, number, url, strip.key, epochs=EPOCHS, tell=self._say)
        self._thread = threading.Thread(target=self._attend, daemon=True)
        self._thread.start()

    def wait(self) -> None:
        """Until the learner is done."""
        self._thread.join()

    def _attend(self) -> None:
        time.sleep(APART * (self._number - 1))
        if self._number == CLUMSY:
            self._stumble()
        self.learner.learn()

    def _stumble(self) -> None:
        """Train with a file in which an answer is missing."""
        client = Sent().client(self._url, self._strip.key)
        try:
            file = client.files.create(file=("mistake.jsonl", MISTAKE), purpose="fine-tune")
            client.fine_tuning.jobs.create(model="ada", training_file=file.id)
            self._say("has forgotten an answer in mistake.jsonl; that job fails")
            time.sleep(2 * APART)
        except openai.OpenAIError as error:
            self._say(f"can't train: {error}")

    def _say(self, text: str) -> None:
        say(f"{time.strftime('%H:%M:%S')}  {self._strip.name} {text}")


def attend(found: Service) -> None:
    """Tell where the page is, let all learners go through the lesson, and tell how it went."""
    url, strips = str(found.client.base_url).rstrip("/"), hand_out(found.home.path)
    [path] = found.home.path.glob("handout-*.html")
    instructor = next(strip for strip in strips if strip.instructor)
    say(f"The instructor's page:  {page_url(url)}")
    say(f"The key to enter there:  {instructor.key}")
    say(f"The hand-out with everybody's keys:  {path}\n")
    learners = [strip for strip in strips if not strip.instructor]
    present = [Attendance(url, number, strip) for number, strip in enumerate(learners, 1)]
    for each in present:
        each.wait()
    notes = [each.learner.notes for each in present]
    done = sum(bool(each.answers) and not each.error for each in notes)
    mixed = sum(len(mixed_up(each, notes)) for each in notes)
    say(f"\n{done} of {LEARNERS} learners have trained a model and asked it.")
    say(f"Words, files and jobs of others that they were told of: {mixed}.")


def _stop(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def main() -> None:
    """Show the class."""
    for name in ("SIGTERM", "SIGHUP"):  # a terminal that is closed ends the demo in good order too
        if number := getattr(signal, name, None):
            signal.signal(number, _stop)
    try:
        say(f"Starting a service for a class of {LEARNERS}, on this machine only.")
        with service("--learners", str(LEARNERS)) as found:
            attend(found)
            if sys.stdin.isatty():
                say("The page stays open. Press Enter to end.")
                sys.stdin.readline()
    except KeyboardInterrupt:
        say()
    say("The service is stopped, and its folder is removed.")


if __name__ == "__main__":
    main()
