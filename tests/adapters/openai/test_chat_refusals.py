"""What a chat request is refused for."""

from __future__ import annotations

import json
from typing import Any

import pytest

from adapters.errors import InvalidRequest
from adapters.openai.chat import decode_request
from tests.adapters.openai.requests import HELLO, refusal

DEEP = json.loads('{"a":' * 101 + "1" + "}" * 101)


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        ({"model": ...}, "model", "missing_required_parameter"),
        ({"model": None}, "model", "missing_required_parameter"),
        ({"model": ""}, "model", "empty_string"),
        ({"model": 7}, "model", "invalid_type"),
        ({"messages": ...}, "messages", "missing_required_parameter"),
        ({"messages": []}, "messages", "empty_array"),
        ({"messages": "hi"}, "messages", "invalid_type"),
        ({"messages": [HELLO, "hi"]}, "messages[1]", "invalid_type"),
        ({"stream": "true"}, "stream", "invalid_type"),
        ({"stream_options": True}, "stream_options", "invalid_type"),
        ({"stream_options": {"include_usage": 1}}, "stream_options.include_usage", "invalid_type"),
        ({"n": 2}, "n", "integer_above_max_value"),
        ({"n": 9, "most_choices": 8}, "n", "integer_above_max_value"),
        ({"n": 10**400}, "n", "integer_above_max_value"),
        ({"n": 1.5}, "n", "invalid_type"),
        ({"n": 0}, "n", "integer_below_min_value"),
        ({"n": "1"}, "n", "invalid_type"),
        ({"max_tokens": 0}, "max_tokens", "integer_below_min_value"),
        ({"max_tokens": 5, "max_completion_tokens": -1}, "max_completion_tokens", "integer_below_min_value"),
        ({"max_tokens": 10**400}, "max_tokens", "integer_above_max_value"),
        ({"max_tokens": 1.5}, "max_tokens", "invalid_type"),
        ({"max_tokens": True}, "max_tokens", "invalid_type"),
        ({"temperature": -0.1}, "temperature", "decimal_below_min_value"),
        ({"temperature": 2.1}, "temperature", "decimal_above_max_value"),
        ({"temperature": "0.5"}, "temperature", "invalid_type"),
        ({"temperature": False}, "temperature", "invalid_type"),
        ({"top_p": 1.1}, "top_p", "decimal_above_max_value"),
        ({"frequency_penalty": 3}, "frequency_penalty", "decimal_above_max_value"),
        ({"presence_penalty": -2.5}, "presence_penalty", "decimal_below_min_value"),
        ({"seed": "7"}, "seed", "invalid_type"),
        ({"seed": 2**64}, "seed", "integer_above_max_value"),
        ({"seed": -(2**63) - 1}, "seed", "integer_below_min_value"),
        ({"seed": 1e300}, "seed", "integer_above_max_value"),
        ({"stop": 7}, "stop", "invalid_type"),
        ({"stop": ["a", 7]}, "stop[1]", "invalid_type"),
        ({"stop": ["a", "b", "c", "d", "e"]}, "stop", "array_above_max_length"),
        ({"logit_bias": {"50256": -100}}, "logit_bias", "unsupported_parameter"),
        ({"logit_bias": []}, "logit_bias", "invalid_type"),
        ({"logprobs": 5}, "logprobs", "invalid_type"),
        ({"top_logprobs": 5}, "top_logprobs", "invalid_value"),
        ({"logprobs": True, "top_logprobs": 21}, "top_logprobs", "integer_above_max_value"),
        ({"logprobs": True, "top_logprobs": -1}, "top_logprobs", "integer_below_min_value"),
        ({"response_format": "json"}, "response_format", "invalid_type"),
        ({"response_format": {}}, "response_format.type", "missing_required_parameter"),
        ({"response_format": {"type": "xml"}}, "response_format.type", "invalid_value"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema", "missing_required_parameter"),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "x"}}},
            "response_format.json_schema.schema",
            "missing_required_parameter",
        ),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": True}}},
            "response_format.json_schema.schema",
            "invalid_type",
        ),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": DEEP}}},
            "response_format.json_schema.schema",
            "invalid_value",
        ),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {}, "strict": "yes"}}},
            "response_format.json_schema.strict",
            "invalid_type",
        ),
        ({"audio": {"voice": "alloy", "format": "wav"}}, "audio", "unsupported_parameter"),
        ({"web_search_options": {}}, "web_search_options", "unsupported_parameter"),
        ({"modalities": ["text", "audio"]}, "modalities[1]", "unsupported_value"),
        ({"modalities": "text"}, "modalities", "invalid_type"),
        ({"modalities": [1]}, "modalities[0]", "invalid_type"),
        ({"reasoning_effort": "extreme"}, "reasoning_effort", "invalid_value"),
        ({"reasoning_effort": 5}, "reasoning_effort", "invalid_type"),
        ({"reasoning": "high"}, "reasoning", "invalid_type"),
        ({"reasoning": {"effort": "extreme"}}, "reasoning.effort", "invalid_value"),
        ({"reasoning": {"enabled": "yes"}}, "reasoning.enabled", "invalid_type"),
        ({"user": 7}, "user", "invalid_type"),
        ({"safety_identifier": []}, "safety_identifier", "invalid_type"),
        ({"metadata": "x"}, "metadata", "invalid_type"),
        ({"metadata": {"job": 7}}, "metadata.job", "invalid_type"),
        ({"store": "yes"}, "store", "invalid_type"),
        ({"service_tier": 1}, "service_tier", "invalid_type"),
    ],
)
def test_a_refusal_names_the_field(fields: dict[str, Any], param: str, code: str) -> None:
    assert refusal(**fields)[:2] == (param, code)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"model": ...}, "Missing required parameter: 'model'."),
        (
            {"messages": [{"role": 3}]},
            "Invalid type for 'messages[0].role': expected a string, but got an integer instead.",
        ),
        (
            {"messages": [{"role": "robot", "content": "x"}]},
            "Invalid value: 'robot'. Supported values are: 'system', 'developer', 'user', 'assistant', 'tool', "
            "'function'.",
        ),
        (
            {"max_tokens": 0},
            "Invalid 'max_tokens': integer below minimum value. Expected a value >= 1, but got 0 instead.",
        ),
        (
            {"temperature": 3.5},
            "Invalid 'temperature': decimal above maximum value. Expected a value <= 2, but got 3.5 instead.",
        ),
        ({"top_logprobs": 2}, "The 'top_logprobs' parameter is only allowed when 'logprobs' is enabled."),
        (
            {"reasoning_effort": "x" * 1000},
            f"Invalid value: '{'x' * 60}…'. Supported values are: 'none', 'minimal', 'low', 'medium', 'high', "
            "'xhigh', 'max', 'ultra'.",
        ),
        (
            {"n": 9, "most_choices": 8},
            "Invalid 'n': integer above maximum value. Expected a value <= 8, but got 9 instead.",
        ),
        (
            {"web_search_options": {}},
            "'web_search_options' is not supported. Models here do not search the web.",
        ),
        (
            {"stop": list("abcde")},
            "Invalid 'stop': array too long. Expected an array with maximum length 4, but got an array with length 5 "
            "instead. 'options.stop' takes more.",
        ),
    ],
)
def test_a_refusal_says_what_is_wrong(fields: dict[str, Any], message: str) -> None:
    assert refusal(**fields)[2] == message


def test_names_that_a_caller_made_up_are_cut_in_a_refusal() -> None:
    param, _, message = refusal(metadata={"k" * 10_000: 1})
    assert param == f"metadata.{'k' * 60}…"
    assert len(message) < 200


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "The request body is not valid JSON: it is empty."),
        (b"{", "The request body is not valid JSON: Input data was truncated."),
        (b'{"model": NaN}', "The request body is not valid JSON: invalid character (byte 10)."),
        (b"{} {}", "The request body is not valid JSON: trailing characters (byte 4)."),
        (b'{"model":"\xff"}', "The request body is not valid UTF-8 (byte 0 of a string)."),
        (b'{"n":' + b"9" * 10_000 + b"}", "The request body is not valid JSON: Integer value out of range."),
        (b"[" * 100_000, "The request body is nested too deeply."),
        (b'{"model":' + b"[" * 100_000, "The request body is nested too deeply."),
        (b"[]", "The request body must be a JSON object, but it is an array."),
        (b"null", "The request body must be a JSON object, but it is null."),
        (b"true", "The request body must be a JSON object, but it is a boolean."),
        (b"1", "The request body must be a JSON object, but it is an integer."),
        (b"1.5", "The request body must be a JSON object, but it is a decimal."),
        (b'"x"', "The request body must be a JSON object, but it is a string."),
    ],
)
def test_a_body_that_is_no_request(body: bytes, message: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        decode_request(body)
    assert (caught.value.message, caught.value.param) == (message, None)


@pytest.mark.parametrize(
    "body",
    [
        rb'{"model":"\ud800","messages":[]}',
        rb'{"model":"\udc00\ud800","messages":[]}',
        b'{"model":1e999}',
        b'{"model":' + b"9" * 10_000 + b"}",
        b"\xef\xbb\xbf{}",
    ],
)
def test_half_characters_and_numbers_beyond_all_bounds_are_not_json(body: bytes) -> None:
    with pytest.raises(InvalidRequest, match="not valid JSON"):
        decode_request(body)


def test_of_a_field_given_twice_the_last_one_counts() -> None:
    body = b'{"model":"a","model":"b","messages":[{"role":"user","content":"x"}]}'
    assert decode_request(body).model == "b"
