"""The stream of completions and chat completions: chunks with one choice each, the usage, and ``[DONE]``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from openai_local.service.errors import APIError
from openai_local.service.generation import Piece, Usage
from openai_local.service.sampling import wants_usage
from openai_local.service.streaming import DONE, frame


def chunks(
    head: dict[str, Any], choices: Callable[[Piece], Iterable[dict[str, Any]]], body: dict[str, Any]
) -> Callable[[Piece | Usage | APIError], Iterator[str]]:
    """An encoder for `Generation.streamed`.

    Args:
        head: what all chunks have in common.
        choices: turns a piece into the choices that tell it, one chunk each.
        body: the request, which may want the usage.
    """
    if wants_usage(body):
        head = {**head, "usage": None}

    def encode(item: Piece | Usage | APIError) -> Iterator[str]:
        if isinstance(item, Piece):
            yield from (frame({**head, "choices": [choice]}) for choice in choices(item))
        elif isinstance(item, APIError):
            yield frame(item.body())
        else:
            if wants_usage(body):
                yield frame({**head, "choices": [], "usage": item.openai()})
            yield DONE

    return encode
