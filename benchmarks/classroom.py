"""Answers for a class: 30 learners who ask at once, each a fine-tune of their own.

    .venv/bin/python benchmarks/classroom.py

In turn: the service with 30 fine-tunes, and llama.cpp's own server with one, which all ask, with 30 slots. (It has
one thread or as many as there are cores, whichever is faster for four learners.) The answers have 30 to 60 tokens,
the likeliest ones. Each learner's answer is compared with that to the same question asked alone. Then 30
fine-tunes are asked that nobody asked before, twice. In between the service's memory is looked at.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Barrier

import openai
import psutil

from asking import Asked, ask, copies, fine_tune, llama_servers, questions
from machine import spread, table, tell
from service import Service, service

LEARNERS = 30
ROUNDS = 2
FEW = 10


@dataclass(frozen=True)
class Round:
    """What each learner got in one round, an answer or an error, and how many seconds all took."""

    said: list[Asked | str]
    seconds: float

    @property
    def answers(self) -> list[Asked]:
        """Those that are answers."""
        return [answer for answer in self.said if isinstance(answer, Asked)]

    @property
    def pace(self) -> float:
        """Tokens per second of all together."""
        return sum(answer.tokens for answer in self.answers) / self.seconds

    @property
    def waits(self) -> list[float]:
        """Seconds from the request to the end of the answer."""
        return [answer.whole for answer in self.answers]


def lengths(count: int) -> list[int]:
    """How many tokens each learner asks for: from 30 to 60, mixed."""
    return [30 + 7 * number % 31 for number in range(count)]


def at_once(client: openai.OpenAI, models: Sequence[str]) -> Round:
    """Each model is asked a question of its own, all at the same moment."""
    start = Barrier(len(models))

    def learner(number: int) -> Asked | str:
        start.wait()
        try:
            return ask(client, models[number], questions()[number], lengths(len(models))[number])
        except openai.OpenAIError as error:
            return f"{type(error).__name__}: {error}"

    with ThreadPoolExecutor(len(models)) as pool:
        begun = time.perf_counter()
        said = list(pool.map(learner, range(len(models))))
        seconds = time.perf_counter() - begun
    return Round(said, seconds)


def memory(found: Service) -> float:
    """What the service's process takes, in MB; what it shares with others counts for its part where known."""
    info = psutil.Process(found.pid).memory_full_info()
    return getattr(info, "pss", info.rss) / 2**20


def pace(rounds: list[Round]) -> float:
    """The median of the tokens per second."""
    return statistics.median(round_.pace for round_ in rounds)


def row(name: str, rounds: list[Round], best: float) -> list[object]:
    """What was seen in some rounds, compared with the tokens per second of llama.cpp's server."""
    medians = [statistics.median(round_.waits) for round_ in rounds]
    longest = [max(round_.waits) for round_ in rounds]
    ratios = [longest_ / median for longest_, median in zip(longest, medians, strict=True)]
    first = [statistics.median(answer.first for answer in round_.answers) for round_ in rounds]
    return [
        name,
        spread([round_.pace for round_ in rounds]),
        f"{pace(rounds) / best:.2f}",
        spread(first),
        spread(medians),
        spread(longest),
        spread(ratios, 2),
        sum(len(round_.said) - len(round_.answers) for round_ in rounds),
    ]


def faster(theirs: dict[str, openai.OpenAI], model: str) -> str:
    """Which of llama.cpp's servers answers four learners faster."""
    for client in theirs.values():
        ask(client, model, questions()[0], 1)
    return max(theirs, key=lambda name: at_once(theirs[name], [model] * 4).pace)


def main() -> None:
    """Measure and print."""
    with service() as found:
        model = fine_tune(found)
        names = copies(found, model, 3 * LEARNERS)
        tell("asking alone")
        alone = [
            ask(found.client, model.name, question, tokens).text
            for question, tokens in zip(questions(), lengths(LEARNERS), strict=False)
        ]
        ours, others, remembered = list[Round](), list[Round](), {1: memory(found)}
        for count in (FEW, LEARNERS):
            at_once(found.client, names[:count])
            remembered[count] = memory(found)
        with llama_servers(model, slots=LEARNERS) as theirs:
            name = faster(theirs, model.name)
            for number in range(ROUNDS):
                tell(f"round {number + 1} of {ROUNDS}")
                ours.append(at_once(found.client, names[:LEARNERS]))
                others.append(at_once(theirs[name], [model.name] * LEARNERS))
        new = list[Round]()
        for asked in (LEARNERS, 2 * LEARNERS):
            new.append(at_once(found.client, names[asked : asked + LEARNERS]))
            remembered[asked + LEARNERS] = memory(found)
    best = pace(others)
    rows = [
        row("the service, each a fine-tune of their own", ours, best),
        row("the service, fine-tunes never asked before", new, best),
        row(f"{name}, one fine-tune", others, best),
    ]
    headings = ["", "tokens per second", "of llama.cpp's", "first token, median, s", "answer, median, s"]
    print(f"{LEARNERS} learners, {ROUNDS} rounds; medians with the least and the greatest:\n")
    print(table([*headings, "longest, s", "longest / median", "errors"], rows))
    said = [pair for round_ in [*ours, *new] for pair in zip(round_.said, alone, strict=True)]
    same = sum(isinstance(answer, Asked) and answer.text == text for answer, text in said)
    print(f"\nAnswers that are as when asked alone: {same} of {len(said)}.\n")
    megabytes = [[count, f"{size:.0f}"] for count, size in remembered.items()]
    print(table(["fine-tunes asked", "memory of the service, MB"], megabytes))


if __name__ == "__main__":
    main()
