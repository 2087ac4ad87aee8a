"""Schemas of tools that are too large, too deep, or no schemas: whatever comes, a bounded flat one goes to the host."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.ollama.tools import MAX_DEPTH, MAX_NODES, MAX_REFERENCED, flatten

TOO_LARGE = {"description": "(the schema is too large to show)"}


def flat_property(schema: Any, **rest: Any) -> Any:
    """Return what becomes of one property, in a schema with other keywords beside it."""
    flat, _ = flatten({"type": "object", "properties": {"p": schema}, **rest})
    return flat["properties"]["p"]


# --- bounds -----------------------------------------------------------------------------------------------------------


def nested(depth: int, keyword: str = "items") -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(depth):
        schema = {keyword: schema if keyword == "items" else [schema]}
    return schema


@pytest.mark.parametrize("keyword", ["items", "anyOf"])
def test_what_is_too_deep_is_left_open(keyword: str) -> None:
    assert flat_property(nested(MAX_DEPTH - 1, keyword)) == nested(MAX_DEPTH - 1, keyword)
    flat = flat_property(nested(900, keyword))
    for _ in range(MAX_DEPTH):
        flat = flat[keyword] if keyword == "items" else flat[keyword][0]
    assert flat == TOO_LARGE


def test_parts_that_are_too_deep_are_left_out() -> None:
    assert flat_property(nested(900, "allOf")) == TOO_LARGE


@pytest.mark.parametrize(
    "body",
    [
        lambda other: {"properties": {"l": {"$ref": other}, "r": {"$ref": other}}},
        lambda other: {"allOf": [{"$ref": other}, {"$ref": other}]},
        lambda other: {"additionalProperties": {"anyOf": [{"$ref": other}, {"$ref": other}]}},
    ],
    ids=["properties", "parts", "words"],
)
def test_references_that_double_at_every_step_end(body: Any) -> None:
    defs = {f"d{step}": body(f"#/$defs/d{step + 1}") for step in range(30)}
    flat = flat_property({"$ref": "#/$defs/d0"}, **{"$defs": defs})
    assert len(json.dumps(flat)) < 50 * MAX_NODES


@pytest.mark.parametrize(
    "large",
    [
        {"required": [f"k{number}" for number in range(4000)]},
        {"enum": [f"k{number}" for number in range(4000)]},
        {"description": "k" * 20_000},
    ],
    ids=["required", "enum", "description"],
)
def test_what_many_references_write_out_ends(large: dict[str, Any]) -> None:
    schema = {"properties": {f"p{number}": {"$ref": "#/$defs/x"} for number in range(1000)}, "$defs": {"x": large}}
    flat, _ = flatten(schema)
    properties = list(flat["properties"].values())
    assert properties[0] == large
    whole = properties.count(large)
    assert properties == [large] * whole + [TOO_LARGE] * (1000 - whole)
    assert whole <= MAX_REFERENCED // 20_000


def test_many_names_are_required_without_comparing_each_with_each() -> None:
    ours, theirs = ([f"{letter}{number}" for number in range(100_000)] for letter in "ab")
    flat, _ = flatten({"required": ours, "allOf": [{"required": theirs}, {"required": [*ours, 5, [], "c"]}]})
    assert flat["required"] == [*ours, *theirs, "c"]


def test_many_names_are_taken_in_from_alternatives_without_comparing_each_with_each() -> None:
    names = [f"k{number}" for number in range(50_000)]
    flat, _ = flatten({"anyOf": [{"properties": dict.fromkeys(names, True), "required": names[::-1]}]})
    assert flat["required"] == names


def test_many_parts_are_joined_one_by_one() -> None:
    parts = [{"required": [f"k{part}.{number}" for number in range(25)]} for part in range(4000)]
    assert len(flatten({"allOf": parts})[0]["required"]) == 100_000


def test_a_value_that_is_too_deep_to_write_is_left_out() -> None:
    value: list[Any] = []
    for _ in range(5000):
        value = [value]
    assert flat_property({"default": value}) == {"description": "(default: …)"}


# --- any JSON ---------------------------------------------------------------------------------------------------------

KEYWORDS = [
    "type", "properties", "items", "anyOf", "oneOf", "allOf", "$ref", "enum", "const", "required", "description", "title",
    "default", "nullable", "additionalProperties", "prefixItems", "patternProperties", "$defs", "minimum", "not",
]  # fmt: skip
TEXTS = st.sampled_from(["string", "object", "p", "#", "#/$defs/p", "#/properties/p", ""])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXTS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(KEYWORDS), inner, max_size=4)
        | st.dictionaries(st.sampled_from(["p", "q"]), inner, max_size=2)
    ),
    max_leaves=25,
)


def check(schema: dict[str, Any], surviving: set[str]) -> None:
    """Check that Ollama's structure holds everything of a flattened schema."""
    assert schema.keys() <= surviving
    assert all(isinstance(name, str) for name in schema.get("required", []))
    assert isinstance(schema.get("enum", []), list)
    inner = [*schema.get("properties", {}).values(), *schema.get("anyOf", [])]
    for part in [*inner, schema["items"]] if "items" in schema else inner:
        check(part, {"type", "items", "required", "properties", "anyOf", "enum", "description"})


@given(JSON)
def test_any_json_becomes_a_schema_that_survives(schema: Any) -> None:
    before = copy.deepcopy(schema)
    flat, words = flatten(schema)
    assert schema == before
    assert isinstance(flat["type"], str)
    assert isinstance(words, str)
    check(flat, {"type", "items", "required", "properties"})


@given(JSON)
def test_a_flat_schema_stays_as_it_is(schema: Any) -> None:
    flat, _ = flatten(schema)
    assert flatten(flat) == (flat, "")
