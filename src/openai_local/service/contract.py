"""The official client's own types as the service's contract.

pydantic can check a request against the client's ``…Params`` directly, but reads ``Iterable[X]`` as a generator
that is checked only when it is walked; inside a union that swallows texts and lists alike. So every such
annotation is read as a list first.
"""

from __future__ import annotations

import collections.abc
from types import UnionType
from typing import Annotated, Any, Literal, NotRequired, Required, Union, get_args, get_origin

from pydantic import ConfigDict, TypeAdapter
from typing_extensions import TypedDict, get_type_hints, is_typeddict

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
    fields = get_type_hints(checked, include_extras=True) | overrides
    whole: Any = _typed_dict(params.__name__, fields)
    whole.__pydantic_config__ = ConfigDict(extra="allow")
    return TypeAdapter(whole)


def _typed_dict(name: str, fields: dict[str, Any]) -> Any:
    return TypedDict(name, fields, total=False)  # type: ignore[operator]


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
        return list[parts[0]]  # type: ignore[valid-type]
    return origin[parts if len(parts) > 1 else parts[0]]
