"""What a request says of tools: what there is to call, and whether the model may, must or must not."""

from __future__ import annotations

import json
from typing import Any

import pytest

from adapters.openai.fields import Fields, Ignored
from adapters.openai.tools import decode_tools
from adapters.types import Message, Tool
from tests.adapters.openai.requests import HELLO, decode, refusal

SCHEMA = {"type": "object", "properties": {"b": {"type": "string"}, "a": {"type": "integer"}}, "required": ["b"]}
WEATHER = {"name": "get_weather", "description": "The weather.", "parameters": SCHEMA}
FUNCTIONS: list[dict[str, Any]] = [WEATHER, {"name": "sun"}, {"name": "rain"}]
TOOLS = [{"type": "function", "function": function} for function in FUNCTIONS]
WEATHER_TOOL = Tool(name="get_weather", description="The weather.", parameters=SCHEMA)
SUN, RAIN = Tool(name="sun"), Tool(name="rain")
ALL = (WEATHER_TOOL, SUN, RAIN)
DEEP = json.loads('{"a":' * 101 + "1" + "}" * 101)
CALLED = {"role": "assistant", "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "sun"}}]}
TOLD = {"role": "tool", "tool_call_id": "c1", "content": "It shines."}


def named(name: str) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name}}


def flat(name: str) -> dict[str, Any]:
    return {"type": "function", "name": name}


def allowed(**fields: Any) -> dict[str, Any]:
    return {"type": "allowed_tools", "allowed_tools": fields}


@pytest.mark.parametrize(
    ("tools", "expected"),
    [
        (None, ()),
        ([], ()),
        (TOOLS, ALL),
        (TOOLS[:1] * 2, (WEATHER_TOOL, WEATHER_TOOL)),
        ([named("mcp.server/read:file")], (Tool(name="mcp.server/read:file"),)),
        ([{"type": "function", "function": {**WEATHER, "strict": False}}], (WEATHER_TOOL,)),
        ([{"type": "function", "function": {**WEATHER, "strict": None}}], (WEATHER_TOOL,)),
        (
            [{"type": "function", "function": {**WEATHER, "strict": True}}],
            (Tool(name="get_weather", description="The weather.", parameters=SCHEMA, strict=True),),
        ),
    ],
)
def test_tools(tools: object, expected: tuple[Tool, ...]) -> None:
    request = decode(tools=tools)
    assert request.tools == expected
    assert (request.tool_choice, request.parallel_tool_calls, request.legacy_functions) == ("auto", True, False)
    assert request.ignored == ()


def test_parameters_keep_the_order_of_their_properties() -> None:
    assert json.dumps(decode(tools=TOOLS).tools[0].parameters) == json.dumps(SCHEMA)


def test_what_a_tool_says_beyond_openai_is_named_once() -> None:
    tool = {"type": "function", "function": {"name": "f", "foo": 1}, "bar": 2, "cache_control": {"type": "ephemeral"}}
    assert decode(tools=[tool, tool]).ignored == ("tools[].bar", "tools[].function.foo")


@pytest.mark.parametrize(
    ("given", "choice", "left"),
    [
        ("auto", "auto", ALL),
        ("none", "none", ()),
        ("required", "required", ALL),
        (named("sun"), "named", (SUN,)),
        (flat("sun"), "named", (SUN,)),
        ({"type": "function", "function": None, "name": "sun"}, "named", (SUN,)),
        (allowed(mode="auto", tools=[named("rain"), named("get_weather")]), "auto", (WEATHER_TOOL, RAIN)),
        (allowed(mode="required", tools=[named("rain")]), "required", (RAIN,)),
        (allowed(mode="required", tools=[named("rain"), named("rain")]), "required", (RAIN,)),
        (allowed(tools=[named("rain")]), "auto", (RAIN,)),
        (allowed(mode=None, tools=[named("rain")]), "auto", (RAIN,)),
        (allowed(mode="auto", tools=[flat("rain")]), "auto", (RAIN,)),
        (allowed(mode="auto", tools=[]), "auto", ()),
        ({"type": "allowed_tools", "mode": "required", "tools": [flat("sun"), flat("rain")]}, "required", (SUN, RAIN)),
        ({"type": "allowed_tools", "mode": "auto", "tools": [named("sun")]}, "auto", (SUN,)),
        ({"type": "allowed_tools", "tools": [flat("sun")]}, "auto", (SUN,)),
    ],
)
def test_a_choice_and_the_tools_that_it_leaves(given: object, choice: str, left: tuple[Tool, ...]) -> None:
    request = decode(tools=TOOLS, tool_choice=given)
    assert (request.tool_choice, request.tools) == (choice, left)
    assert request.ignored == ()


@pytest.mark.parametrize("choice", [None, "auto", "none"])
def test_a_choice_without_tools_that_demands_nothing(choice: str | None) -> None:
    request = decode(tool_choice=choice)
    assert (request.tool_choice, request.tools) == (choice or "auto", ())


def test_of_two_tools_with_one_name_the_first_is_named_and_both_are_allowed() -> None:
    other = Tool(name="sun", description="Another.")
    tools = [*TOOLS, {"type": "function", "function": {"name": "sun", "description": "Another."}}]
    assert decode(tools=tools, tool_choice=named("sun")).tools == (SUN,)
    assert decode(tools=tools, tool_choice=allowed(mode="auto", tools=[named("sun")])).tools == (SUN, other)


def test_without_tools_the_calls_of_the_history_stay() -> None:
    history = [HELLO, CALLED, TOLD]
    request = decode(tools=TOOLS, tool_choice="none", messages=history)
    assert request.messages == decode(tools=TOOLS, messages=history).messages
    assert [call.name for call in request.messages[1].tool_calls] == ["sun"]
    assert request.messages[2] == Message(role="tool", text="It shines.", tool_call_id="c1", tool_name="sun")


@pytest.mark.parametrize(("given", "parallel"), [(None, True), (True, True), (False, False)])
def test_whether_calls_may_come_together(given: bool | None, parallel: bool) -> None:
    request = decode(tools=TOOLS, parallel_tool_calls=given)
    assert (request.parallel_tool_calls, request.ignored) == (parallel, ())


@pytest.mark.parametrize(
    ("given", "choice", "left"),
    [
        (None, "auto", ALL),
        ("auto", "auto", ALL),
        ("none", "none", ()),
        ({"name": "sun"}, "named", (SUN,)),
    ],
)
def test_the_legacy_functions(given: object, choice: str, left: tuple[Tool, ...]) -> None:
    request = decode(functions=FUNCTIONS, function_call=given)
    assert (request.tool_choice, request.tools) == (choice, left)
    assert (request.legacy_functions, request.parallel_tool_calls) == (True, False)
    assert request.ignored == ()


@pytest.mark.parametrize("choice", ["auto", "none"])
def test_a_legacy_choice_without_functions_that_demands_nothing(choice: str) -> None:
    request = decode(function_call=choice)
    assert (request.tool_choice, request.tools, request.legacy_functions) == (choice, (), True)


@pytest.mark.parametrize("fields", [{"functions": []}, {"functions": None, "function_call": None}])
def test_empty_legacy_fields_say_nothing(fields: dict[str, Any]) -> None:
    assert decode(tools=TOOLS, tool_choice="required", **fields) == decode(tools=TOOLS, tool_choice="required")


def test_what_a_legacy_function_says_beyond_openai_is_named() -> None:
    assert decode(functions=[{"name": "f", "foo": 1}]).ignored == ("functions[].foo",)


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        ({"tools": {}}, "tools", "invalid_type"),
        ({"tools": [7]}, "tools[0]", "invalid_type"),
        ({"tools": [{"function": WEATHER}]}, "tools[0].type", "missing_required_parameter"),
        ({"tools": [*TOOLS, {"type": "custom", "custom": {"name": "x"}}]}, "tools[3].type", "unsupported_value"),
        ({"tools": [{"type": "web_search"}]}, "tools[0].type", "unsupported_value"),
        ({"tools": [{"type": "function"}]}, "tools[0].function", "missing_required_parameter"),
        ({"tools": [{"type": "function", "function": {}}]}, "tools[0].function.name", "missing_required_parameter"),
        ({"tools": [named("")]}, "tools[0].function.name", "empty_string"),
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
        (
            {"tools": [{"type": "function", "function": {"name": "f", "strict": "yes"}}]},
            "tools[0].function.strict",
            "invalid_type",
        ),
        ({"tools": TOOLS, "parallel_tool_calls": 0}, "parallel_tool_calls", "invalid_type"),
        ({"functions": FUNCTIONS, "parallel_tool_calls": 0}, "parallel_tool_calls", "invalid_type"),
        ({"functions": {}}, "functions", "invalid_type"),
        ({"functions": ["f"]}, "functions[0]", "invalid_type"),
        ({"functions": [{}]}, "functions[0].name", "missing_required_parameter"),
        ({"functions": [*FUNCTIONS, {"name": "f", "parameters": 1}]}, "functions[3].parameters", "invalid_type"),
    ],
)
def test_tools_that_cannot_be_read(fields: dict[str, Any], param: str, code: str) -> None:
    assert refusal(**fields)[:2] == (param, code)


@pytest.mark.parametrize(
    ("choice", "param", "code"),
    [
        ("any", "tool_choice", "invalid_value"),
        (1, "tool_choice", "invalid_type"),
        ([], "tool_choice", "invalid_type"),
        ({}, "tool_choice.type", "missing_required_parameter"),
        ({"type": 1}, "tool_choice.type", "invalid_type"),
        ({"type": "custom", "custom": {"name": "sun"}}, "tool_choice.type", "invalid_value"),
        ({"type": "function"}, "tool_choice.function", "missing_required_parameter"),
        ({"type": "function", "function": "sun"}, "tool_choice.function", "invalid_type"),
        ({"type": "function", "function": {}}, "tool_choice.function.name", "missing_required_parameter"),
        (named(""), "tool_choice.function.name", "empty_string"),
        (named("moon"), "tool_choice.function.name", "invalid_value"),
        (flat("moon"), "tool_choice.name", "invalid_value"),
        ({"type": "allowed_tools"}, "tool_choice.tools", "missing_required_parameter"),
        (allowed(), "tool_choice.allowed_tools.tools", "missing_required_parameter"),
        ({"type": "allowed_tools", "allowed_tools": []}, "tool_choice.allowed_tools", "invalid_type"),
        (allowed(mode="auto", tools={}), "tool_choice.allowed_tools.tools", "invalid_type"),
        (allowed(mode="auto", tools=["sun"]), "tool_choice.allowed_tools.tools[0]", "invalid_type"),
        (
            allowed(mode="auto", tools=[{"type": "function"}]),
            "tool_choice.allowed_tools.tools[0].function",
            "missing_required_parameter",
        ),
        (
            allowed(mode="auto", tools=[named("sun"), named("moon")]),
            "tool_choice.allowed_tools.tools[1].function.name",
            "invalid_value",
        ),
        ({"type": "allowed_tools", "tools": [flat("moon")]}, "tool_choice.tools[0].name", "invalid_value"),
        (allowed(mode="none", tools=[named("sun")]), "tool_choice.allowed_tools.mode", "invalid_value"),
        (allowed(mode=1, tools=[named("sun")]), "tool_choice.allowed_tools.mode", "invalid_type"),
        (allowed(mode="required", tools=[]), "tool_choice", "invalid_value"),
    ],
)
def test_a_choice_that_cannot_be_read(choice: object, param: str, code: str) -> None:
    assert refusal(tools=TOOLS, tool_choice=choice)[:2] == (param, code)


@pytest.mark.parametrize(
    ("choice", "param"),
    [
        ("required", "tool_choice"),
        (named("sun"), "tool_choice.function.name"),
        (allowed(mode="auto", tools=[named("sun")]), "tool_choice.allowed_tools.tools[0].function.name"),
    ],
)
def test_a_choice_that_demands_a_tool_where_there_is_none(choice: object, param: str) -> None:
    assert refusal(tool_choice=choice)[:2] == (param, "invalid_value")


@pytest.mark.parametrize(
    ("choice", "param", "code"),
    [
        ("required", "function_call", "invalid_value"),
        (True, "function_call", "invalid_type"),
        ({}, "function_call.name", "missing_required_parameter"),
        ({"name": ""}, "function_call.name", "empty_string"),
        ({"name": "moon"}, "function_call.name", "invalid_value"),
    ],
)
def test_a_legacy_choice_that_cannot_be_read(choice: object, param: str, code: str) -> None:
    assert refusal(functions=FUNCTIONS, function_call=choice)[:2] == (param, code)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"functions": FUNCTIONS, "tools": TOOLS}, "functions"),
        ({"functions": FUNCTIONS, "tool_choice": "auto"}, "functions"),
        ({"functions": FUNCTIONS, "function_call": "auto", "tools": TOOLS}, "functions"),
        ({"function_call": "auto", "tools": TOOLS}, "function_call"),
        ({"function_call": {"name": "sun"}, "tools": TOOLS}, "function_call"),
        ({"function_call": "none", "tool_choice": "none"}, "function_call"),
    ],
)
def test_the_two_ways_to_speak_of_tools_exclude_each_other(fields: dict[str, Any], param: str) -> None:
    assert refusal(**fields)[:2] == (param, "invalid_value")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"tools": [{"type": "custom"}]},
            "Unsupported tool type: 'custom'. Only functions are supported.",
        ),
        (
            {"tools": TOOLS, "tool_choice": "any"},
            "Invalid value: 'any'. Supported values are: 'auto', 'none', 'required'.",
        ),
        (
            {"tools": TOOLS, "tool_choice": 1},
            "Invalid type for 'tool_choice': expected a string or an object, but got an integer instead.",
        ),
        (
            {"tools": TOOLS, "tool_choice": {"type": "custom"}},
            "Invalid value: 'custom'. Supported values are: 'function', 'allowed_tools'.",
        ),
        (
            {"tools": TOOLS, "tool_choice": named("m" * 100)},
            f"Invalid value: '{'m' * 60}…' is not the name of one of the 'tools'.",
        ),
        (
            {"tools": TOOLS, "tool_choice": allowed(mode="any", tools=[named("sun")])},
            "Invalid value: 'any'. Supported values are: 'auto', 'required'.",
        ),
        (
            {"tool_choice": "required"},
            "Invalid 'tool_choice': a call is required, but there are no tools.",
        ),
        (
            {"functions": FUNCTIONS, "function_call": {"name": "moon"}},
            "Invalid value: 'moon' is not the name of one of the 'functions'.",
        ),
        (
            {"functions": FUNCTIONS, "tools": TOOLS},
            "'functions' and 'tools' exclude each other. Use 'tools'.",
        ),
        (
            {"functions": FUNCTIONS, "tool_choice": "auto"},
            "'functions' and 'tool_choice' exclude each other. Use 'tools'.",
        ),
    ],
)
def test_a_refusal_says_what_is_wrong(fields: dict[str, Any], message: str) -> None:
    assert refusal(**fields)[2] == message


def test_many_allowed_tools_are_found_without_comparing_each_with_each() -> None:
    compared = []

    class Name(str):
        __slots__ = ()
        __hash__ = str.__hash__

        def __eq__(self, other: object) -> bool:
            compared.append(other)
            return str.__eq__(self, other)

    names = [f"tool {number}" for number in range(300)]
    choice = allowed(tools=[named(Name(name)) for name in reversed(names)])
    fields = Fields({"tools": [named(Name(name)) for name in names], "tool_choice": choice})

    assert [tool.name for tool in decode_tools(fields, Ignored()).tools] == names
    assert len(compared) <= 4 * len(names)
