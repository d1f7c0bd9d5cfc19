"""The words that ask a model: ``completions.create``, and ``chat.completions.create`` under both its names."""

import argparse
import math
from collections.abc import Iterable, Iterator
from typing import Any

from openai_command.api_words import client_for, note, speak
from openai_data.errors import LessonError

_REQUESTED = "temperature top_p n stop".split()
_OF_PROMPTS = "echo suffix best_of user frequency_penalty presence_penalty logprobs max_tokens".split()


def register(commands: argparse._SubParsersAction) -> None:
    """Add the words to ``openai api``."""
    parser = commands.add_parser("completions.create", help="let a model continue a prompt")
    parser.add_argument("-p", "--prompt", default="", help="what to continue")
    _add_options(parser)
    parser.add_argument("--logprobs", type=int, metavar="N", help="tell how likely each token was, and N others")
    parser.add_argument("--best_of", type=int, metavar="N", help="make N answers and show the likeliest")
    repeated = "let the host repeat the prompt (it is shown anyway)"
    parser.add_argument("--echo", action="store_true", default=None, help=repeated)
    parser.add_argument("--frequency_penalty", type=float, help="above 0: fewer repetitions")
    parser.add_argument("--presence_penalty", type=float, help="above 0: more that is new")
    parser.add_argument("--suffix", help="what comes after the answer")
    parser.add_argument("--user", help="a name for whoever asks")
    parser.set_defaults(run=_continue)
    for word in ("chat.completions.create", "chat_completions.create"):
        parser = commands.add_parser(word, help="ask a model in a conversation")
        what, parts = "a message, such as  -g user 'Who are you?'  (once for each)", ("ROLE", "CONTENT")
        parser.add_argument("-g", "--message", action="append", nargs=2, metavar=parts, required=True, help=what)
        _add_options(parser)
        parser.set_defaults(run=_converse)


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-m", "--model", "-e", "--engine", required=True, help="the model, or engine, to ask")
    parser.add_argument("-M", "--max-tokens", type=int, help="how long an answer may become")
    parser.add_argument("-t", "--temperature", type=float, help="0: the likeliest answer; up to 2: surprises")
    parser.add_argument("-P", "--top_p", type=float, help="choose among tokens of this share of probability")
    parser.add_argument("-n", "--n", type=int, help="how many answers")
    parser.add_argument("--stop", help="a text that ends an answer")
    parser.add_argument("--stream", action="store_true", help="show the answer as it comes")


def _continue(arguments: argparse.Namespace) -> None:
    request = _request(arguments, _REQUESTED + _OF_PROMPTS) | {"prompt": arguments.prompt}
    shown = "" if arguments.echo else arguments.prompt
    choices = _print_answers(client_for(arguments).completions, request, arguments.stream, shown)
    if arguments.logprobs is not None:
        _print_logprobs(choice.logprobs for choice in choices)
    if choices and choices[-1].finish_reason == "length" and arguments.max_tokens is None:
        note("The answer was cut off: it may have 16 tokens unless you say more, for example  -M 100")


def _converse(arguments: argparse.Namespace) -> None:
    request = _request(arguments, _REQUESTED)
    request["messages"] = [{"role": role, "content": content} for role, content in arguments.message]
    if arguments.max_tokens is not None:
        request["max_completion_tokens"] = arguments.max_tokens
    _print_answers(client_for(arguments).chat.completions, request, arguments.stream)


def _request(arguments: argparse.Namespace, names: list[str]) -> dict[str, Any]:
    """The model, and those of the options that were given."""
    if arguments.stream and (arguments.n or 1) > 1:
        raise LessonError("Only one answer can be streamed. Leave out --stream, or -n.")
    given = {name: value for name in names if (value := getattr(arguments, name)) is not None}
    return {"model": arguments.model, **given}


def _print_answers(completions: Any, request: dict[str, Any], stream: bool, shown: str = "") -> list[Any]:
    """Print one answer behind what is `shown` first, or several below their numbers. Returns the choices."""
    if stream:
        return list(_print_stream(completions.create(**request, stream=True), shown))
    choices = sorted(completions.create(**request).choices, key=lambda choice: choice.index)
    for number, choice in enumerate(choices):
        if len(choices) > 1:
            print(f"===== {'Chat ' if 'messages' in request else ''}Completion {number} =====")
        text = shown + _text(choice)
        speak(text if text.endswith("\n") else f"{text}\n")
    return choices


def _print_stream(pieces: Any, shown: str) -> Iterator[Any]:
    """Print an answer as it comes. Gives back what came."""
    last = shown
    speak(shown)
    for piece in pieces:
        for choice in piece.choices:
            speak(_text(choice))
            last = _text(choice) or last
            yield choice
    print(end="" if last.endswith("\n") else "\n")


def _text(choice: Any) -> str:
    """What was said: a continuation, a message, or a piece of either that is streamed."""
    if hasattr(choice, "text"):
        return choice.text or ""
    return (getattr(choice, "delta", None) or choice.message).content or ""


def _print_logprobs(found: Iterable[Any]) -> None:
    """A table: each token, its probability, and what else was likely there."""
    print(f"\n{'token':<20} probability   others")
    for logprobs in found:
        if logprobs is None:
            continue
        others = logprobs.top_logprobs or [None] * len(logprobs.tokens)
        for token, logprob, near in zip(logprobs.tokens, logprobs.token_logprobs, others, strict=True):
            likeliest = sorted((near or {}).items(), key=lambda item: -item[1])
            rest = "  ".join(f"{name!r} {_percent(value)}" for name, value in likeliest if name != token)
            print(f"{token!r:<20} {_percent(logprob):>11}   {rest}".rstrip())


def _percent(logprob: float | None) -> str:
    """A log-probability in percent. The first token of an echo has none."""
    return "" if logprob is None else f"{math.exp(logprob):.1%}"
