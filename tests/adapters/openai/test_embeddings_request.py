"""Requests for vectors, as callers of OpenAI write them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types import embedding_create_params

from adapters.errors import InvalidRequest
from adapters.openai.embeddings import MOST_INPUTS, MOST_TOKENS, READ, EmbeddingsRequest, Tokens, decode_request
from adapters.options import KNOWN, LOAD, RETIRED, SAMPLING
from adapters.types import EmbedRequest


def decode(**fields: Any) -> EmbeddingsRequest:
    """Decode a short request with these fields; a field that is `...` is left out."""
    body = {"model": "mine", "input": "hello", **fields}
    return decode_request(json.dumps({name: value for name, value in body.items() if value is not ...}).encode())


def refusal(**fields: Any) -> tuple[str | None, str, str]:
    """Return param, code and message of the failure to decode a request with these fields."""
    with pytest.raises(InvalidRequest) as caught:
        decode(**fields)
    return caught.value.param, caught.value.code, caught.value.message


def test_a_short_request_asks_for_nothing_else() -> None:
    assert decode() == EmbeddingsRequest(request=EmbedRequest(model="mine", inputs=("hello",)))


def test_every_field_of_the_sdk_is_read() -> None:
    assert embedding_create_params.EmbeddingCreateParams.__annotations__.keys() == READ


# --- inputs -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "inputs"),
    [
        ("", ("",)),
        (" ", (" ",)),
        (["hello"], ("hello",)),
        (["hello", "", "hello"], ("hello", "", "hello")),
        ("café 日本語 🙂", ("café 日本語 🙂",)),
        (["x"] * MOST_INPUTS, ("x",) * MOST_INPUTS),
    ],
)
def test_texts(said: Any, inputs: tuple[str, ...]) -> None:
    decoded = decode(input=said)

    assert decoded.request.inputs == inputs
    assert decoded.tokens == ()


@pytest.mark.parametrize(
    ("said", "tokens"),
    [
        ([15339], (Tokens("input", (15339,)),)),
        ([0, 2**31 - 1], (Tokens("input", (0, 2**31 - 1)),)),
        ([[15339, 1917]], (Tokens("input[0]", (15339, 1917)),)),
        ([[1], [], [2, 3]], (Tokens("input[0]", (1,)), Tokens("input[1]", ()), Tokens("input[2]", (2, 3)))),
        (list(range(MOST_INPUTS + 1)), (Tokens("input", tuple(range(MOST_INPUTS + 1))),)),
    ],
)
def test_tokens(said: Any, tokens: tuple[Tokens, ...]) -> None:
    decoded = decode(input=said)

    assert decoded.request.inputs == ()
    assert decoded.tokens == tokens


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        ({"model": ...}, "model", "missing_required_parameter"),
        ({"model": ""}, "model", "empty_string"),
        ({"model": 7}, "model", "invalid_type"),
        ({"input": ...}, "input", "missing_required_parameter"),
        ({"input": None}, "input", "missing_required_parameter"),
        ({"input": []}, "input", "empty_array"),
        ({"input": 5}, "input", "invalid_type"),
        ({"input": True}, "input", "invalid_type"),
        ({"input": {"text": "hello"}}, "input", "invalid_type"),
        ({"input": ["x"] * (MOST_INPUTS + 1)}, "input", "array_above_max_length"),
        ({"input": [[1]] * (MOST_INPUTS + 1)}, "input", "array_above_max_length"),
        ({"input": [1] * (MOST_TOKENS + 1)}, "input", "array_above_max_length"),
        ({"input": [[1] * MOST_TOKENS, [1]]}, "input", "array_above_max_length"),
        ({"input": ["hello", 1]}, "input[1]", "invalid_type"),
        ({"input": ["hello", None]}, "input[1]", "invalid_type"),
        ({"input": [1, "hello"]}, "input[1]", "invalid_type"),
        ({"input": [1, True]}, "input[1]", "invalid_type"),
        ({"input": [True]}, "input[0]", "invalid_type"),
        ({"input": [None]}, "input[0]", "invalid_type"),
        ({"input": [1.5]}, "input[0]", "invalid_type"),
        ({"input": [{"text": "hello"}]}, "input[0]", "invalid_type"),
        ({"input": [[1], "hello"]}, "input[1]", "invalid_type"),
        ({"input": [[1], [2, "x"]]}, "input[1][1]", "invalid_type"),
        ({"input": [[1], [2, False]]}, "input[1][1]", "invalid_type"),
        ({"input": [["hello"]]}, "input[0][0]", "invalid_type"),
        ({"input": [[[1]]]}, "input[0][0]", "invalid_type"),
        ({"input": [1, -1]}, "input[1]", "invalid_value"),
        ({"input": [[1], [2**31]]}, "input[1][0]", "invalid_value"),
        ({"encoding_format": "int8"}, "encoding_format", "invalid_value"),
        ({"encoding_format": "FLOAT"}, "encoding_format", "invalid_value"),
        ({"encoding_format": 1}, "encoding_format", "invalid_type"),
        ({"dimensions": 0}, "dimensions", "integer_below_min_value"),
        ({"dimensions": 2**31}, "dimensions", "integer_above_max_value"),
        ({"dimensions": "8"}, "dimensions", "invalid_type"),
        ({"user": 1}, "user", "invalid_type"),
        ({"truncate": "yes"}, "truncate", "invalid_type"),
        ({"ollama": {"truncate": 1}}, "ollama.truncate", "invalid_type"),
        ({"keep_alive": "soon"}, "keep_alive", "invalid_value"),
        ({"options": {"num_ctx": "many"}}, "options.num_ctx", "invalid_type"),
        ({"options": 5}, "options", "invalid_type"),
    ],
)
def test_what_cannot_be_read_is_refused_where_it_stands(fields: dict[str, Any], param: str, code: str) -> None:
    assert refusal(**fields)[:2] == (param, code)


@pytest.mark.parametrize(
    ("said", "message"),
    [
        (["a", 1], "Invalid type for 'input[1]': expected a string, but got an integer instead."),
        ([1, "a"], "Invalid type for 'input[1]': expected an integer, but got a string instead."),
        ([[1], "a"], "Invalid type for 'input[1]': expected an array of integers, but got a string instead."),
        ([None], "Invalid type for 'input[0]': expected a string or an integer, but got null instead."),
        ([1.0], "Invalid type for 'input[0]': expected a string or an integer, but got a decimal instead."),
        ([True], "Invalid type for 'input[0]': expected a string or an integer, but got a boolean instead."),
        ([True, 1], "Invalid type for 'input[0]': expected a string or an integer, but got a boolean instead."),
        (
            [[1] * 600_000, [1] * 400_001],
            "Invalid 'input': array too long. Expected at most 1000000 tokens altogether, but got 1000001 instead. "
            "Send the inputs in several requests.",
        ),
    ],
)
def test_what_is_expected_is_what_the_first_item_is(said: Any, message: str) -> None:
    assert refusal(input=said)[2] == message


# --- everything else --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("said", "base64"), [("base64", True), ("float", False), (None, False)])
def test_the_form_of_the_numbers(said: str | None, base64: bool) -> None:
    assert decode(encoding_format=said).base64 is base64


def test_openais_other_fields() -> None:
    request = decode(dimensions=8, user="ada").request

    assert (request.dimensions, request.user, request.ignored) == (8, "ada", ())


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"truncate": True}, {"truncate": True}),
        ({"ollama": {"truncate": False}}, {"truncate": False}),
        ({"keep_alive": "10m"}, {"keep_alive": "10m"}),
        ({"keep_alive": 0, "ollama": {"keep_alive": -1}}, {"keep_alive": -1}),
        ({"num_ctx": 64}, {"options": {"num_ctx": 64}}),
        ({"options": {"num_ctx": 64}, "ollama": {"options": {"num_ctx": 32}}}, {"options": {"num_ctx": 32}}),
    ],
)
def test_extensions(fields: dict[str, Any], expected: dict[str, Any]) -> None:
    assert decode(**fields).request == EmbedRequest(model="mine", inputs=("hello",), **expected)


@pytest.mark.parametrize("option", LOAD)
def test_every_option_of_a_load_is_taken(option: str) -> None:
    value = {"integer": 5, "boolean": False}[KNOWN[option]]
    request = decode(options={option: value}).request

    assert (request.options, request.ignored) == ({option: value}, ())


@pytest.mark.parametrize("option", [*SAMPLING, "stop"])
def test_an_option_for_text_has_no_effect(option: str) -> None:
    value = "x" if option == "stop" else 1
    places = {option: value, "options": {option: value}, "ollama": {option: value, "options": {option: value}}}
    request = decode(**places).request

    assert request.options == {}
    assert sorted(request.ignored) == sorted(
        [option, f"options.{option}", f"ollama.{option}", f"ollama.options.{option}"]
    )


@pytest.mark.parametrize("field", ["think", "format", "shift", "_debug_render_only", "input_type", "messages"])
def test_what_other_endpoints_have_has_no_effect(field: str) -> None:
    request = decode(**{field: "x", "ollama": {field: 1}}).request

    assert request == EmbedRequest(model="mine", inputs=("hello",), ignored=(field, f"ollama.{field}"))


def test_options_that_are_no_more_have_no_effect_and_unknown_ones_go_on() -> None:
    request = decode(options={**dict.fromkeys(RETIRED, 1), "a_new_option": 1, "num_ctx": None}).request

    assert request.options == {"a_new_option": 1}
    assert {f"options.{name}" for name in RETIRED} | {"options.a_new_option"} == set(request.ignored)


@given(st.binary() | st.recursive(st.none() | st.text(), lambda x: st.lists(x)).map(lambda x: json.dumps(x).encode()))
def test_whatever_the_bytes_they_are_decoded_or_refused(body: bytes) -> None:
    with pytest.raises(InvalidRequest):
        decode_request(body)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from([*sorted(READ), "options", "ollama", "truncate", "seed", "x"]), JSON))
def test_whatever_the_fields_they_are_decoded_or_refused(fields: dict[str, Any]) -> None:
    try:
        decoded = decode_request(json.dumps({"model": "m", "input": "x", **fields}).encode())
    except InvalidRequest:
        return
    assert bool(decoded.request.inputs) != bool(decoded.tokens)


def test_as_many_tokens_as_may_be() -> None:
    decoded = decode(input=[[1] * (MOST_TOKENS // 2)] * 2)

    assert sum(len(each.ids) for each in decoded.tokens) == MOST_TOKENS
