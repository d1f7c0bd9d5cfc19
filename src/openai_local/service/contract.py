"""The official client's own types as the service's contract.

pydantic can check a request against the client's ``…Params`` directly, but reads ``Iterable[X]`` as a generator
that is checked only when it is walked; inside a union that swallows texts and lists alike. So every such
annotation is read as a list first.

A request that is wrong in a million places must not cost more than one that is wrong in one. So lists are read up
to their first mistake, and lists and tables have an end. Numbers that JSON does not know (NaN) are refused.
"""

from __future__ import annotations

import collections.abc
from types import UnionType
from typing import Annotated, Any, Literal, NotRequired, Required, Union, get_args, get_origin

from pydantic import ConfigDict, GetCoreSchemaHandler, TypeAdapter
from pydantic_core import CoreSchema
from typing_extensions import TypedDict, get_type_hints, is_typeddict

MOST_ITEMS = 8192
"""How many items a list or a table in a request may have: twice as many tokens as a model can read."""
_LISTS = {collections.abc.Iterable, collections.abc.Sequence, list}


def contract(params: Any, **overrides: Any) -> TypeAdapter[dict[str, Any]]:
    """A checker for one of the client's ``…Params`` types.

    Args:
        params: the type.
        overrides: other types for some of its fields.

    Returns:
        A pydantic adapter. Parameters that the type does not know are kept, to be refused by name.
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


class _Ends:
    """Tells pydantic that a list or a table ends with `MOST_ITEMS`, and is read up to its first mistake."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        schema: Any = handler(source)
        return {**schema, "max_length": MOST_ITEMS, "fail_fast": True}


_ENDS = _Ends()
