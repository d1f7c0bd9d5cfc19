"""Answers that are one object or a page of many, in OpenAI's form."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from openai import BaseModel
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from openai_local.service.errors import brief, invalid
from openai_local.service.store import Page, UnknownCursorError


def plain(item: BaseModel) -> dict[str, Any]:
    """An object as it goes out."""
    return item.to_dict(mode="json", warnings=False)


def one(item: BaseModel, headers: dict[str, str] | None = None) -> Response:
    """An answer that is one object."""
    return JSONResponse(plain(item), headers=headers)


def page(
    request: Request, fetch: Callable[..., Page[Any]], *, default: int, highest: int, ends: bool = False
) -> Response:
    """An answer that is a page of a list: behind `after`, at most `limit` objects.

    Args:
        request: the request with these two in its query.
        fetch: takes both and returns the page; its objects may be as they go out already.
        default: the `limit` if none is given.
        highest: the highest that may be given.
        ends: whether the answer tells the ids of its first and last object, as some lists of OpenAI's do.

    Raises:
        APIError: 400, one of the two makes no sense.
    """
    after = request.query_params.get("after")
    try:
        found = fetch(after=after, limit=_limit(request, default, highest))
    except UnknownCursorError:
        named = brief(str(after))
        message = f"'after' must be the id of an object in this list; {named!r} is none."
        raise invalid("after", message) from None
    answer: dict[str, Any] = {
        "object": "list",
        "data": [item if isinstance(item, dict) else plain(item) for item in found],
    }
    if ends:
        answer |= {"first_id": found[0].id if found else None, "last_id": found[-1].id if found else None}
    return JSONResponse({**answer, "has_more": found.has_more})


def _limit(request: Request, default: int, highest: int) -> int:
    text = request.query_params.get("limit", str(default))
    if not text.isdecimal() or len(text) > 9 or not 1 <= int(text) <= highest:
        raise invalid("limit", f"'limit' must be a whole number from 1 to {highest}.")
    return int(text)
