from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec.structs import replace

from adapters.openai.chat import split_choices
from adapters.types import ChatRequest, Message, Tool
from tests.adapters.openai.requests import HELLO, decode

PNG = "data:image/png;base64,iVBORw0KGgo="
SCHEMA = {"type": "object", "properties": {"b": {"type": "string"}, "a": {"type": "integer"}}, "required": ["b"]}
WEATHER = {"name": "get_weather", "description": "The weather.", "parameters": SCHEMA, "strict": True}
TOOLS = [{"type": "function", "function": WEATHER}]
WEATHER_TOOL = Tool(name="get_weather", description="The weather.", parameters=SCHEMA, strict=True)


def form(schema: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "x", "schema": schema, **fields}}


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
        ({"n": 3, "most_choices": 3}, {"n": 3}),
        ({"n": 2.0, "most_choices": 3}, {"n": 2}),
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
        ({"seed": 2**64 - 1}, {"options": {"seed": -1}}),
        ({"seed": -(2**63)}, {"options": {"seed": -(2**63)}}),
        ({"stop": "END"}, {"stop": ("END",)}),
        ({"stop": ["a", "b", "c", "d"]}, {"stop": ("a", "b", "c", "d")}),
        ({"stop": []}, {}),
        ({"stop": ["", "x"]}, {"stop": ("x",), "ignored": ("stop[0]",)}),
        ({"stop": ""}, {"ignored": ("stop[0]",)}),
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
                    "json_schema": {"name": "x", "strict": True, "schema": SCHEMA},
                }
            },
            {"format": SCHEMA, "strict_format": True},
        ),
        ({"tools": TOOLS}, {"tools": (WEATHER_TOOL,)}),
        (
            {"tools": TOOLS, "tool_choice": "required", "parallel_tool_calls": False},
            {"tools": (WEATHER_TOOL,), "tool_choice": "required", "parallel_tool_calls": False},
        ),
        (
            {"functions": [WEATHER], "function_call": {"name": "get_weather"}},
            {
                "tools": (WEATHER_TOOL,),
                "tool_choice": "named",
                "parallel_tool_calls": False,
                "legacy_functions": True,
            },
        ),
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
    assert [type(value) for value in request.options.values()] == [
        type(value) for value in expected.get("options", {}).values()
    ]


def test_a_schema_keeps_the_order_of_its_properties() -> None:
    assert json.dumps(decode(response_format=form(SCHEMA)).format) == json.dumps(SCHEMA)


@pytest.mark.parametrize(
    ("fields", "strict"),
    [
        ({}, False),
        ({"response_format": {"type": "json_object"}}, False),
        ({"response_format": form(SCHEMA)}, False),
        ({"response_format": form(SCHEMA, strict=None)}, False),
        ({"response_format": form(SCHEMA, strict=False)}, False),
        ({"response_format": form(SCHEMA, strict=True)}, True),
        ({"response_format": form(SCHEMA, strict=True), "format": None}, True),
        ({"response_format": form(SCHEMA, strict=True), "format": SCHEMA}, False),
        ({"response_format": form(SCHEMA, strict=True), "format": "json"}, False),
        ({"response_format": form(SCHEMA, strict=True), "ollama": {"format": ""}}, False),
        ({"format": SCHEMA}, False),
    ],
)
def test_a_form_is_kept_strictly_only_where_openais_field_says_so(fields: dict[str, Any], strict: bool) -> None:
    assert decode(**fields).strict_format is strict


@pytest.mark.parametrize(
    ("fields", "seeds"),
    [
        ({"n": 1}, [None]),
        ({"n": 3}, [None, None, None]),
        ({"n": 1, "seed": 7}, [7]),
        ({"n": 3, "seed": 7}, [7, 8, 9]),
        ({"n": 3, "seed": -2}, [-2, -1, 0]),
        ({"n": 2, "seed": 2**63 - 1}, [2**63 - 1, -(2**63)]),
        ({"n": 2, "seed": 2**64 - 1}, [-1, 0]),
        ({"n": 2, "options": {"seed": 2**63 - 1}}, [2**63 - 1, -(2**63)]),
    ],
)
def test_each_choice_has_a_request_and_a_seed_of_its_own(fields: dict[str, Any], seeds: list[int | None]) -> None:
    request = decode(most_choices=3, temperature=0.5, tools=TOOLS, **fields)
    choices = split_choices(request)
    assert [choice.options.get("seed") for choice in choices] == seeds
    for choice in choices:
        assert choice == replace(request, n=1, options=choice.options)
        assert choice.options == {"temperature": 0.5} | ({} if seeds[0] is None else {"seed": choice.options["seed"]})


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
        ({"reasoning": {"enabled": True}, "reasoning_effort": "low"}, "low"),
        ({"reasoning": {"enabled": True}, "reasoning_effort": "none"}, True),
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
    ("fields", "param"),
    [
        ({}, ""),
        ({"reasoning_effort": "low"}, "reasoning_effort"),
        ({"reasoning": {"effort": "low"}}, "reasoning"),
        ({"reasoning": {"effort": "low"}, "think": True}, "think"),
        ({"ollama": {"think": False}}, "think"),
    ],
)
def test_the_field_that_said_so_is_remembered(fields: dict[str, Any], param: str) -> None:
    assert decode(**fields).think_param == param


@pytest.mark.parametrize(
    ("fields", "ignored"),
    [
        ({"parallel_tool_calls": False, "tools": TOOLS}, []),
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
            {"messages": [{**HELLO, "foo": 1}, {**HELLO, "foo": 2, "name": "ann"}]},
            ["messages[].foo", "messages[].name"],
        ),
        (
            {
                "messages": [
                    {"role": "assistant", "content": "hi", "audio": {"id": "a"}, "cache_control": {"type": "x"}}
                ]
            },
            ["messages[].audio", "messages[].cache_control"],
        ),
        (
            {
                "messages": [
                    {"role": "user", "content": [{"type": "image_url", "image_url": {"url": PNG, "detail": "low"}}]}
                ]
            },
            ["messages[].content[].image_url.detail"],
        ),
        (
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "x", "schema": {}, "description": "d"},
                }
            },
            ["response_format.json_schema.description"],
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
