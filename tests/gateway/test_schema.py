from __future__ import annotations

import socket

import pytest

from gateway.schema import LARGEST, problem

PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "age": {"type": "integer", "minimum": 0},
        "pets": {"$ref": "#/$defs/pets"},
    },
    "required": ["name", "age"],
    "additionalProperties": False,
    "$defs": {"pets": {"type": "array", "items": {"enum": ["cat", "dog"]}}},
}


ENDLESS, LONG = "^(a+)+$", "a" * 40 + "b"
"""A regular expression, and a text for which it takes longer than anybody waits."""


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ({"name": "Ann", "age": 7}, ""),
        ({"name": "Ann", "age": 7, "pets": ["cat", "dog"]}, ""),
        ({"name": "Ann"}, "$: 'age' is a required property"),
        ({"name": "Ann", "age": "7"}, "$.age: '7' is not of type 'integer'"),
        ({"name": "Ann", "age": -1}, "$.age: -1 is less than the minimum of 0"),
        ({"name": "Ann", "age": 7, "pets": ["cow"]}, "$.pets[0]: 'cow' is not one of ['cat', 'dog']"),
        ({"name": "Ann", "age": 7, "job": "x"}, "$: Additional properties are not allowed ('job' was unexpected)"),
        ([], "$: [] is not of type 'object'"),
    ],
)
def test_what_is_wrong_and_where(value, found):
    assert problem(PERSON, value) == found


def test_a_long_problem_is_cut():
    assert len(problem({"type": "integer"}, "x" * 10_000) or "") == 301


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "string", "pattern": ENDLESS}, LONG),
        ({"patternProperties": {ENDLESS: {"type": "integer"}}}, {LONG: 1}),
        ({"patternProperties": {ENDLESS: {}}, "additionalProperties": False}, {LONG: 1}),
        ({"uniqueItems": True}, [{"a": 1}, {"a": 1}]),
        ({"unevaluatedProperties": False}, {"a": 1}),
        ({"unevaluatedItems": False}, [1]),
        ({"format": "date"}, "x"),
    ],
    ids=str,
)
def test_what_is_not_run_finds_nothing(schema, value):
    assert problem(schema, value) == ""
    assert problem({"anyOf": [schema, False]}, value) == ""
    assert problem({**schema, "enum": [5]}, value)


@pytest.mark.parametrize(
    "schema",
    [
        {"not": {"pattern": "^x"}},
        {"oneOf": [{"pattern": "^a"}, {"pattern": "^b"}]},
        {"oneOf": [{"format": "date"}, {"format": "time"}]},
        {"not": {"anyOf": [{"minLength": 5}, {"$ref": "#/$defs/x"}]}, "$defs": {"x": {"pattern": "^x"}}},
        {"if": {"pattern": "^x"}, "then": {"minLength": 5}},
        {"not": {"additionalProperties": False, "patternProperties": {}}},
    ],
    ids=str,
)
def test_where_what_is_not_run_could_make_a_right_value_wrong_nothing_is_told(schema):
    assert problem(schema, "a") is None


def test_after_an_exact_keyword_others_need_not_be():
    assert problem({"allOf": [{"not": {"type": "integer"}}, {"pattern": "^x"}]}, "a") == ""
    assert problem({"contains": {"const": 1}, "items": {"pattern": "^x"}}, ["a", 1]) == ""


@pytest.mark.parametrize(
    "inner",
    [
        {"$schema": "https://json-schema.org/draft/2020-12/schema", "pattern": ENDLESS},
        {"$schema": "http://json-schema.org/draft-07/schema#", "pattern": ENDLESS},
        {"$id": "https://json-schema.org/draft/2020-12/schema", "$ref": "#"},
        {"$ref": "https://json-schema.org/draft/2020-12/schema"},
        {"$dynamicRef": "https://json-schema.org/draft/2020-12/schema#meta"},
        {"$ref": ""},
    ],
    ids=str,
)
@pytest.mark.parametrize("around", ["not", "contains", "items"])
def test_no_part_leads_to_rules_of_another_draft(inner, around):
    assert problem({around: inner}, [LONG]) is None


def test_the_schema_itself_may_say_its_draft_and_its_name():
    schema = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "$id": "https://example.com/tree",
        "properties": {"$schema": {"type": "string"}, "next": {"$ref": "#"}},
        "additionalProperties": False,
    }

    assert problem(schema, {"next": {"$schema": "x"}}) == ""
    assert problem(schema, {"next": {"$schema": 1}}) == "$.next['$schema']: 1 is not of type 'string'"


@pytest.mark.parametrize(
    "schema",
    [
        {"type": 5},
        {"type": "person"},
        {"type": ["person", "integer"]},
        {"enum": 5},
        {"anyOf": 5},
        {"required": 5},
        {"properties": [1]},
        {"minimum": "a", "type": "integer"},
        {"multipleOf": 0},
        {"$ref": 5},
        {"$ref": "#/$defs/missing"},
        {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}},
    ],
    ids=str,
)
def test_what_is_no_schema_checks_nothing(schema):
    value: object = {} if "required" in schema or "properties" in schema else 3

    assert problem(schema, value) is None


DOUBLING = {f"a{step}": {"anyOf": [{"$ref": f"#/$defs/a{step + 1}"}] * 2} for step in range(40)}
DEPENDING = {
    f"a{step}": {"dependentSchemas": {key: {"$ref": f"#/$defs/a{step + 1}"} for key in "xy"}} for step in range(40)
}


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"$ref": "#/$defs/a0", "$defs": {**DOUBLING, "a40": {"type": "string"}}}, 1),
        ({"$ref": "#/$defs/a0", "$defs": {**DEPENDING, "a40": {}}}, {"x": 1, "y": 1}),
        ({"unevaluatedProperties": False, "$ref": "#/$defs/a0", "$defs": {**DEPENDING, "a40": {}}}, {"x": 1, "y": 1}),
    ],
    ids=["anyOf", "dependentSchemas", "unevaluatedProperties"],
)
def test_a_check_without_end_is_given_up(schema, value):
    assert problem(schema, value) is None
    assert problem({"type": "integer"}, 1) == ""  # and the next check has all of its time again


def test_many_items_are_not_compared_with_each_other():
    assert problem({"uniqueItems": True}, [{"a": number} for number in range(9_000)]) == ""


@pytest.mark.parametrize(
    ("schema", "value"),
    [({"type": "string"}, "x" * LARGEST), ({"enum": ["x" * LARGEST]}, "y"), ({"items": {}}, [1] * LARGEST)],
    ids=["value", "schema", "items"],
)
def test_what_is_very_large_is_not_checked(schema, value):
    assert problem(schema, value) is None


def test_a_few_problems_are_enough():
    endless = {"$ref": "#/$defs/a0"}
    schema = {"allOf": [*[{"type": "string"}] * 10, endless], "$defs": {**DOUBLING, "a40": {"type": "string"}}}

    assert problem(schema, 1) == "$: 1 is not of type 'string'"


def test_nothing_is_fetched():
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        url = f"http://127.0.0.1:{server.getsockname()[1]}/schema.json"

        assert problem({"$ref": url}, 1) is None
        with pytest.raises(BlockingIOError):
            server.accept()
