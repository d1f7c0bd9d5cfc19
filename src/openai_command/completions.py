"""The word ``completions.create``: a prompt, and what a model says after it."""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterable, Iterator
from typing import Any

from openai_command.answers import add_options, chosen, remark_on_end, show_texts
from openai_command.clients import client_for
from openai_command.printing import speak

_MORE = ("echo", "suffix", "best_of", "user", "frequency_penalty", "presence_penalty", "logprobs", "max_tokens")


def register(commands: argparse._SubParsersAction) -> None:
    """Add the word to ``openai api``."""
    parser = commands.add_parser("completions.create", help="let a model continue a prompt")
    parser.add_argument("-p", "--prompt", help="what to continue")
    add_options(parser)
    parser.add_argument("--logprobs", type=int, metavar="N", help="tell how likely each token was, and N others")
    parser.add_argument("--best_of", type=int, metavar="N", help="make N answers and show the likeliest")
    parser.add_argument(
        "--echo", action="store_true", default=None, help="let the host repeat the prompt (it is shown anyway)"
    )
    parser.add_argument("--frequency_penalty", type=float, help="above 0: fewer repetitions")
    parser.add_argument("--presence_penalty", type=float, help="above 0: more that is new")
    parser.add_argument("--suffix", help="what comes after the answer")
    parser.add_argument("--user", help="a name for whoever asks")
    parser.set_defaults(run=_create)


def _create(arguments: argparse.Namespace) -> int:
    prompt = arguments.prompt or ""
    request = chosen(arguments, *_MORE) | {"prompt": prompt}
    completions = client_for(arguments).completions
    shown = "" if arguments.echo else prompt
    if arguments.stream:
        choices = list(_stream(completions.create(**request, stream=True), shown))
    else:
        answer = completions.create(**request)
        choices = sorted(answer.choices, key=lambda choice: choice.index)
        show_texts([shown + choice.text for choice in choices], "Completion")
    if arguments.logprobs is not None:
        _show_logprobs(choice.logprobs for choice in choices)
    if choices:
        remark_on_end(arguments, choices[-1].finish_reason)
    return 0


def _stream(pieces: Any, shown: str) -> Iterator[Any]:
    """Print the answer as it comes, behind what is `shown` first. Gives back what came."""
    text = shown
    speak(text)
    for piece in pieces:
        for choice in piece.choices:
            text = choice.text or text
            speak(choice.text)
            yield choice
    print(end="" if text.endswith("\n") else "\n")


def _show_logprobs(found: Iterable[Any]) -> None:
    """A table: each token, its probability, and what else was likely there."""
    print(f"\n{'token':<20} probability   others")
    for logprobs in found:
        if logprobs is None:
            continue
        others = logprobs.top_logprobs or [None] * len(logprobs.tokens)
        for token, logprob, near in zip(logprobs.tokens, logprobs.token_logprobs, others, strict=True):
            rest = {name: value for name, value in (near or {}).items() if name != token}
            print(f"{token!r:<20} {_percent(logprob):>11}   {_others(rest)}".rstrip())


def _others(rest: dict[str, float]) -> str:
    likeliest = sorted(rest.items(), key=lambda item: -item[1])
    return "  ".join(f"{name!r} {_percent(value)}" for name, value in likeliest)


def _percent(logprob: float | None) -> str:
    """A log-probability in percent. The first token of an echo has none."""
    return "" if logprob is None else f"{math.exp(logprob):.1%}"
