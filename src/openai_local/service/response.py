"""The response of ``/v1/responses``: the object as it grows, and the events that tell of it.

A response here has one message with one text. The events come in OpenAI's order: the response is created and in
progress, an item and a part of it begin, the text comes in deltas, and all of them end again.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from openai.types.responses import Response

from openai_local.service.errors import APIError
from openai_local.service.generation import Piece, Usage
from openai_local.service.logprobs import content
from openai_local.service.streaming import frame
from openai_local.training.job_folder import new_id

_PLACE = {"output_index": 0, "content_index": 0}


class Reply:
    """One response: what was asked for, and what was said so far."""

    def __init__(self, model: str, body: dict[str, Any]) -> None:
        """`model` is the full name of the model, `body` the request."""
        self._body, self._text = body, ""
        self._finish: str | None = None
        self._logprobs: list[dict[str, Any]] = []
        self._item_id, self._sequence = new_id("msg").replace("-", "_"), 0
        self._head: dict[str, Any] = {
            "id": new_id("resp").replace("-", "_"),
            "object": "response",
            "created_at": int(time.time()),
            "model": model,
            "error": None,
            "instructions": body.get("instructions"),
            "metadata": body.get("metadata", {}),
            "max_output_tokens": body.get("max_output_tokens"),
            "temperature": body.get("temperature", 1.0),
            "top_p": body.get("top_p", 1.0),
            "top_logprobs": body.get("top_logprobs", 0),
            "text": {"format": {"type": "text"}, **body.get("text", {})},
            "background": False,
            "parallel_tool_calls": body.get("parallel_tool_calls", True),
            "previous_response_id": None,
            "reasoning": {"effort": None, "summary": None},
            "service_tier": "default",
            "tool_choice": body.get("tool_choice", "auto"),
            "tools": [],
            "truncation": "disabled",
            **{name: body[name] for name in ("user", "safety_identifier", "prompt_cache_key") if name in body},
        }

    def whole(self, piece: Piece, usage: Usage) -> dict[str, Any]:
        """The response when all was said."""
        self._take(piece)
        return self._response(usage)

    def encode(self, item: Piece | Usage | APIError) -> Iterator[str]:
        """The events for a part of the answer, for its end, or for its failure."""
        if isinstance(item, APIError):
            yield self._event("error", code="server_error", message=item.message, param=item.param)
        elif isinstance(item, Usage):
            yield from self._end(item)
        else:
            if item.first:
                yield from self._begin()
            logprobs = self._take(item)
            if item.text:
                said = {"delta": item.text, "logprobs": _without_bytes(logprobs)}
                yield self._event("response.output_text.delta", item_id=self._item_id, **_PLACE, **said)

    def _take(self, piece: Piece) -> list[dict[str, Any]]:
        self._text += piece.text
        self._finish = piece.finish or self._finish
        logprobs = content(piece.tokens, self._body.get("top_logprobs", 0))
        self._logprobs += logprobs
        return logprobs

    def _begin(self) -> Iterator[str]:
        yield self._event("response.created", response=self._response())
        yield self._event("response.in_progress", response=self._response())
        item = {**self._item(), "content": []}
        yield self._event("response.output_item.added", output_index=0, item=item)
        yield self._event("response.content_part.added", item_id=self._item_id, **_PLACE, part=self._part())

    def _end(self, usage: Usage) -> Iterator[str]:
        said = {"text": self._text, "logprobs": _without_bytes(self._logprobs)}
        yield self._event("response.output_text.done", item_id=self._item_id, **_PLACE, **said)
        yield self._event("response.content_part.done", item_id=self._item_id, **_PLACE, part=self._part())
        yield self._event("response.output_item.done", output_index=0, item=self._item())
        yield self._event(f"response.{self._status()}", response=self._response(usage))

    def _event(self, kind: str, **fields: Any) -> str:
        data = {"type": kind, "sequence_number": self._sequence, **fields}
        self._sequence += 1
        return frame(data, kind)

    def _response(self, usage: Usage | None = None) -> dict[str, Any]:
        status = self._status()
        response = {
            **self._head,
            "status": status,
            "incomplete_details": {"reason": "max_output_tokens"} if status == "incomplete" else None,
            "output": [self._item()] if usage else [],
            "usage": _usage(usage) if usage else None,
        }
        if status == "completed":
            response["completed_at"] = int(time.time())
        Response.model_validate(response)
        return response

    def _status(self) -> str:
        return {"stop": "completed", "length": "incomplete", None: "in_progress"}[self._finish]

    def _item(self) -> dict[str, Any]:
        return {
            "id": self._item_id,
            "type": "message",
            "role": "assistant",
            "status": self._status(),
            "content": [self._part()],
        }

    def _part(self) -> dict[str, Any]:
        return {"type": "output_text", "text": self._text, "annotations": [], "logprobs": self._logprobs}


def _usage(usage: Usage) -> dict[str, Any]:
    return {
        "input_tokens": usage.prompt,
        "input_tokens_details": {"cached_tokens": usage.cached, "cache_write_tokens": 0},
        "output_tokens": usage.completion,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": usage.prompt + usage.completion,
    }


def _without_bytes(logprobs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Events have a shorter form of log-probabilities than the response."""
    return [
        {
            "token": entry["token"],
            "logprob": entry["logprob"],
            "top_logprobs": [{"token": top["token"], "logprob": top["logprob"]} for top in entry["top_logprobs"]],
        }
        for entry in logprobs
    ]
