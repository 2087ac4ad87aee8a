"""Small values for schemas, and whether a value could have been generated under one."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.simulator.json_schema import SchemaError, check, fits, instance, sort_properties

CITY = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "temp": {"type": "integer"}},
    "required": ["city", "temp"],
}
TREE = {
    "$defs": {
        "node": {
            "type": "object",
            "properties": {
                "name": {"type": "string"},
                "children": {"type": "array", "items": {"$ref": "#/$defs/node"}},
            },
            "required": ["name"],
        }
    },
    "$ref": "#/$defs/node",
}

INSTANCES: list[tuple[Any, Any]] = [
    (CITY, {"city": "x", "temp": 1}),
    ({}, "x"),
    ({"type": "object"}, {}),
    ({"properties": {"a": {}}}, {"a": "x"}),
    ({"items": {"type": "null"}}, [None]),
    ({"type": ["null", "boolean"]}, True),
    ({"type": ["null"]}, None),
    ({"type": "array"}, ["x"]),
    ({"type": "array", "items": {"type": "boolean"}, "minItems": 3}, [True, True, True]),
    ({"type": "array", "maxItems": 0}, []),
    ({"type": "array", "items": True}, ["x"]),
    ({"enum": ["red", "blue"]}, "red"),
    ({"const": 7}, 7),
    ({"type": "string", "format": "date"}, "2026-01-01"),
    ({"type": "string", "minLength": 3}, "xxx"),
    ({"type": "string", "maxLength": 0}, ""),
    ({"type": "integer", "minimum": 5}, 5),
    ({"type": "integer", "maximum": -5}, -5),
    ({"type": "integer", "exclusiveMinimum": 5}, 6),
    ({"type": "integer", "exclusiveMaximum": 1}, 0),
    ({"type": "integer", "minimum": 5, "multipleOf": 4}, 8),
    ({"type": "number", "minimum": 1.5}, 1.5),
    ({"anyOf": [{"type": "integer"}, {"type": "string"}]}, 1),
    ({"oneOf": [{"const": "a"}]}, "a"),
    (
        {
            "allOf": [
                {"properties": {"a": {"type": "integer"}}, "required": ["a"]},
                {"properties": {"b": {}}, "required": ["b"]},
            ]
        },
        {"a": 1, "b": "x"},
    ),
    ({"$ref": "#/definitions/n", "definitions": {"n": {"type": "integer"}}}, 1),
    ({"$ref": "#"}, "x"),
    ({"$ref": "#/nowhere"}, "x"),
]


@pytest.mark.parametrize(("schema", "value"), INSTANCES)
def test_an_instance_is_small_and_fits(schema: Any, value: Any) -> None:
    check(schema)
    assert instance(schema, "x") == value
    assert fits(value, schema)


def test_a_recursive_schema_has_an_end() -> None:
    value = instance(TREE, "x")
    assert fits(value, TREE)
    assert value["children"][0]["name"] == "x"


MISFITS: list[tuple[Any, Any]] = [
    ({"temp": 1, "city": "x"}, CITY),
    ({"city": "x"}, CITY),
    ({"city": 5, "temp": 1}, CITY),
    ([], CITY),
    ("x", {"type": "integer"}),
    (1.5, {"type": "integer"}),
    (True, {"type": "integer"}),
    (None, {"type": "string"}),
    (1, {"type": ["string", "null"]}),
    ("green", {"enum": ["red", "blue"]}),
    (1, {"const": 2}),
    ([1, "a"], {"type": "array", "items": {"type": "integer"}}),
    ("a", {"anyOf": [{"type": "integer"}, {"type": "boolean"}]}),
]


@pytest.mark.parametrize(("value", "schema"), MISFITS)
def test_a_value_that_is_not_allowed_does_not_fit(value: Any, schema: Any) -> None:
    assert not fits(value, schema)


@pytest.mark.parametrize(
    ("value", "schema"),
    [(1, {"type": "number"}), (1.5, {"type": "number"}), (None, {"type": ["string", "null"]}), (2, {})],
)
def test_a_value_that_is_allowed_fits(value: Any, schema: Any) -> None:
    assert fits(value, schema)


BAD: list[Any] = [
    {"type": "nonsense"},
    {"type": 5},
    {"type": ["string", "nonsense"]},
    {"properties": []},
    {"properties": {"a": 5}},
    {"required": "a"},
    {"items": []},
    {"items": {"type": "nonsense"}},
    {"anyOf": {}},
    {"anyOf": [{"type": "nonsense"}]},
    {"$defs": {"a": {"type": "nonsense"}}},
    {"enum": "a"},
]


@pytest.mark.parametrize("schema", BAD)
def test_what_is_no_schema_is_refused(schema: Any) -> None:
    with pytest.raises(SchemaError):
        check(schema)


def test_properties_can_be_put_in_alphabetical_order() -> None:
    schema = {"properties": {"b": {"properties": {"d": True, "c": True}}, "a": {"enum": ["z", "y"]}}}
    ordered = sort_properties(schema)
    assert list(ordered["properties"]) == ["a", "b"]
    assert list(ordered["properties"]["b"]["properties"]) == ["c", "d"]
    assert ordered == schema
