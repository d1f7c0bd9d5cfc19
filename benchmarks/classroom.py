"""Answers for a class: 30 learners who ask at once, each a fine-tune of their own.

    .venv/bin/python benchmarks/classroom.py

In turn: the service with 30 fine-tunes, and llama.cpp's own server with one, which all ask, with 30 slots; once
with one thread, once with as many as there are cores. The comparison is with the faster of the two. The answers
have 30 to 60 tokens, the likeliest ones. Each learner's answer is compared with that to the same question asked
alone. At last the memory of the service when 10, 30 and 60 fine-tunes have been asked.
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
ROUNDS = 3
COUNTS = (10, 30, 60)


@dataclass(frozen=True)
class Round:
    """All answers of one round, and how many seconds it took; `errors` came instead of answers."""

    answers: list[Asked]
    errors: list[str]
    seconds: float

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
    answers = [answer for answer in said if isinstance(answer, Asked)]
    return Round(answers, [error for error in said if isinstance(error, str)], seconds)


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
        sum(len(round_.errors) for round_ in rounds),
    ]


def main() -> None:
    """Measure and print."""
    with service() as found:
        model = fine_tune(found)
        names = copies(found, model, max(COUNTS))
        tell("asking alone")
        alone = [
            ask(found.client, model.name, question, tokens).text
            for question, tokens in zip(questions(), lengths(LEARNERS), strict=False)
        ]
        with llama_servers(model, slots=LEARNERS) as theirs:
            first, ours = at_once(found.client, names[:LEARNERS]), list[Round]()
            others: dict[str, list[Round]] = {name: [] for name in theirs}
            for number in range(ROUNDS):
                tell(f"round {number + 1} of {ROUNDS}")
                ours.append(at_once(found.client, names[:LEARNERS]))
                for name, client in theirs.items():
                    others[name].append(at_once(client, [model.name] * LEARNERS))
        best = max(map(pace, others.values()))
        rows = [
            row("the service, no fine-tune loaded yet", [first], best),
            row("the service, from then on", ours, best),
            *(row(name, rounds, best) for name, rounds in others.items()),
        ]
        headings = ["", "tokens per second", "of llama.cpp's", "first token, median, s", "answer, median, s"]
        print(f"{LEARNERS} learners, {ROUNDS} rounds; medians with the least and the greatest:\n")
        print(table([*headings, "longest, s", "longest / median", "errors"], rows))
        same = [
            sum(answer.text == text for answer, text in zip(round_.answers, alone, strict=True))
            for round_ in [first, *ours]
        ]
        print(f"\nAnswers as when asked alone: {sum(same)} of {len(same) * LEARNERS}.\n")
    print(table(["fine-tunes asked, 30 at once", "memory of the service, MB"], remembered()))


def remembered() -> list[list[object]]:
    """The memory of a new service after so many fine-tunes were asked."""
    rows = list[list[object]]()
    with service() as found:
        model = fine_tune(found)
        rows.append(["none", f"{memory(found):.0f}"])
        names = copies(found, model, max(COUNTS))
        for count in COUNTS:
            tell(f"{count} fine-tunes")
            for start in range(0, count, LEARNERS):
                at_once(found.client, names[start : min(count, start + LEARNERS)])
            rows.append([count, f"{memory(found):.0f}"])
    return rows


if __name__ == "__main__":
    main()
