"""Reading requests: JSON bodies checked against the official client's own types, and query parameters."""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter, ValidationError
from starlette.requests import Request

from openai_local.service.errors import APIError, brief

MOST_BYTES = 1 << 20
"""How long a JSON body may be. What fits into a model's context is a fiftieth of it."""
MOST_PAIRS, MOST_KEY, MOST_VALUE = 16, 64, 512
"""How many pairs metadata may have, and how many characters their keys and values, as at OpenAI."""


async def read_body(request: Request, adapter: TypeAdapter[dict[str, Any]]) -> dict[str, Any]:
    """The JSON body of a request, checked.

    Args:
        request: the request.
        adapter: made by `contract.contract`.

    Raises:
        APIError: 400, naming the parameter; 413, the body is too long.
    """
    raw = await _read(request)
    try:
        body = adapter.validate_json(raw or b"null", strict=True)
    except ValidationError as error:
        raise _explain(error) from None
    return {name: value for name, value in body.items() if value is not None}


async def _read(request: Request) -> bytearray:
    """The body; no more of it is read than it may have."""
    body = bytearray()
    if said_length(request) > MOST_BYTES:
        raise _too_large()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_BYTES:
            raise _too_large()
    return body


def said_length(request: Request) -> int:
    """How many bytes a request says that its body has; 0 if it does not say."""
    length = request.headers.get("content-length", "")
    return int(length) if length.isdecimal() else 0


def _too_large() -> APIError:
    message = f"The body of this request may have {MOST_BYTES >> 20} MB at most. Send less at a time."
    return APIError(413, message, code="request_too_large")


def _explain(error: ValidationError) -> APIError:
    first, *others = error.errors(include_url=False, include_input=False)
    if first["type"] == "json_invalid":
        return APIError(400, f"The body of the request is not valid JSON: {first['msg']}.")
    param = _name(first["loc"])
    if not param:
        return APIError(400, "The body of the request must be a JSON object.")
    if first["type"] == "missing":
        return APIError(
            400, f"Missing required parameter: '{param}'.", param=param, code="missing_required_parameter"
        )
    here = [first, *(other for other in others if _name(other["loc"]) == param)]
    for problem in here:
        if problem["type"] == "too_long" and problem["ctx"]["field_type"] == "List":
            return too_long(param, "array", problem["ctx"]["max_length"], "more")
    reasons = dict.fromkeys(problem["msg"] for problem in here)
    message = f"Invalid value for '{param}': {'; or: '.join([*reasons][:3])}."
    return APIError(400, message, param=param, code="invalid_value")


def _name(location: tuple[int | str, ...]) -> str:
    """``('hyperparameters', 'n_epochs', 'int')`` as ``hyperparameters.n_epochs``: names of unions' members go."""
    name = ""
    for part in location:
        if isinstance(part, int):
            name += f"[{part}]"
        elif (
            part.isidentifier()
            and part not in ("int", "str", "float", "bool", "constrained-str")
            and part.islower()
        ):
            name += f".{part}" if name else part
    return brief(name)


def too_long(param: str, what: str, most: int, has: int | str) -> APIError:
    """400 in OpenAI's words for a list or a text with too much in it.

    Args:
        param: the parameter.
        what: ``array`` or ``string``.
        most: how many items or characters it may have.
        has: how many it has.
    """
    message = f"Invalid '{param}': {what} too long. Expected one with maximum length {most}, but got {has}."
    return APIError(400, message, param=param, code=f"{what}_above_max_length")


def check_metadata(body: dict[str, Any]) -> None:
    """Refuse metadata of more or longer pairs than at OpenAI.

    Raises:
        APIError: 400.
    """
    pairs = body.get("metadata", {})
    if len(pairs) > MOST_PAIRS or any(len(k) > MOST_KEY or len(v) > MOST_VALUE for k, v in pairs.items()):
        message = (
            f"'metadata' may have {MOST_PAIRS} pairs, with keys of up to {MOST_KEY} and values of up to "
            f"{MOST_VALUE} characters."
        )
        raise APIError(400, message, param="metadata", code="invalid_value")


def refuse(body: dict[str, Any], offered: frozenset[str], harmless: dict[str, Any]) -> None:
    """Refuse parameters that the service does not offer, by name.

    Args:
        body: the request.
        offered: the parameters that work.
        harmless: others, with the value at which they ask for nothing; a tuple holds several.

    Raises:
        APIError: 400 with the first parameter that is neither.
    """
    for name, value in body.items():
        if name not in offered and not _asks_nothing(value, harmless.get(name, ())):
            raise APIError(
                400,
                f"This service does not offer the parameter '{brief(name)}'.",
                param=brief(name),
                code="unsupported_parameter",
            )


def _asks_nothing(value: Any, harmless: Any) -> bool:
    return value in harmless if isinstance(harmless, tuple) else value == harmless


def query_int(request: Request, name: str, default: int, highest: int) -> int:
    """A whole number from the query, from 1 to `highest`.

    Raises:
        APIError: 400, it is none.
    """
    text = request.query_params.get(name)
    if text is None:
        return default
    if not text.isdecimal() or len(text) > 9 or not 1 <= int(text) <= highest:
        raise APIError(
            400, f"'{name}' must be a whole number from 1 to {highest}.", param=name, code="invalid_value"
        )
    return int(text)
