import pytest
from openai.types import Completion
from pydantic import TypeAdapter
from shapes import fields, wrong

PET = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "age": {"type": "integer", "nullable": True},
        "more": {"type": "object"},
    },
    "required": ["name"],
}


def problems(value, schema, root=None):
    return [(field.path, field.problem) for field in fields(value, schema, root or {}) if field.problem]


def test_each_field_counts_once():
    found = fields({"name": "Rex", "age": None, "more": {"a": 1}}, PET, {})
    assert [field.path for field in found] == ["", ".name", ".age", ".more", ".more.*"]


def test_extra_missing_and_wrong_fields_are_found():
    assert problems({"age": "3", "tail": 1}, PET) == [
        (".name", "is missing"),
        (".age", "is '3', not integer"),
        (".tail", "is not documented"),
    ]


def test_the_branch_that_fits_best_is_taken():
    schema = {"anyOf": [PET, {"type": "null"}]}
    assert problems(None, schema) == []
    assert problems({"name": 1, "age": "2"}, schema) == [
        (".name", "is 1, not string"),
        (".age", "is '2', not integer"),
    ]


def test_references_and_parts_are_put_together():
    root = {"defs": {"pet": PET}}
    dog = {"allOf": [{"$ref": "#/defs/pet"}, {"properties": {"bark": {"type": "number"}}, "required": ["bark"]}]}
    assert problems({"name": "Rex", "bark": 1.5}, dog, root) == []
    assert problems([{"name": "Rex"}], {"type": "array", "items": dog}, root) == [("[].bark", "is missing")]


@pytest.mark.parametrize(
    ("value", "schema"),
    [
        (True, {"type": "integer"}),
        (1.0, {"type": "integer"}),
        ("b", {"enum": ["a"]}),
        ("b", {"const": "a"}),
        (0, {"type": "number", "minimum": 0, "exclusiveMinimum": True}),
        (0, {"type": "number", "exclusiveMinimum": 0}),
        ([1, 2], {"type": "array", "maxItems": 1}),
        ("", {"type": "string", "minLength": 1}),
        ("x", {"type": "string", "pattern": "^[0-9]+$"}),
    ],
)
def test_what_is_strict(value, schema):
    assert wrong(value, schema)


def test_the_clients_own_types_can_be_read():
    schema = TypeAdapter(Completion).json_schema()
    answer = {"id": "cmpl-1", "object": "text_completion", "created": 1, "model": "ada", "choices": []}
    assert problems(answer, schema, schema) == []
    assert problems(answer | {"created": 1.5, "wings": 2}, schema, schema) == [
        (".created", "is 1.5, not integer"),
        (".wings", "is not documented"),
    ]
