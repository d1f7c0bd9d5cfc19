"""Reading requests: JSON bodies checked against the official client's own types, and query parameters."""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter, ValidationError
from starlette.requests import Request

from openai_local.service.errors import APIError


async def read_body(request: Request, adapter: TypeAdapter[dict[str, Any]]) -> dict[str, Any]:
    """The JSON body of a request, checked.

    Args:
        request: the request.
        adapter: made by `contract.contract`.

    Raises:
        APIError: 400, naming the parameter.
    """
    raw = await request.body()
    try:
        body = adapter.validate_json(raw or b"null", strict=True)
    except ValidationError as error:
        raise _explain(error) from None
    return {name: value for name, value in body.items() if value is not None}


def _explain(error: ValidationError) -> APIError:
    first, *others = error.errors(include_url=False, include_context=False)
    if first["type"] == "json_invalid":
        return APIError(400, f"The body of the request is not valid JSON: {first['msg']}.")
    param = _name(first["loc"])
    if not param:
        return APIError(400, "The body of the request must be a JSON object.")
    if first["type"] == "missing":
        return APIError(
            400, f"Missing required parameter: '{param}'.", param=param, code="missing_required_parameter"
        )
    reasons = dict.fromkeys([first["msg"], *(o["msg"] for o in others if _name(o["loc"]) == param)])
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
    return name


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
                f"This service does not offer the parameter '{name}'.",
                param=name,
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
    if not text.isdecimal() or not 1 <= int(text) <= highest:
        raise APIError(
            400, f"'{name}' must be a whole number from 1 to {highest}.", param=name, code="invalid_value"
        )
    return int(text)
