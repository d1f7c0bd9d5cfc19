"""Answers for one learner, next to llama.cpp's own server.

    .venv/bin/python benchmarks/answering.py

Both answer from the same files, over HTTP to the official client, streamed, in turn: a question at the service, at
llama.cpp's server with one thread, and at one with as many threads as there are which is its default. The
answers have 48 tokens, the likeliest ones. Then how long a first token takes of a model that is not loaded, and of
one that is, when the learner goes from model to model.
"""

from __future__ import annotations

import statistics

from asking import Asked, FineTune, ask, copies, fine_tune, llama_servers, questions
from machine import spread, table, tell
from service import Service, service

ROUNDS = 60
TOKENS = 48
MODELS = 8


def next_to_llama(found: Service, model: FineTune) -> str:
    """Time to the first token and tokens per second, here and there."""
    with llama_servers(model, slots=1) as theirs:
        hosts = {"the service": found.client, **theirs}
        asked: dict[str, list[Asked]] = {name: [] for name in hosts}
        for number, question in enumerate(questions()[: ROUNDS + 1]):
            tell(f"question {number} of {ROUNDS}")
            for name, client in hosts.items():
                answer = ask(client, model.name, question, TOKENS)
                if number:  # the first one loads the model
                    asked[name].append(answer)
    mine = asked["the service"]
    rows = []
    for name, answers in asked.items():
        ratios = [other.whole / own.whole for own, other in zip(mine, answers, strict=True)]
        rows.append(
            [
                name,
                spread([1000 * answer.first for answer in answers], 0),
                spread([answer.tokens / answer.whole for answer in answers]),
                f"{statistics.median(ratios):.2f}",
                sum(own.text == other.text for own, other in zip(mine, answers, strict=True)),
            ]
        )
    headings = ["", "first token, ms", "tokens per second", "the service is times as fast", "same answers"]
    return table(headings, rows)


def switching(found: Service, model: FineTune) -> str:
    """Time to the first token of models asked in turn, first when none of them is loaded."""
    names = copies(found, model, MODELS)
    question = questions()[0]
    new = [ask(found.client, name, question, 4).first for name in names]
    known = [ask(found.client, name, question, 4).first for _ in range(3) for name in names]
    rows = [
        [f"{MODELS} fine-tunes, none of them loaded", spread([1000 * seconds for seconds in new], 0)],
        ["the same in turn, three times more", spread([1000 * seconds for seconds in known], 0)],
    ]
    return table(["", "first token, ms"], rows)


def main() -> None:
    """Measure and print."""
    with service() as found:
        model = fine_tune(found)
        print(f"{ROUNDS} questions, {TOKENS} tokens each; medians with the least and the greatest:\n")
        print(next_to_llama(found, model))
        print(f"\n{switching(found, model)}")


if __name__ == "__main__":
    main()
