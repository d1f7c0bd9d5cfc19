"""The official client's own types as the service's contract, and the JSON bodies that are checked against it.

pydantic can check a request against the client's ``…Params`` directly, but reads ``Iterable[X]`` as a generator
that is checked only when it is walked; inside a union that swallows texts and lists alike. So every such
annotation is read as a list first.

A request that is wrong in a million places must not cost more than one that is wrong in one. So lists are read up
to their first mistake; bodies, lists and tables have an end. Numbers that JSON does not know (NaN) are refused.
"""

import collections.abc
import gc
from collections.abc import AsyncGenerator
from types import UnionType
from typing import Annotated, Any, Literal, NotRequired, Required, Union, get_args, get_origin

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic_core import from_json
from starlette.requests import Request
from typing_extensions import TypedDict, get_type_hints, is_typeddict

from openai_local.service.errors import APIError, brief, invalid, too_long, unsupported

MOST_BYTES = 1 << 20  # how long a JSON body may be. What fits into a model's context is a fiftieth of it.
MOST_PAIRS, MOST_KEY, MOST_VALUE = 16, 64, 512
"""How many pairs metadata may have, and how many characters their keys and values, as at OpenAI."""
MOST_ITEMS = 8192
"""How many items a list or a table in a request may have: twice as many tokens as a model can read."""
_ENDS = Field(max_length=MOST_ITEMS, fail_fast=True)  # read up to the first mistake
_LISTS = {collections.abc.Iterable, collections.abc.Sequence, list}


def contract(params: Any, **overrides: Any) -> TypeAdapter[dict[str, Any]]:
    """A checker for one of the client's ``…Params`` types, with other types for some of its fields.

    Parameters that the type does not know are kept, to be refused by name (`refuse`).
    """
    checked = _as_lists(params, {})
    others = {name: _as_lists(override, {}) for name, override in overrides.items()}
    fields = get_type_hints(checked, include_extras=True) | others
    return TypeAdapter(_typed_dict(params.__name__, fields))


def _typed_dict(name: str, fields: dict[str, Any]) -> Any:
    make: Any = TypedDict
    made = make(name, fields, total=False)
    made.__pydantic_config__ = ConfigDict(allow_inf_nan=False, extra="allow")
    return made


def _as_lists(annotation: Any, known: dict[Any, Any]) -> Any:
    """The same annotation with lists for iterables, below `TypedDict` classes too."""
    if is_typeddict(annotation):
        if annotation not in known:
            known[annotation] = annotation  # a class that contains itself keeps its generators there
            hints = get_type_hints(annotation, include_extras=True)
            fields = {name: _as_lists(hint, known) for name, hint in hints.items()}
            known[annotation] = _typed_dict(annotation.__name__, fields)
        return known[annotation]
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin in (None, Literal):
        return annotation
    if origin is Annotated:
        return _as_lists(inner[0], known)
    parts = tuple(_as_lists(part, known) for part in inner)
    if origin in (Union, UnionType):
        return Union[parts]  # noqa: UP007
    if origin in (Required, NotRequired):
        return Required[parts[0]] if origin is Required else parts[0]
    if origin in _LISTS or getattr(origin, "__name__", "") == "SequenceNotStr":
        return Annotated[list[parts[0]], _ENDS]  # type: ignore[valid-type]
    whole = origin[parts if len(parts) > 1 else parts[0]]
    return Annotated[whole, _ENDS] if origin is dict else whole


async def read_body(request: Request, adapter: TypeAdapter[dict[str, Any]]) -> dict[str, Any]:
    """The JSON body of a request that its `contract` takes, without nulls. Raises `APIError` (400 or 413)."""
    message = f"The body of this request may have {MOST_BYTES >> 20} MB at most. Send less at a time."
    too_large = APIError(413, message, code="request_too_large")
    raw = bytearray()
    async for piece in pieces(request, MOST_BYTES, too_large):
        raw += piece
    gc.disable()  # a million small lists would set it off again and again, each time for the whole program
    try:
        # Not with `validate_json`: for each mistake that would make Python's objects of all that is around it.
        body = adapter.validate_python(from_json(raw or b"null"), strict=True)
    except ValidationError as error:
        raise _explain(error) from None
    except ValueError as error:
        raise APIError(400, f"The body of the request is not valid JSON: Invalid JSON: {error}.") from None
    finally:
        gc.enable()
    return {name: value for name, value in body.items() if value is not None}


async def pieces(request: Request, most: int, too_large: APIError) -> AsyncGenerator[bytes, None]:
    """The body as it comes. Raises `too_large` as soon as it has, or says that it has, more than `most` bytes."""
    received = 0
    if said_length(request) > most:
        raise too_large
    async for chunk in request.stream():
        received += len(chunk)
        if received > most:
            raise too_large
        yield chunk


def said_length(request: Request) -> int:
    """How many bytes a request says that its body has; 0 if it does not say."""
    length = request.headers.get("content-length", "")
    return int(length) if length.isdecimal() else 0


def _explain(error: ValidationError) -> APIError:
    first, *others = error.errors(include_url=False, include_input=False)
    param = _name(first["loc"])
    if not param:
        return APIError(400, "The body of the request must be a JSON object.")
    if first["type"] == "missing":
        message = f"Missing required parameter: '{param}'."
        return APIError(400, message, param=param, code="missing_required_parameter")
    here = [first, *(other for other in others if _name(other["loc"]) == param)]
    for problem in here:
        if problem["type"] == "too_long" and problem["ctx"]["field_type"] == "List":
            return too_long(param, "array", problem["ctx"]["max_length"], "more")
    reasons = "; or: ".join([*dict.fromkeys(problem["msg"] for problem in here)][:3])
    said = reasons.replace("a valid list", "a valid array").replace("a valid dictionary", "an object")
    return invalid(param, f"Invalid value for '{param}': {said}.")


def _name(location: tuple[int | str, ...]) -> str:
    """``('hyperparameters', 'n_epochs', 'int')`` as ``hyperparameters.n_epochs``: names of unions' members go."""
    name = ""
    for part in location:
        if isinstance(part, int):
            name += f"[{part}]"
        elif part.isidentifier() and part.islower() and part not in ("int", "str", "float", "bool"):
            name += f".{part}" if name else part
    return brief(name)


def refuse(body: dict[str, Any], offered: frozenset[str], harmless: dict[str, Any]) -> None:
    """Raise `APIError` (400) for the first parameter in a body that the service does not offer.

    Those `offered` work, and the `harmless` do at a value at which they ask for nothing; a tuple holds several.
    """
    for name, value in body.items():
        nothing = harmless.get(name, ())
        if name not in offered and not (value in nothing if isinstance(nothing, tuple) else value == nothing):
            raise unsupported(name)


def check_metadata(body: dict[str, Any]) -> None:
    """Raise `APIError` (400) for metadata of more or longer pairs than at OpenAI."""
    pairs = body.get("metadata", {})
    if len(pairs) > MOST_PAIRS or any(len(k) > MOST_KEY or len(v) > MOST_VALUE for k, v in pairs.items()):
        message = (
            f"'metadata' may have {MOST_PAIRS} pairs, with keys of up to {MOST_KEY} and values of up to "
            f"{MOST_VALUE} characters."
        )
        raise invalid("metadata", message)
