"""The form of a forced call: what fits it is a call of one of the tools, with arguments by that tool's own schema."""

from __future__ import annotations

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from adapters.emulation.forced_call import ask_for_call, read_call
from adapters.types import Schema, Tool
from gateway.simulator import json_schema
from tests.adapters.emulation.folding import chat

STRING, INTEGER = {"type": "string"}, {"type": "integer"}
PLACE = {"type": "object", "properties": {"city": STRING}, "required": ["city"], "additionalProperties": False}
OSLO = {"city": "Oslo"}

SCHEMAS: dict[str, tuple[Schema | None, list[Any], list[Any]]] = {
    "nothing": (None, [{}], [[], None, "x"]),
    "no keyword": ({}, [{}], [[], 1]),
    "plain": (PLACE, [OSLO], [{}, {"city": 1}, {**OSLO, "more": 1}]),
    "a definition": (
        {"type": "object", "properties": {"place": {"$ref": "#/$defs/Place"}}, "$defs": {"Place": PLACE}},
        [{}, {"place": OSLO}],
        [{"place": {}}, {"place": "Oslo"}],
    ),
    "a definition by its older name": (
        {"type": "object", "properties": {"place": {"$ref": "#/definitions/Place"}}, "definitions": {"Place": PLACE}},
        [{"place": OSLO}],
        [{"place": {}}],
    ),
    "definitions that lead to each other": (
        {
            "type": "object",
            "properties": {"trip": {"$ref": "#/$defs/Trip"}},
            "required": ["trip"],
            "$defs": {
                "Trip": {
                    "type": "object",
                    "properties": {"stops": {"type": "array", "items": {"$ref": "#/$defs/Place"}}},
                },
                "Place": PLACE,
            },
        },
        [{"trip": {"stops": [OSLO, OSLO]}}, {"trip": {}}],
        [{}, {"trip": {"stops": [{}]}}],
    ),
    "a definition within a definition": (
        {
            "type": "object",
            "properties": {"place": {"$ref": "#/$defs/Outer/$defs/Place"}},
            "$defs": {"Outer": {"$defs": {"Place": PLACE}}},
        },
        [{"place": OSLO}],
        [{"place": {}}],
    ),
    "the whole": (
        {"type": "object", "properties": {"n": INTEGER, "next": {"$ref": "#"}}, "required": ["n"]},
        [{"n": 1}, {"n": 1, "next": {"n": 2, "next": {"n": 3}}}],
        [{"next": {"n": 1}}, {"n": 1, "next": {}}, {"n": 1, "next": {"n": 2, "next": 3}}],
    ),
    "a recursive definition": (
        {
            "type": "object",
            "properties": {"tree": {"$ref": "#/$defs/Tree"}},
            "required": ["tree"],
            "$defs": {
                "Tree": {
                    "type": "object",
                    "properties": {"leaves": {"type": "array", "items": {"$ref": "#/$defs/Tree"}}},
                    "required": ["leaves"],
                }
            },
        },
        [{"tree": {"leaves": []}}, {"tree": {"leaves": [{"leaves": [{"leaves": []}]}]}}],
        [{}, {"tree": {"leaves": [{"leaves": [{}]}]}}],
    ),
    "a place in the schema itself": (
        {"type": "object", "properties": {"a": PLACE, "b": {"$ref": "#/properties/a"}}},
        [{"a": OSLO, "b": OSLO}],
        [{"b": {}}],
    ),
    "alternatives": (
        {
            "type": "object",
            "properties": {"x": {"anyOf": [{"$ref": "#/$defs/Place"}, {"type": "null"}]}},
            "$defs": {"Place": PLACE},
        },
        [{"x": OSLO}, {"x": None}],
        [{"x": {}}, {"x": "Oslo"}],
    ),
    "properties with the names of keywords": (
        {
            "type": "object",
            "properties": {
                name: {"$ref": "#/$defs/Place"} for name in ("default", "enum", "const", "examples", "$ref")
            },
            "$defs": {"Place": PLACE, "const": PLACE},
        },
        [{"default": OSLO, "enum": OSLO, "const": OSLO, "examples": OSLO, "$ref": OSLO}, {}],
        [{"default": {}}, {"enum": {}}, {"const": {}}, {"examples": {}}, {"$ref": {}}],
    ),
    "a definition with the name of a keyword": (
        {
            "type": "object",
            "properties": {"p": {"$ref": "#/$defs/const"}},
            "$defs": {"const": {"$ref": "#/$defs/Place"}, "Place": PLACE},
        },
        [{"p": OSLO}],
        [{"p": {}}],
    ),
    "data that looks like references": (
        {
            "type": "object",
            "properties": {
                "a": {"const": {"$ref": "#/x"}},
                "b": {"enum": [{"$ref": "#/y"}, ["#"]]},
                "c": {"type": "object", "default": {"$ref": "#"}, "examples": [{"$ref": "#/z"}]},
            },
        },
        [{"a": {"$ref": "#/x"}, "b": {"$ref": "#/y"}}, {"b": ["#"], "c": {"$ref": 1}}],
        [{"a": {"$ref": "#/$defs/0/x"}}, {"b": {"$ref": "#/$defs/0/y"}}],
    ),
    "keywords whose values are no schemas": (
        {"type": "object", "properties": {"a": True, "b": False, "$ref": STRING}, "required": ["$ref"]},
        [{"a": [1], "$ref": "#"}],
        [{}, {"$ref": "#", "b": 1}],
    ),
}
CASES = [pytest.param(*case, id=name) for name, case in SCHEMAS.items()]


def form_of(*tools: Tool) -> Schema:
    form = ask_for_call(chat(tools=tools, tool_choice="required")).format
    assert isinstance(form, dict)
    return form


def fits(form: Schema, name: str, arguments: Any) -> bool:
    Draft202012Validator.check_schema(form)
    return bool(Draft202012Validator(form).is_valid({"name": name, "parameters": arguments}))


@pytest.mark.parametrize(("schema", "right", "wrong"), CASES)
def test_a_call_fits_when_its_arguments_follow_the_tools_schema(
    schema: Schema | None, right: list[Any], wrong: list[Any]
) -> None:
    alone = form_of(Tool(name="f", parameters=schema))
    others = form_of(Tool(name="e", parameters=PLACE), Tool(name="f", parameters=schema), Tool(name="g"))
    for form in (alone, others):
        assert [arguments for arguments in right if not fits(form, "f", arguments)] == []
        assert [arguments for arguments in wrong if fits(form, "f", arguments)] == []
        assert not fits(form, "moon", right[0])


@pytest.mark.parametrize(("schema", "right", "wrong"), CASES)
def test_the_rows_mean_what_the_schemas_themselves_say(
    schema: Schema | None, right: list[Any], wrong: list[Any]
) -> None:
    own = Draft202012Validator({"type": "object"} | (schema or {}))
    assert [arguments for arguments in right if not own.is_valid(arguments)] == []
    assert [arguments for arguments in wrong if own.is_valid(arguments)] == []


@pytest.mark.parametrize(("schema", "right", "wrong"), CASES)
def test_a_host_that_is_held_to_the_form_writes_a_call(
    schema: Schema | None, right: list[Any], wrong: list[Any]
) -> None:
    tools = (Tool(name="f", parameters=schema), Tool(name="g", parameters=PLACE))
    form = form_of(*tools)
    json_schema.check(form)
    assert read_call(json.dumps(json_schema.instance(form, "Oslo")), tools, "made") is not None
    for arguments in right:
        assert json_schema.fits({"name": "f", "parameters": arguments}, form)


def test_each_tool_has_its_own_arguments() -> None:
    form = form_of(Tool(name="f", parameters=PLACE), Tool(name="g", parameters={"type": "object", "required": ["n"]}))
    assert [fits(form, name, arguments) for name in ("f", "g") for arguments in (OSLO, {"n": 1})] == [
        True,
        False,
        False,
        True,
    ]


def test_definitions_of_two_tools_with_one_name_stay_apart() -> None:
    schemas: list[Schema] = [
        {"type": "object", "properties": {"x": {"$ref": "#/$defs/X"}}, "$defs": {"X": kind}}
        for kind in (STRING, INTEGER)
    ]
    form = form_of(*(Tool(name=name, parameters=schema) for name, schema in zip("fg", schemas, strict=True)))
    assert [fits(form, name, {"x": x}) for name in "fg" for x in ("a", 1)] == [True, False, False, True]


@pytest.mark.parametrize(
    "said", [{"name": "f"}, {"parameters": {}}, {"name": "f", "parameters": {}, "more": 1}, [], "f"]
)
def test_nothing_but_a_name_and_parameters_fits(said: object) -> None:
    assert not Draft202012Validator(form_of(Tool(name="f"))).is_valid(said)


@pytest.mark.parametrize("tools", [(Tool(name="f"),), (Tool(name="f"), Tool(name="g"))])
def test_the_tool_is_chosen_before_its_arguments_even_where_hosts_sort(tools: tuple[Tool, ...]) -> None:
    form = form_of(*tools)
    for call in form.get("anyOf", [form]):
        assert (
            list(json_schema.sort_properties(call)["properties"]) == list(call["properties"]) == ["name", "parameters"]
        )


@pytest.mark.parametrize(
    "schema",
    [
        {"properties": {"a": {"$ref": "https://example.com/a#/x"}, "b": {"$ref": "#anchor"}}},
        {"properties": {"a": {"$ref": 7}, "b": {"$ref": "x"}}},
        {"properties": ["a"], "$defs": True, "definitions": None},
    ],
)
def test_what_leads_nowhere_within_the_schema_stays(schema: Schema) -> None:
    [moved] = form_of(Tool(name="f", parameters=schema))["$defs"].values()
    assert moved == schema


ANY = {"type": ["object", "array", "string", "number", "boolean", "null"]}
NONE = {"type": "null", "not": {}}


@pytest.mark.parametrize(
    ("schema", "moved"),
    [
        ({"properties": {"a": True, "b": False}}, {"properties": {"a": ANY, "b": NONE}}),
        ({"$defs": {"a": True}, "definitions": {"b": False}}, {"$defs": {"a": ANY}, "definitions": {"b": NONE}}),
        ({"items": True}, {"items": ANY}),
        ({"items": [True, False]}, {"items": [ANY, NONE]}),
        ({"prefixItems": [STRING, True], "items": False}, {"prefixItems": [STRING, ANY], "items": NONE}),
        ({"anyOf": [STRING, True]}, {"anyOf": [STRING, ANY]}),
        ({"allOf": [{"oneOf": [False]}]}, {"allOf": [{"oneOf": [NONE]}]}),
        ({"if": True, "then": False, "else": {"not": True}}, {"if": ANY, "then": NONE, "else": {"not": ANY}}),
        ({"additionalProperties": {"items": True}}, {"additionalProperties": {"items": ANY}}),
    ],
    ids=str,
)
def test_a_schema_that_is_true_or_false_becomes_one_that_llama_cpp_takes(schema: Schema, moved: Schema) -> None:
    [found] = form_of(Tool(name="f", parameters=schema))["$defs"].values()
    assert found == moved


@pytest.mark.parametrize(
    "schema",
    [
        {"additionalProperties": False},
        {"additionalProperties": True, "uniqueItems": True, "unevaluatedProperties": False},
        {"const": True, "enum": [False, {"items": True}], "default": True, "examples": [False]},
        {"properties": {"a": {"nullable": True, "default": False}}},
        {"x-own": True, "x-more": [False], "required": [True]},
    ],
    ids=str,
)
def test_true_and_false_that_are_no_schemas_stay(schema: Schema) -> None:
    [moved] = form_of(Tool(name="f", parameters=schema))["$defs"].values()
    assert moved == schema


@pytest.mark.parametrize("pattern", ["a", "^a", "a$", "", "(^a$)", 5])
def test_a_pattern_of_a_part_of_a_text_is_left_out(pattern: Any) -> None:
    inner = {"type": "string", "pattern": pattern, "minLength": 1}
    schema: Schema = {"properties": {"pattern": inner, "list": {"items": {"anyOf": [inner]}}}}
    [moved] = form_of(Tool(name="f", parameters=schema))["$defs"].values()
    left = {"type": "string", "minLength": 1}
    assert moved == {"properties": {"pattern": left, "list": {"items": {"anyOf": [left]}}}}


@pytest.mark.parametrize(
    "schema",
    [
        {"properties": {"a": {"type": "string", "pattern": "^[a-z]+$"}}},
        {"properties": {"pattern": STRING}, "const": {"pattern": "a"}},
    ],
    ids=str,
)
def test_a_pattern_of_a_whole_text_and_what_is_only_called_so_stay(schema: Schema) -> None:
    [moved] = form_of(Tool(name="f", parameters=schema))["$defs"].values()
    assert moved == schema


def test_the_callers_stop_does_not_cut_the_call() -> None:
    assert ask_for_call(chat(tools=(Tool(name="f"),), tool_choice="required", stop=("}", "\n"))).stop == ()


def test_the_callers_schema_is_not_changed() -> None:
    schema, _, _ = SCHEMAS["definitions that lead to each other"]
    before = json.dumps(schema)
    form_of(Tool(name="f", parameters=schema))
    assert json.dumps(schema) == before


def test_a_schema_keeps_the_order_of_its_properties() -> None:
    schema: Schema = {"type": "object", "$defs": {"z": STRING}, "properties": {"b": {"$ref": "#/$defs/z"}, "a": STRING}}
    [moved] = form_of(Tool(name="f", parameters=schema))["$defs"].values()
    assert (list(moved), list(moved["properties"])) == (list(schema), ["b", "a"])
