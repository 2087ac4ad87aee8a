from __future__ import annotations

import socket

import pytest

from gateway.schema import problem

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


def test_a_regular_expression_is_not_run():
    assert problem({"type": "string", "pattern": "^(a+)+$"}, "a" * 40 + "b") == ""
    assert problem({"patternProperties": {"^(a+)+$": {"type": "integer"}}}, {"a" * 40 + "b": 1}) == ""


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


def test_a_check_without_end_is_given_up():
    doubling = {f"a{step}": {"anyOf": [{"$ref": f"#/$defs/a{step + 1}"}] * 2} for step in range(40)}
    schema = {"$ref": "#/$defs/a0", "$defs": {**doubling, "a40": {"type": "string"}}}

    assert problem(schema, 1) is None
    assert problem({"type": "integer"}, 1) == ""  # and the next check has all of its steps again


def test_nothing_is_fetched():
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        url = f"http://127.0.0.1:{server.getsockname()[1]}/schema.json"

        assert problem({"$ref": url}, 1) is None
        with pytest.raises(BlockingIOError):
            server.accept()
