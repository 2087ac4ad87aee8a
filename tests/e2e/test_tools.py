"""Tools: calls of them, whole and in fragments, and the way back."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import openai
import pytest
from openai.types.chat import ChatCompletion
from pydantic import BaseModel, Field

from tests.conformance.rows import CHAT, shows
from tests.e2e.calling import Caller, said
from tests.e2e.cast import SAID
from tests.e2e.conftest import Ask, Host

pytestmark = pytest.mark.asyncio(loop_scope="package")

WEATHER = {
    "name": "get_weather",
    "description": "Tells the weather.",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string", "description": "Where."}, "days": {"type": "integer"}},
        "required": ["city"],
    },
}
TIME = {"name": "get_time", "parameters": {"type": "object", "properties": {"zone": {"type": "string"}}}}
TOOLS: list[Any] = [{"type": "function", "function": WEATHER}, {"type": "function", "function": TIME}]


def calls(completion: ChatCompletion) -> list[tuple[str, Any]]:
    """Return the calls of an answer by name and arguments."""
    found = []
    for call in completion.choices[0].message.tool_calls or []:
        assert call.type == "function"
        found.append((call.function.name, json.loads(call.function.arguments)))
    return found


RICH = {
    "city": "Zürich",
    "days": 3,
    "low": -1.5,
    "wind": True,
    "note": None,
    "units": ["C", "F"],
    "where": {"lat": 47.4, "lon": 8.5},
}


@pytest.mark.parametrize(
    ("question", "content", "expected"),
    [
        ("one", None, [("get_weather", {"city": "Austin"})]),
        ("two", None, [("get_weather", {"city": "Austin"}), ("get_weather", {"city": "Paris"})]),
        ("mixed", "Let me check.", [("get_weather", {"city": "Oslo"}), ("get_time", {"zone": "UTC+1"})]),
        ("rich", None, [("get_weather", RICH)]),
        ("empty", None, [("get_weather", {})]),
    ],
)
async def test_the_calls_of_an_answer(ask: Ask, question: str, content: str | None, expected: list[Any]) -> None:
    completion = await ask("chat", question, tools=TOOLS)

    [choice] = completion.choices
    assert choice.finish_reason == "tool_calls"
    assert (choice.message.content or "").strip() == (content or "")
    assert calls(completion) == expected
    ids = [call.id for call in choice.message.tool_calls or []]
    assert all(ids)
    assert len(set(ids)) == len(expected)


async def test_a_turn_of_nothing_but_calls_has_no_content(ask: Ask) -> None:
    completion = await ask("chat", "two", tools=TOOLS)

    assert completion.choices[0].message.content is None


@shows(CHAT, "honoured", "tool_choice: auto")
async def test_tools_on_offer_need_not_be_called(ask: Ask) -> None:
    completion = await ask("chat", "text", tools=TOOLS, tool_choice="auto")

    assert completion.choices[0].message.content == SAID
    assert completion.choices[0].message.tool_calls is None
    assert completion.choices[0].finish_reason == "stop"


async def test_the_fragments_of_streamed_calls(caller: Caller, host: Host) -> None:
    """Id, type and name come once for each call, then pieces of its arguments alone."""
    async with await caller.client.chat.completions.create(
        model=host.model("chat"), messages=said("mixed"), tools=TOOLS, stream=True
    ) as stream:
        fragments = [call async for chunk in stream for call in chunk.choices[0].delta.tool_calls or []]

    openings = [fragment for fragment in fragments if fragment.id is not None]
    assert [(call.index, call.type, call.function and call.function.name) for call in openings] == [
        (0, "function", "get_weather"),
        (1, "function", "get_time"),
    ]
    pieces = [fragment for fragment in fragments if fragment.id is None]
    assert {(piece.type, piece.function and piece.function.name) for piece in pieces} == {(None, None)}
    arguments = ["", ""]
    for fragment in fragments:
        assert fragment.function is not None
        arguments[fragment.index] += fragment.function.arguments or ""
    assert [json.loads(text) for text in arguments] == [{"city": "Oslo"}, {"zone": "UTC+1"}]
    assert [fragment.index for fragment in fragments] == sorted(fragment.index for fragment in fragments)


@shows(
    CHAT,
    "honoured",
    "messages[].role: tool",
    "messages[].tool_call_id",
    *(f"messages[].tool_calls[].{field}" for field in ("id", "function.name", "function.arguments")),
)
async def test_the_whole_loop_of_a_tool(ask: Ask, host: Host) -> None:
    first = await ask("chat", "two", tools=TOOLS)
    message = first.choices[0].message
    results = [
        {"role": "tool", "tool_call_id": call.id, "content": f"{degrees} degrees"}
        for call, degrees in zip(message.tool_calls or [], (30, 21), strict=True)
    ]
    second = await ask("chat", [*said("two"), message.to_dict(exclude_unset=False), *results], tools=TOOLS)

    assert second.choices[0].message.content == "The tool says it is 21 degrees there."
    assert second.choices[0].finish_reason == "stop"
    ids = [call.id for call in message.tool_calls or []]
    assert host.chats[-1]["messages"] == [
        {"role": "user", "content": "two"},
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [
                {"id": ids[0], "function": {"index": 0, "name": "get_weather", "arguments": {"city": "Austin"}}},
                {"id": ids[1], "function": {"index": 1, "name": "get_weather", "arguments": {"city": "Paris"}}},
            ],
        },
        {"role": "tool", "content": "30 degrees", "tool_name": "get_weather", "tool_call_id": ids[0]},
        {"role": "tool", "content": "21 degrees", "tool_name": "get_weather", "tool_call_id": ids[1]},
    ]


@shows(CHAT, "emulated", "parallel_tool_calls", remark="of several calls the first is kept")
@pytest.mark.parametrize("question", ["one", "two", "mixed"])
async def test_one_call_at_a_time(ask: Ask, caller: Caller, question: str) -> None:
    completion = await ask("chat", question, tools=TOOLS, parallel_tool_calls=False)

    assert len(calls(completion)) == 1
    assert completion.choices[0].finish_reason == "tool_calls"
    assert "x-gateway-ignored" not in caller.answers[0].headers


async def test_a_choice_of_no_tool_hides_the_tools(ask: Ask, host: Host) -> None:
    completion = await ask("chat", "one", tools=TOOLS, tool_choice="none")

    assert completion.choices[0].message.content == SAID
    assert "tools" not in host.chats[0]


class GetWeather(BaseModel):
    """Tells the weather."""

    city: str = Field(description="Where.")
    days: int = 1


PARSED: Any = openai.pydantic_function_tool(GetWeather, name="get_weather")
"""A strict tool: the SDK makes objects of its arguments."""


class GetWeatherOf(BaseModel):
    city: str


@pytest.mark.parametrize("question", ["one", "two"])
async def test_arguments_parsed_by_the_sdk(caller: Caller, host: Host, question: str) -> None:
    tool: Any = openai.pydantic_function_tool(GetWeatherOf, name="get_weather")
    asked: Any = {"model": host.model("chat"), "messages": said(question), "tools": [tool]}
    sync: Any = caller.sync.chat.completions
    whole = await caller.client.chat.completions.parse(**asked)
    in_a_thread = await asyncio.to_thread(sync.parse, **asked)
    async with caller.client.chat.completions.stream(**asked) as stream:
        events = [event async for event in stream if event.type == "tool_calls.function.arguments.done"]
        streamed = await stream.get_final_completion()

    cities = {"one": ["Austin"], "two": ["Austin", "Paris"]}[question]
    expected = [GetWeatherOf(city=city) for city in cities]
    assert [(event.index, event.name) for event in events] == [(place, "get_weather") for place in range(len(cities))]
    assert [event.parsed_arguments for event in events] == expected
    for completion in (whole, in_a_thread, streamed):
        message = completion.choices[0].message
        assert [call.function.parsed_arguments for call in message.tool_calls or []] == expected
        assert message.parsed is None


@shows(CHAT, "honoured", *(f"tools[].function.{field}" for field in ("name", "description", "parameters")))
async def test_the_schema_of_a_strict_tool_reaches_the_host(caller: Caller, host: Host) -> None:
    await caller.client.chat.completions.parse(model=host.model("chat"), messages=said("one"), tools=[PARSED])

    [tool] = host.chats[0]["tools"]
    assert tool["function"]["name"] == "get_weather"
    assert tool["function"]["description"].startswith("Tells the weather.")
    parameters = tool["function"]["parameters"]
    assert parameters["type"] == "object"
    assert parameters["required"] == ["city", "days"]
    assert parameters["properties"]["city"] == {"type": "string", "description": "Where."}
    assert parameters["properties"]["days"]["type"] == "integer"


@shows(CHAT, "honoured", *(f"functions[].{field}" for field in ("name", "description", "parameters")))
async def test_legacy_functions_reach_the_host_as_tools(ask: Ask, host: Host) -> None:
    await ask("chat", "one", tools=[{"type": "function", "function": WEATHER}])
    await ask("chat", "one", functions=[WEATHER])

    assert host.chats[0]["tools"] == host.chats[1]["tools"]


async def test_a_model_without_tools_says_so(ask: Ask, caller: Caller, host: Host) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        await ask("plain", "one", tools=TOOLS)

    assert caught.value.param == "tools"
    assert caught.value.code == "unsupported_parameter"
    assert host.model("plain") in caught.value.message
    assert "registry" not in caught.value.message
    assert len(caller.answers) == 1
