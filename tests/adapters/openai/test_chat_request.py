from __future__ import annotations

import json
from typing import Any

import pytest

from adapters.errors import InvalidRequest
from adapters.openai.chat import decode_request
from adapters.types import ChatRequest, Message, Tool
from tests.adapters.openai.requests import HELLO, decode, refusal

SCHEMA = {"type": "object", "properties": {"b": {"type": "string"}, "a": {"type": "integer"}}, "required": ["b"]}
WEATHER = {"name": "get_weather", "description": "The weather.", "parameters": SCHEMA, "strict": True}
TOOLS = [{"type": "function", "function": WEATHER}]
WEATHER_TOOL = Tool(name="get_weather", description="The weather.", parameters=SCHEMA)


def test_what_the_caller_does_not_say_is_not_there() -> None:
    assert decode() == ChatRequest(model="llama3.2", messages=(Message(role="user", text="hi"),))


def test_null_is_the_same_as_absent() -> None:
    names = (
        "stream stream_options n max_tokens max_completion_tokens temperature top_p frequency_penalty presence_penalty "
        "seed stop logit_bias logprobs top_logprobs response_format tools tool_choice parallel_tool_calls "
        "reasoning_effort reasoning modalities user safety_identifier metadata store service_tier prediction audio "
        "functions function_call web_search_options verbosity moderation prompt_cache_key options ollama num_ctx "
        "keep_alive think format truncate shift _debug_render_only template nonsense typical_p"
    )
    assert decode(**dict.fromkeys(names.split())) == decode()
    assert decode(ollama={"num_ctx": None, "keep_alive": None}, options={"stop": None, "num_ctx": None}) == decode()


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"stream": True}, {"stream": True}),
        ({"stream": False}, {}),
        (
            {"stream": True, "stream_options": {"include_usage": True}},
            {"stream": True, "include_usage": True},
        ),
        ({"stream": True, "stream_options": {"include_obfuscation": False}}, {"stream": True}),
        ({"n": 1}, {}),
        ({"max_tokens": 7}, {"options": {"num_predict": 7}}),
        ({"max_completion_tokens": 5}, {"options": {"num_predict": 5}}),
        ({"max_tokens": 7, "max_completion_tokens": 5}, {"options": {"num_predict": 5}}),
        ({"max_tokens": 100.0}, {"options": {"num_predict": 100}}),
        ({"temperature": 0}, {"options": {"temperature": 0}}),
        ({"temperature": 2}, {"options": {"temperature": 2}}),
        ({"top_p": 0.5}, {"options": {"top_p": 0.5}}),
        (
            {"frequency_penalty": -2, "presence_penalty": 2.0},
            {"options": {"frequency_penalty": -2, "presence_penalty": 2.0}},
        ),
        ({"seed": 42}, {"options": {"seed": 42}}),
        ({"seed": -1}, {"options": {"seed": -1}}),
        ({"seed": 2**63}, {"options": {"seed": -(2**63)}}),
        ({"seed": 2**64 + 3}, {"options": {"seed": 3}}),
        ({"stop": "END"}, {"stop": ("END",)}),
        ({"stop": ["a", "b", "c", "d"]}, {"stop": ("a", "b", "c", "d")}),
        ({"stop": []}, {}),
        ({"stop": ["", "x"]}, {"stop": ("x",)}),
        ({"logit_bias": {}}, {}),
        ({"logprobs": True}, {"logprobs": True}),
        ({"logprobs": True, "top_logprobs": 20}, {"logprobs": True, "top_logprobs": 20}),
        ({"logprobs": True, "top_logprobs": 0}, {"logprobs": True, "top_logprobs": 0}),
        ({"response_format": {"type": "text"}}, {}),
        ({"response_format": {"type": "json_object"}}, {"format": "json"}),
        (
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "x", "description": "d", "strict": True, "schema": SCHEMA},
                }
            },
            {"format": SCHEMA},
        ),
        ({"tools": []}, {}),
        ({"tools": TOOLS}, {"tools": (WEATHER_TOOL,)}),
        ({"tools": TOOLS, "tool_choice": "auto", "parallel_tool_calls": True}, {"tools": (WEATHER_TOOL,)}),
        ({"tools": TOOLS, "tool_choice": "none", "parallel_tool_calls": False}, {}),
        ({"tool_choice": "auto"}, {}),
        (
            {"tools": [{"type": "function", "function": {"name": "mcp.server/read:file"}}]},
            {"tools": (Tool(name="mcp.server/read:file"),)},
        ),
        ({"tools": TOOLS * 2}, {"tools": (WEATHER_TOOL, WEATHER_TOOL)}),
        ({"modalities": ["text"]}, {}),
        ({"user": "ann"}, {"user": "ann"}),
        ({"user": "ann", "safety_identifier": "a7"}, {"user": "a7"}),
        ({"metadata": {"job": "7"}}, {"metadata": {"job": "7"}}),
        ({"metadata": {}}, {"metadata": {}}),
        ({"store": False, "service_tier": "auto"}, {}),
        ({"service_tier": "default"}, {}),
    ],
)
def test_a_field_of_openai(fields: dict[str, Any], expected: dict[str, Any]) -> None:
    request = decode(**fields)
    assert request == ChatRequest(model="llama3.2", messages=(Message(role="user", text="hi"),), **expected)
    assert all(type(value) is type(expected["options"][name]) for name, value in request.options.items())


def test_a_schema_keeps_the_order_of_its_properties() -> None:
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA}}
    request = decode(response_format=form, tools=TOOLS)
    assert json.dumps(request.format) == json.dumps(SCHEMA)
    assert json.dumps(request.tools[0].parameters) == json.dumps(SCHEMA)


@pytest.mark.parametrize(
    ("fields", "think"),
    [
        ({"reasoning_effort": "none"}, False),
        ({"reasoning_effort": "minimal"}, "low"),
        ({"reasoning_effort": "low"}, "low"),
        ({"reasoning_effort": "medium"}, "medium"),
        ({"reasoning_effort": "high"}, "high"),
        ({"reasoning_effort": "xhigh"}, "max"),
        ({"reasoning_effort": "max"}, "max"),
        ({"reasoning_effort": "ultra"}, "max"),
        ({"reasoning": {}}, None),
        ({"reasoning": {"effort": "none"}}, False),
        ({"reasoning": {"effort": "high"}, "reasoning_effort": "low"}, "high"),
        ({"reasoning": {"effort": None}, "reasoning_effort": "low"}, "low"),
        ({"reasoning": {"enabled": True}}, True),
        ({"reasoning": {"enabled": True, "effort": "low"}}, "low"),
        ({"reasoning": {"enabled": False, "effort": "low"}}, False),
        ({"reasoning": {"max_tokens": 2000}}, True),
        ({"reasoning": {"max_tokens": 2000, "enabled": False}}, False),
        ({"think": True}, True),
        ({"think": False}, False),
        ({"think": "max"}, "max"),
        ({"think": "low", "reasoning_effort": "high", "reasoning": {"effort": "high"}}, "low"),
        ({"think": False, "ollama": {"think": "high"}}, "high"),
    ],
)
def test_how_hard_to_think(fields: dict[str, Any], think: object) -> None:
    assert decode(**fields).think == think


@pytest.mark.parametrize(
    ("fields", "ignored"),
    [
        ({"parallel_tool_calls": False, "tools": TOOLS}, ["parallel_tool_calls"]),
        ({"parallel_tool_calls": False}, []),
        ({"stream_options": {"include_usage": True}}, ["stream_options"]),
        (
            {"stream": True, "stream_options": {"include_obfuscation": True, "continuous_usage_stats": True}},
            ["stream_options.include_obfuscation", "stream_options.continuous_usage_stats"],
        ),
        ({"reasoning": {"effort": "low", "exclude": True}}, ["reasoning.exclude"]),
        ({"reasoning": {"max_tokens": 10}}, ["reasoning.max_tokens"]),
        ({"response_format": {"type": "json_object", "schema": {}}}, ["response_format.schema"]),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {}, "title": "t"}}},
            ["response_format.json_schema.title"],
        ),
        ({"store": True}, ["store"]),
        ({"service_tier": "priority"}, ["service_tier"]),
        (
            {"prediction": {"type": "content", "content": "x"}, "verbosity": "low", "moderation": {"model": "m"}},
            ["prediction", "verbosity", "moderation"],
        ),
        (
            {"prompt_cache_key": "k", "prompt_cache_options": {"mode": "implicit"}, "prompt_cache_retention": "24h"},
            ["prompt_cache_key", "prompt_cache_options", "prompt_cache_retention"],
        ),
        ({"chat_template_kwargs": {"enable_thinking": False}}, ["chat_template_kwargs"]),
        (
            {"tools": [{"type": "function", "function": {"name": "f", "foo": 1}, "bar": 2}]},
            ["tools[].bar", "tools[].function.foo"],
        ),
        (
            {"messages": [{**HELLO, "foo": 1}, {**HELLO, "foo": 2, "name": "ann"}]},
            ["messages[].foo"],
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "text", "text": "x", "foo": 1, "bar": None}]}]},
            ["messages[].content[].foo"],
        ),
    ],
)
def test_what_has_no_effect_is_named(fields: dict[str, Any], ignored: list[str]) -> None:
    assert list(decode(**fields).ignored) == ignored


def test_names_of_ignored_fields_are_fit_for_a_header() -> None:
    ignored = decode(**{"a\r\nset-cookie: x": 1, "ключ": 1, "x" * 500: 1, "a,b c": 1}).ignored
    assert ignored == ("a??set-cookie??x", "????", "x" * 64, "a?b?c")


def test_only_so_many_ignored_fields_are_named() -> None:
    ignored = decode(**{f"field_{n}": 1 for n in range(1000)}).ignored
    assert ignored == (*(f"field_{n}" for n in range(20)), "...")


def test_twenty_ignored_fields_are_all_named() -> None:
    assert decode(**{f"field_{n}": 1 for n in range(20)}).ignored == tuple(f"field_{n}" for n in range(20))


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
        ({"n": 2}, "n", "unsupported_value"),
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
        ({"tools": {}}, "tools", "invalid_type"),
        ({"tools": [7]}, "tools[0]", "invalid_type"),
        ({"tools": [{"function": WEATHER}]}, "tools[0].type", "missing_required_parameter"),
        ({"tools": [*TOOLS, {"type": "custom", "custom": {"name": "x"}}]}, "tools[1].type", "unsupported_value"),
        ({"tools": [{"type": "web_search"}]}, "tools[0].type", "unsupported_value"),
        ({"tools": [{"type": "function"}]}, "tools[0].function", "missing_required_parameter"),
        ({"tools": [{"type": "function", "function": {}}]}, "tools[0].function.name", "missing_required_parameter"),
        ({"tools": [{"type": "function", "function": {"name": ""}}]}, "tools[0].function.name", "empty_string"),
        (
            {"tools": [{"type": "function", "function": {"name": "f", "description": 7}}]},
            "tools[0].function.description",
            "invalid_type",
        ),
        (
            {"tools": [{"type": "function", "function": {"name": "f", "parameters": []}}]},
            "tools[0].function.parameters",
            "invalid_type",
        ),
        (
            {"tools": [{"type": "function", "function": {"name": "f", "parameters": DEEP}}]},
            "tools[0].function.parameters",
            "invalid_value",
        ),
        ({"tools": TOOLS, "tool_choice": "required"}, "tool_choice", "unsupported_value"),
        (
            {"tools": TOOLS, "tool_choice": {"type": "function", "function": {"name": "get_weather"}}},
            "tool_choice",
            "unsupported_value",
        ),
        ({"tool_choice": {"type": "allowed_tools", "allowed_tools": {}}}, "tool_choice", "unsupported_value"),
        ({"tool_choice": "any"}, "tool_choice", "invalid_value"),
        ({"tool_choice": 1}, "tool_choice", "invalid_type"),
        ({"parallel_tool_calls": 0}, "parallel_tool_calls", "invalid_type"),
        ({"functions": []}, "functions", "unsupported_parameter"),
        ({"function_call": "auto"}, "function_call", "unsupported_parameter"),
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
        ({"functions": []}, "'functions' is not supported. Use 'tools', which has replaced it."),
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
