"""Schemas of tools: what survives a host is kept, the rest is said in words."""

from __future__ import annotations

import json
from typing import Any

import pytest

from adapters.ollama.tools import LARGEST_REMEMBERED, encode_tool, flatten
from adapters.types import Tool

TOO_LARGE = {"description": "(the schema is too large to show)"}


def flat_property(schema: Any, **rest: Any) -> Any:
    """Return what becomes of one property, in a schema with other keywords beside it."""
    flat, _ = flatten({"type": "object", "properties": {"p": schema}, **rest})
    return flat["properties"]["p"]


# --- properties -------------------------------------------------------------------------------------------------------

SURVIVES = [
    {},
    {"type": "string"},
    {"type": ["string", "null"]},
    {"type": "string", "enum": ["a", None, 3]},
    {"type": "array", "items": {"type": "string"}},
    {"anyOf": [{"type": "integer"}, {"type": "null"}]},
    {"type": "object", "properties": {"x": {"type": "integer"}, "a": {}}, "required": ["x"]},
    {"description": "Says it all."},
]


@pytest.mark.parametrize("schema", SURVIVES)
def test_what_survives_stays(schema: dict[str, Any]) -> None:
    assert json.dumps(flat_property(schema)) == json.dumps(schema)


@pytest.mark.parametrize(
    ("schema", "flat"),
    [
        (True, {}),
        (False, {"description": "(no value is allowed)"}),
        ({"const": 5}, {"enum": [5]}),
        ({"const": None}, {"enum": [None]}),
        ({"oneOf": [{"type": "string"}, {"const": 1}]}, {"anyOf": [{"type": "string"}, {"enum": [1]}]}),
        ({"type": "string", "nullable": True}, {"type": ["string", "null"]}),
        ({"type": ["string"], "nullable": True}, {"type": ["string", "null"]}),
        ({"type": ["string", "null"], "nullable": True}, {"type": ["string", "null"]}),
        ({"anyOf": [{"type": "string"}], "nullable": True}, {"anyOf": [{"type": "string"}, {"type": "null"}]}),
        ({"nullable": True}, {"description": "(nullable: true)"}),
        ({"items": False, "type": "array"}, {"type": "array", "items": {"description": "(no value is allowed)"}}),
        ({"type": "array", "items": True}, {"type": "array", "items": {}}),
        ({"$schema": "x", "$id": "x", "$comment": "x", "$defs": {}, "definitions": {}}, {}),
        ({"required": ["a", 5]}, {"required": ["a"]}),
    ],
)
def test_what_survivors_can_say_they_say(schema: Any, flat: dict[str, Any]) -> None:
    assert flat_property(schema) == flat


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"default": 5, "minimum": 1}, "(default: 5; minimum: 1)"),
        ({"description": "A day.", "format": "date"}, 'A day. (format: "date")'),
        ({"pattern": "^a$", "minLength": 1, "maxLength": 9}, '(pattern: "^a$"; minLength: 1; maxLength: 9)'),
        ({"examples": ["é", {"a": None}]}, '(examples: ["é",{"a":null}])'),
        ({"additionalProperties": False}, "(additionalProperties: false)"),
        ({"additionalProperties": {"const": 1}}, '(additionalProperties: {"enum":[1]})'),
        ({"prefixItems": [{"const": 1}, True]}, '(prefixItems: [{"enum":[1]},{}])'),
        ({"patternProperties": {"^x": {"const": 1}}}, '(patternProperties: {"^x":{"enum":[1]}})'),
        ({"default": {"$ref": "#"}}, '(default: {"$ref":"#"})'),
        ({"default": "x" * 300}, f'(default: "{"x" * 199}…)'),
        ({"title": "The place"}, '(title: "The place")'),
        ({"description": 5}, ""),
        ({"type": 5}, "(type: 5)"),
        ({"type": []}, "(type: [])"),
        ({"type": ["string", 5]}, '(type: ["string",5])'),
        ({"enum": "a"}, '(enum: "a")'),
        ({"required": True}, "(required: true)"),
        ({"anyOf": {"type": "string"}}, '(anyOf: {"type":"string"})'),
        ({"properties": [5]}, "(properties: [5])"),
        ({"anyOf": [{}], "oneOf": [{"const": 1}]}, '(oneOf: [{"enum":[1]}])'),
    ],
)
def test_what_does_not_survive_is_put_into_words(schema: dict[str, Any], words: str) -> None:
    assert flat_property(schema).get("description", "") == words


@pytest.mark.parametrize("title", ["City Name", "city_name", "CityName", "city name"])
def test_a_title_that_only_repeats_the_name_is_left_out(title: str) -> None:
    flat, _ = flatten({"properties": {"city_name": {"type": "string", "title": title}}})
    assert flat["properties"] == {"city_name": {"type": "string"}}


# --- the whole --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("schema", "flat", "words"),
    [
        ({}, {"type": "object", "properties": {}}, ""),
        ({"type": ["object", "null"], "properties": {}}, {"type": "object", "properties": {}}, ""),
        (
            {"title": "Args", "description": "All.", "additionalProperties": False, "required": ["a"]},
            {"type": "object", "properties": {}, "required": ["a"]},
            "All. (additionalProperties: false)",
        ),
        ({"enum": [{}]}, {"type": "object", "properties": {}}, "(enum: [{}])"),
        (True, {"type": "object", "properties": {}}, ""),
        (False, {"type": "object", "properties": {}}, "(no value is allowed)"),
        ([1], {"type": "object", "properties": {}}, ""),
    ],
)
def test_the_top_level_is_an_object_and_its_words_stand_apart(schema: Any, flat: Any, words: str) -> None:
    assert flatten(schema) == (flat, words)


def test_alternatives_of_the_whole_give_their_properties() -> None:
    schema = {
        "properties": {"id": {"type": "integer"}},
        "oneOf": [
            {"properties": {"kind": {"const": "a"}, "x": {"type": "string"}}, "required": ["kind", "x"]},
            {"properties": {"kind": {"const": "b"}}, "required": ["kind"]},
            {"properties": 5, "required": "x"},
        ],
        "anyOf": [{"required": ["id"]}],
        "required": ["id"],
    }
    flat, words = flatten(schema)
    assert flat == {
        "type": "object",
        "properties": {
            "id": {"type": "integer"},
            "kind": {"anyOf": [{"enum": ["a"]}, {"enum": ["b"]}]},
            "x": {"type": "string"},
        },
        "required": ["id"],
    }
    assert words.startswith('(oneOf: [{"properties":{"kind":{"enum":["a"]},')
    assert words.endswith('; anyOf: [{"required":["id"]}])')


def test_what_every_alternative_requires_is_required() -> None:
    branches = [
        {"properties": {"a": {}}, "required": ["a"]},
        {"properties": {"a": {}, "b": {}}, "required": ["a", "b"]},
    ]
    assert flatten({"anyOf": branches})[0]["required"] == ["a"]


# --- references and parts ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "reference", ["#/$defs/A", "#/definitions/q~1r~0", "#/definitions/a%20b", "#/properties/old", "#/examples/1"]
)
def test_a_reference_within_the_schema_is_written_out(reference: str) -> None:
    target = {"type": "string", "format": "date"}
    schema = {
        "properties": {"old": target, "p": {"type": "array", "items": {"$ref": reference}}},
        "$defs": {"A": target},
        "definitions": {"q/r~": target, "a b": target},
        "examples": [0, target],
    }
    flat, _ = flatten(schema)
    assert flat["properties"]["p"] == {
        "type": "array",
        "items": {"type": "string", "description": '(format: "date")'},
    }


def test_what_stands_beside_a_reference_counts() -> None:
    defs = {"A": {"type": "object", "description": "An address.", "default": 1, "properties": {"x": {}}}}
    assert flat_property({"$ref": "#/$defs/A", "description": "Ship to.", "default": 2}, **{"$defs": defs}) == {
        "type": "object",
        "properties": {"x": {}},
        "description": "Ship to. An address. (default: 2)",
    }


@pytest.mark.parametrize("reference", ["#/$defs/none", "other.json#/A", "#anchor", "#/$defs/A/none", "#/examples/9"])
def test_a_reference_to_nowhere_is_named(reference: str) -> None:
    rest = {"$defs": {"A": "text"}, "examples": [1]}
    assert flat_property({"$ref": reference}, **rest) == {"description": f"(see {reference})"}


def test_a_reference_that_is_no_text_is_none() -> None:
    assert flat_property({"$ref": 5, "type": "string"}) == {"type": "string"}


def test_a_reference_back_into_itself_is_cut_short() -> None:
    node = {"type": "object", "properties": {"value": {"type": "integer"}, "next": {"$ref": "#/$defs/Node"}}}
    assert flat_property({"$ref": "#/$defs/Node"}, **{"$defs": {"Node": node}}) == {
        "type": "object",
        "properties": {
            "value": {"type": "integer"},
            "next": {"type": "object", "description": "(the same as Node above)"},
        },
    }


def test_a_reference_to_the_whole_is_cut_short() -> None:
    assert flat_property({"$ref": "#"}) == {"type": "object", "description": "(the same as the whole)"}


def test_the_same_reference_side_by_side_is_written_out_twice() -> None:
    schema = {
        "properties": {"a": {"$ref": "#/$defs/P"}, "b": {"allOf": [{"$ref": "#/$defs/P"}, {"$ref": "#/$defs/Q"}]}},
        "$defs": {"P": {"type": "string"}, "Q": {"properties": {"p": {"$ref": "#/$defs/P"}}}},
    }
    assert flatten(schema)[0]["properties"] == {
        "a": {"type": "string"},
        "b": {"type": "string", "properties": {"p": {"type": "string"}}},
    }


def test_parts_are_merged() -> None:
    schema = {
        "required": ["b"],
        "allOf": [
            {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a", "b"], "description": "One."},
            {"type": "array", "properties": {"a": {"minLength": 1}, "c": {}}, "description": "Two."},
            {"description": "One."},
            5,
        ],
    }
    assert flat_property(schema) == {
        "required": ["b", "a"],
        "type": "object",
        "properties": {"a": {"type": "string", "description": "(minLength: 1)"}, "c": {}},
        "description": "One. Two.",
    }


def test_parts_that_are_no_list_are_none() -> None:
    assert flat_property({"allOf": {"type": "string"}}) == {}


# --- tools ------------------------------------------------------------------------------------------------------------


def parameters_of(tool: Tool) -> Any:
    return json.loads(bytes(encode_tool(tool).function.parameters))


def test_a_tool_is_sent_with_a_flat_schema_and_its_words() -> None:
    tool = Tool(name="f", description="It does.", parameters={"minProperties": 1, "properties": {"a": {"const": 1}}})
    sent = encode_tool(tool)
    assert (sent.type, sent.function.name, sent.function.description) == (
        "function",
        "f",
        "It does. (minProperties: 1)",
    )
    assert parameters_of(tool) == {"type": "object", "properties": {"a": {"enum": [1]}}}


def test_a_tool_without_parameters_takes_an_object() -> None:
    assert parameters_of(Tool(name="f")) == {"type": "object", "properties": {}}


def test_a_schema_that_comes_again_is_not_flattened_again() -> None:
    first, again, other = (
        encode_tool(Tool(name=name, parameters={"properties": {"remembered": {"const": value}}}))
        for name, value in (("f", 1), ("g", 1), ("f", 2))
    )
    assert again.function.parameters is first.function.parameters
    assert again.function.name == "g"
    assert other.function.parameters != first.function.parameters


def test_a_large_schema_is_not_remembered() -> None:
    tool = Tool(name="f", parameters={"properties": {"a": {"enum": ["x" * LARGEST_REMEMBERED]}}})
    first, again = encode_tool(tool), encode_tool(tool)
    assert again == first
    assert again.function.parameters is not first.function.parameters


@pytest.mark.parametrize("value", ["1", "1.0", "true"])
def test_values_that_are_equal_in_python_are_not_taken_for_each_other(value: str) -> None:
    tool = Tool(name="f", parameters={"properties": {"almost": {"const": json.loads(value)}}})
    assert f'"enum":[{value}]'.encode() in bytes(encode_tool(tool).function.parameters)
