"""A class on one machine: 100 learners at once, and 100 who follow one job.

    .venv/bin/python benchmarks/learners.py [--learners N] [--followers N] [--epochs N] [--turns N]

- Learners: each has a key, a file and a word of their own, and goes through the lesson with the official client
  (`simulated.Learner`). All upload in the same moment. A model is trained until it knows its word. At the end all
  ask in the same moment. The instructor's page looks every two seconds meanwhile. It is counted, from what each
  learner was told, what is lost and what was somebody else's.
- Followers: the lesson's data is trained alone, with so many followers as the notebooks' helper follows, and with
  as many of the streams of 2022, in turn. The followers run on this machine too, which they would not in a class:
  in one process with low priority, whose time is told apart.

With 0 learners or followers that part is left out.
"""

from __future__ import annotations

import argparse
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import psutil

from classroom import memory
from followed import compare, seconds_of, share
from machine import table, tell, timed
from sent import Sent
from service import Service, service
from simulated import ASKED, QUESTIONS, Learner, at_once, hand_out, lost, mixed_up

EPOCHS = 9
"""How often a learner's model sees its word."""
PAGE_SECONDS = 2.0
SHOWN = 10


class Page(threading.Thread):
    """The instructor's page, open while a class works; the service's memory is looked at as often.

    Attributes:
        sent: its requests.
        peak: the most memory, in MB.
        last: what the page showed last.
    """

    def __init__(self, found: Service, key: str) -> None:
        """`key` is the instructor's."""
        super().__init__(daemon=True)
        self.sent, self.peak, self.last = Sent(), 0.0, dict[str, Any]()
        self._found, self._over = found, threading.Event()
        self._client = self.sent.client(str(found.client.base_url), key)

    def run(self) -> None:
        """Look until `close`."""
        while not self._over.wait(PAGE_SECONDS):
            self.look()

    def look(self) -> None:
        """Look once."""
        self.peak = max(self.peak, memory(self._found))
        self.last = self._client.get("/class", cast_to=dict[str, Any])

    def close(self) -> None:
        """Look a last time."""
        self._over.set()
        self.join()
        self.look()
        self.sent.close()

    def knows(self, names: Iterable[str]) -> int:
        """How many of the learners it shows with one file, one job that succeeded, one model and all questions."""
        shown = {learner["name"]: learner for learner in self.last["learners"]}
        wanted = (1, {"succeeded": 1}, 1, ASKED + 1)
        return sum(
            tuple(shown.get(name, {}).get(what) for what in ("files", "jobs", "models", "asked")) == wanted
            for name in names
        )


def whole_class(count: int) -> None:
    """So many learners at once; prints what became of them."""
    with service("--learners", str(count)) as found:
        keys = hand_out(found.home.path)
        page = Page(found, next(strip.key for strip in keys if strip.instructor))
        url = str(found.client.base_url)
        learners = [
            Learner(strip.name, number, url, strip.key, epochs=EPOCHS, tell=_ends(strip.name))
            for number, strip in enumerate((strip for strip in keys if not strip.instructor), 1)
        ]
        page.start()
        tell(f"{count} learners begin")
        before = seconds_of(found.pid), seconds_of(psutil.Process().pid)
        seconds, _ = timed(lambda: at_once(learners, Learner.learn))
        after = seconds_of(found.pid), seconds_of(psutil.Process().pid)
        tell("all ask at once")
        burst, _ = timed(lambda: at_once(learners, lambda learner: learner.ask(QUESTIONS[:1])))
        page.close()
    service_share, learners_share = (share(b - a, seconds) for a, b in zip(before, after, strict=True))
    report(learners, page, seconds, burst, service_share, learners_share)


def _ends(name: str) -> Callable[[str], None]:
    """Tells only how a learner's training ended: a class has much to say."""
    return lambda text: tell(f"{name} {text}") if text.startswith(("sees", "can't")) else None


def report(
    learners: Sequence[Learner], page: Page, seconds: float, burst: float, service: str, clients: str
) -> None:
    """Print what became of a class, and how long its requests took."""
    notes = [learner.notes for learner in learners]
    missing = [problem for each in notes for problem in lost(each)]
    mixed = [problem for each in notes for problem in mixed_up(each, notes)]
    sent = [*(learner.sent for learner in learners), page.sent]
    errors = [error for each in sent for error in each.errors]
    answers = [len(each.answers) for each in notes]
    rows: list[list[object]] = [
        ["learners who came to the end", f"{sum(not each.error for each in notes)} of {len(notes)}"],
        ["from the first upload to the last answer, min", f"{seconds / 60:.1f}"],
        ["that is for each learner, s", f"{seconds / len(notes):.1f}"],
        ["then all ask at once, s until the last has an answer", f"{burst:.1f}"],
        ["answers", f"{sum(answers)} of {len(notes) * (ASKED + 1)}"],
        ["things that are lost or twice", len(missing)],
        ["things that are somebody else's", len(mixed)],
        ["learners whom the instructor's page shows with all that they did", page.knows(x.name for x in learners)],
        ["429 that were obeyed", sum(each.obeyed for each in sent)],
        ["other errors", len(errors)],
        ["memory of the service at most, MB", f"{page.peak:.0f}"],
        ["processor time of the service, of one core", service],
        ["processor time of all learners' clients, of one core", clients],
    ]
    print(f"### {len(learners)} learners\n")
    print(table(["", "seen"], rows) + "\n")
    print(table(["requests", "number", "median, ms", "99 of 100 within, ms", "slowest, ms"], request_rows(sent)))
    print(
        f"\nEach learner: {len(QUESTIONS)} examples, {EPOCHS} epochs, {ASKED} questions and then one more, all at "
        f"once. The page looks every {PAGE_SECONDS:.0f} s. That a request waits before it is asked again after a "
        "429 does not count."
    )
    for title, problems in (("Lost", missing), ("Mixed up", mixed), ("Errors", errors)):
        if problems:
            print(f"\n{title}:\n")
            print("\n".join(f"- {problem}" for problem in problems[:SHOWN]))


def request_rows(sent: Iterable[Sent]) -> list[list[object]]:
    """A row for each kind of request; the last question, which all ask at once, is a kind of its own."""
    kinds: dict[str, list[float]] = defaultdict(list)
    for each in sent:
        for kind, seconds in each.seconds.items():
            first = ASKED if kind == "ask" else len(seconds)
            kinds[kind] += seconds[:first]
            if seconds[first:]:
                kinds["ask, all at once"] += seconds[first:]
    return [
        [
            kind,
            len(seconds),
            *(f"{1000 * value:,.0f}" for value in (_part(seconds, 0.5), _part(seconds, 0.99), max(seconds))),
        ]
        for kind, seconds in sorted(kinds.items())
    ]


def _part(seconds: list[float], part: float) -> float:
    """The time within which this part of the requests was answered."""
    return sorted(seconds)[min(len(seconds) - 1, int(part * len(seconds)))]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="A class on one machine.")
    parser.add_argument("--learners", type=int, default=100, metavar="N")
    parser.add_argument("--followers", type=int, default=100, metavar="N")
    parser.add_argument("--epochs", type=int, default=2, metavar="N", help="of the job that is followed")
    parser.add_argument("--turns", type=int, default=3, metavar="N", help="how often it is trained in each way")
    arguments = parser.parse_args()
    if arguments.learners:
        whole_class(arguments.learners)
    if arguments.followers:
        print()
        compare(arguments.followers, arguments.epochs, arguments.turns)


if __name__ == "__main__":
    main()
