"""Compares JSON with a JSON schema, field by field, and more strictly than usual: what is not listed is wrong.

It reads both the schemas that pydantic makes of the client's types and those of OpenAI's description (OpenAPI 3.0
and 3.1, whose words for "nullable" and for open intervals differ). An object whose schema lists its properties has
these and no others; one that lists none (metadata, an event's data) may hold anything that its values allow.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

Schema = dict[str, Any]


@dataclass(frozen=True)
class Field:
    """One field that came, or that should have come. `path` has ``[]`` for each list."""

    path: str
    problem: str | None = None


def fields(value: Any, schema: Schema, root: Schema, path: str = "") -> list[Field]:
    """All fields of a value, and what is wrong with them.

    Args:
        value: parsed JSON.
        schema: what it should be.
        root: the document that ``$ref`` in it refers to.
        path: where the value stands.
    """
    schema = _resolve(schema, root)
    if value is None and schema.get("nullable"):
        return [Field(path)]
    for word in ("anyOf", "oneOf"):
        if word in schema:
            rest = {name: part for name, part in schema.items() if name not in ("anyOf", "oneOf", "nullable")}
            branches = [fields(value, _merge([rest, _resolve(b, root)]), root, path) for b in schema[word]]
            return min(branches, key=_badness)
    problem = wrong(value, schema)
    found = [Field(path, problem)]
    if problem is None and isinstance(value, dict):
        found += _properties(value, schema, root, path)
    if problem is None and isinstance(value, list):
        for item in value:
            found += fields(item, schema.get("items", {}), root, f"{path}[]")
    return found


def _badness(found: list[Field]) -> tuple[bool, int, int]:
    """Orders branches: first those whose type fits at all, then by what is wrong, then by what is known."""
    return found[0].problem is not None, sum(field.problem is not None for field in found), -len(found)


def _properties(value: dict[str, Any], schema: Schema, root: Schema, path: str) -> Iterator[Field]:
    known, others = schema.get("properties"), schema.get("additionalProperties")
    for name in schema.get("required", []):
        if name not in value:
            yield Field(f"{path}.{name}", "is missing")
    for name, part in value.items():
        if name in (known or {}):
            yield from fields(part, known[name], root, f"{path}.{name}")
        elif isinstance(others, dict):
            yield from fields(part, others, root, f"{path}.*")
        elif known:
            yield Field(f"{path}.{name}", "is not documented")
        else:
            yield Field(f"{path}.*")


def _resolve(schema: Any, root: Schema) -> Schema:
    """The schema itself, without ``$ref`` and ``allOf`` at its top."""
    if not isinstance(schema, dict):
        return {}
    if "$ref" in schema:
        target: Any = root
        for part in schema["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        rest = {name: part for name, part in schema.items() if name != "$ref"}
        return _merge([_resolve(target, root), rest])
    if "allOf" in schema:
        rest = {name: part for name, part in schema.items() if name != "allOf"}
        return _merge([rest, *(_resolve(part, root) for part in schema["allOf"])])
    return schema


def _merge(schemas: list[Schema]) -> Schema:
    whole: Schema = {}
    for schema in schemas:
        properties = whole.get("properties", {}) | schema.get("properties", {})
        required = [*whole.get("required", []), *schema.get("required", [])]
        whole = whole | schema
        if properties:
            whole["properties"] = properties
        if required:
            whole["required"] = list(dict.fromkeys(required))
    return whole


_TYPES = {
    "null": lambda value: value is None,
    "boolean": lambda value: isinstance(value, bool),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "string": lambda value: isinstance(value, str),
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
}


def wrong(value: Any, schema: Schema) -> str | None:
    """What is wrong with a value itself, its fields and items aside; or None."""
    types = schema.get("type") or ("object" if "properties" in schema else None)
    if types and not any(_TYPES[one](value) for one in ([types] if isinstance(types, str) else types)):
        return f"is {value!r:.40}, not {types}"
    if "const" in schema and value != schema["const"]:
        return f"is {value!r:.40}, not {schema['const']!r}"
    if "enum" in schema and value not in schema["enum"]:
        return f"is {value!r:.40}, none of {schema['enum']}"
    if isinstance(value, str) and not re.search(schema.get("pattern", ""), value):
        return f"is {value!r:.40}, which does not match {schema['pattern']}"
    if isinstance(value, int | float) and not isinstance(value, bool) and not _in_range(value, schema):
        return f"is {value}, out of range"
    if isinstance(value, str | list) and not _has_size(value, schema):
        return f"has {len(value)} parts, too few or too many"
    return None


def _in_range(value: float, schema: Schema) -> bool:
    low, high = schema.get("minimum", value), schema.get("maximum", value)
    above, below = schema.get("exclusiveMinimum", False), schema.get("exclusiveMaximum", False)
    if isinstance(above, bool):  # OpenAPI 3.0: a word that makes the minimum exclusive
        above = low if above and "minimum" in schema else None
    if isinstance(below, bool):
        below = high if below and "maximum" in schema else None
    return low <= value <= high and (above is None or value > above) and (below is None or value < below)


def _has_size(value: str | list[Any], schema: Schema) -> bool:
    low = schema.get("minLength" if isinstance(value, str) else "minItems", 0)
    high = schema.get("maxLength" if isinstance(value, str) else "maxItems", len(value))
    return low <= len(value) <= high
