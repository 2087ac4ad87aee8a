"""What callers demand of a chat and no Ollama does by itself: choices, calls that must come, forms that must hold."""

from __future__ import annotations

import json
from typing import Any

import pytest
from openai.types.chat import ChatCompletion

from tests.conformance.rows import CHAT, shows
from tests.e2e.calling import WAYS, Caller, said
from tests.e2e.cast import SAID
from tests.e2e.conftest import Ask, Host
from tests.e2e.test_tools import TIME, TOOLS, WEATHER, calls

pytestmark = pytest.mark.asyncio(loop_scope="package")


# --- n ----------------------------------------------------------------------------------------------------------------


@shows(CHAT, "emulated", "n")
@pytest.mark.parametrize("way", WAYS)
async def test_several_choices(caller: Caller, host: Host, way: str) -> None:
    """OpenAI counts the prompt once, and what was written of each choice."""
    one = await caller.ask(way, model=host.model("chat"), messages=said("hi"))
    three = await caller.ask(way, model=host.model("chat"), messages=said("hi"), n=3)

    assert [choice.index for choice in three.choices] == [0, 1, 2]
    assert {choice.message.content for choice in three.choices} == {SAID}
    assert {choice.finish_reason for choice in three.choices} == {"stop"}
    assert one.usage is not None
    assert three.usage is not None
    assert three.usage.prompt_tokens == one.usage.prompt_tokens
    assert three.usage.completion_tokens == 3 * one.usage.completion_tokens
    assert len(host.chats) == 4


async def test_choices_differ_by_seed_and_the_same_seed_gives_the_same(ask: Ask, host: Host) -> None:
    fields: dict[str, Any] = {"n": 4, "seed": 7, "temperature": 1}
    first, second = await ask("chat", "dice", **fields), await ask("chat", "dice", **fields)

    texts = [choice.message.content for choice in first.choices]
    assert len(set(texts)) > 1
    assert [choice.message.content for choice in second.choices] == texts
    assert sorted(chat["options"]["seed"] for chat in host.chats) == [7, 7, 8, 8, 9, 9, 10, 10]


async def test_choices_with_calls_thoughts_and_log_probabilities(ask: Ask, host: Host) -> None:
    called = await ask("chat", "two", n=2, tools=TOOLS)
    thought = await ask("think", "hi", n=2, reasoning_effort="medium")
    scored = await ask("chat", "hi", n=2, logprobs=True)

    assert [len(choice.message.tool_calls or []) for choice in called.choices] == [2, 2]
    ids = [call.id for choice in called.choices for call in choice.message.tool_calls or []]
    assert len(set(ids)) == 4
    assert all((choice.message.model_extra or {})["reasoning"] for choice in thought.choices)
    assert all(choice.logprobs and choice.logprobs.content for choice in scored.choices)


# --- tool_choice ------------------------------------------------------------------------------------------------------

NAMED = {"type": "function", "function": {"name": "get_time"}}


def allowed(*names: str, mode: str) -> dict[str, Any]:
    """Return a choice among some of the tools."""
    tools = [{"type": "function", "function": {"name": name}} for name in names]
    return {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": tools}}


def emulated(*choices: str) -> pytest.MarkDecorator:
    return shows(CHAT, "emulated", *(f"tool_choice{choice}" for choice in choices))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("question", "choice", "names", "reason", "native_calls"),
    [
        ("one", "required", ["get_weather"], "tool_calls", 1),
        ("two", "required", ["get_weather", "get_weather"], "tool_calls", 1),
        pytest.param("text", "required", ["get_weather"], "tool_calls", 2, marks=emulated(": required")),
        pytest.param("text", NAMED, ["get_time"], "stop", 2, marks=emulated(".function.name")),
        ("one", NAMED, ["get_time"], "stop", 2),
        pytest.param(
            "text",
            allowed("get_time", mode="required"),
            ["get_time"],
            "tool_calls",
            2,
            marks=emulated(".allowed_tools.mode: required", ".allowed_tools.tools[]"),
        ),
        pytest.param(
            "one",
            allowed("get_weather", mode="auto"),
            ["get_weather"],
            "tool_calls",
            1,
            marks=emulated(".allowed_tools.mode: auto"),
        ),
        ("text", allowed("get_weather", mode="auto"), [], "stop", 1),
    ],
)
async def test_a_choice_of_tools(
    caller: Caller, host: Host, way: str, question: str, choice: Any, names: list[str], reason: str, native_calls: int
) -> None:
    completion = await caller.ask(
        way, model=host.model("chat"), messages=said(question), tools=TOOLS, tool_choice=choice
    )

    assert [name for name, _ in calls(completion)] == names
    assert completion.choices[0].finish_reason == reason
    assert len(host.chats) == native_calls
    if names and native_calls == 2:
        assert completion.choices[0].message.content is None
        assert any(piece.get("ollama", {}).get("tool_call_emulated") for piece in caller.answers[-1].data)


async def test_a_call_that_was_made_to_come_follows_its_schema(ask: Ask) -> None:
    completion = await ask("chat", "text", tools=TOOLS[:1], tool_choice="required")

    [(name, arguments)] = calls(completion)
    assert name == "get_weather"
    assert isinstance(arguments["city"], str)


async def test_a_thinking_model_thinks_once_and_then_calls(ask: Ask, host: Host) -> None:
    """It calls a function that is not on offer, which does not count."""
    completion = await ask("think", "text", tools=[{"type": "function", "function": TIME}], tool_choice="required")

    assert [name for name, _ in calls(completion)] == ["get_time"]
    assert (completion.choices[0].message.model_extra or {})["reasoning"]
    assert [chat.get("think") for chat in host.chats] == [None, False]


async def test_the_conversation_goes_on_after_a_call_that_was_made_to_come(ask: Ask, host: Host) -> None:
    first = await ask("chat", "text", tools=TOOLS[:1], tool_choice="required")
    message = first.choices[0].message.model_dump(exclude_none=True)
    call = message["tool_calls"][0]
    result = {"role": "tool", "tool_call_id": call["id"], "content": "21 degrees"}
    second = await ask("chat", [*said("text"), message, result], tools=TOOLS[:1])

    assert second.choices[0].message.content
    assert host.chats[-1]["messages"][1]["tool_calls"][0]["id"] == call["id"]


@shows(CHAT, "emulated", "tool_choice: none", remark="the host is not told of the tools")
async def test_a_choice_of_no_tool_keeps_what_was_called_before(ask: Ask, host: Host) -> None:
    call = {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": '{"city": "Oslo"}'}}
    history = [
        *said("one"),
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": "21 degrees"},
    ]
    completion = await ask("chat", history, tools=TOOLS, tool_choice="none")

    assert completion.choices[0].finish_reason == "stop"
    assert not completion.choices[0].message.tool_calls
    assert "tools" not in host.chats[0]
    assert host.chats[0]["messages"][2]["tool_name"] == "get_weather"


# --- functions --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize(
    ("question", "choice", "name", "reason"),
    [
        ("two", None, "get_weather", "function_call"),
        pytest.param(
            "two", "auto", "get_weather", "function_call", marks=shows(CHAT, "honoured", "function_call: auto")
        ),
        pytest.param(
            "text", {"name": "get_time"}, "get_time", "stop", marks=shows(CHAT, "emulated", "function_call.name")
        ),
        pytest.param("two", "none", None, "stop", marks=shows(CHAT, "emulated", "function_call: none")),
        ("text", None, None, "stop"),
    ],
)
async def test_legacy_functions(
    caller: Caller, host: Host, stream: bool, question: str, choice: Any, name: str | None, reason: str
) -> None:
    create: Any = caller.client.chat.completions.create
    fields = {"model": host.model("chat"), "messages": said(question), "functions": [WEATHER, TIME]}
    if choice is not None:
        fields["function_call"] = choice
    if stream:
        called, finish, pieces = "", None, ""
        async for chunk in await create(**fields, stream=True):
            delta = chunk.choices[0].delta
            finish = chunk.choices[0].finish_reason or finish
            if delta.function_call:
                called += delta.function_call.name or ""
                pieces += delta.function_call.arguments or ""
            assert not delta.tool_calls
    else:
        completion: ChatCompletion = await create(**fields)
        message, finish = completion.choices[0].message, completion.choices[0].finish_reason
        assert not message.tool_calls
        called = message.function_call.name if message.function_call else ""
        pieces = message.function_call.arguments if message.function_call else ""

    assert (called or None, finish) == (name, reason)
    if name:
        assert isinstance(json.loads(pieces), dict)


@shows(
    CHAT,
    "honoured",
    "messages[].function_call.name",
    "messages[].function_call.arguments",
    "messages[].role: function",
)
@shows(CHAT, "honoured", "messages[].name", remark="of a function")
async def test_the_way_back_of_a_legacy_function(ask: Ask, host: Host) -> None:
    history = [
        *said("one"),
        {
            "role": "assistant",
            "content": None,
            "function_call": {"name": "get_weather", "arguments": '{"city": "Oslo"}'},
        },
        {"role": "function", "name": "get_weather", "content": "21 degrees"},
    ]
    await ask("chat", history, functions=[WEATHER])

    [chat] = host.chats
    assert chat["messages"][1]["tool_calls"][0]["function"]["name"] == "get_weather"
    assert (chat["messages"][2]["role"], chat["messages"][2]["tool_name"]) == ("tool", "get_weather")
    assert chat["messages"][2]["tool_call_id"] == chat["messages"][1]["tool_calls"][0]["id"]


# --- strict -----------------------------------------------------------------------------------------------------------

DAYS = {
    "name": "get_weather",
    "strict": True,
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
        "required": ["city", "days"],
        "additionalProperties": False,
    },
}


@shows(CHAT, "emulated", "tools[].function.strict", remark="arguments are checked, and asked for once more")
async def test_arguments_that_break_a_strict_schema_are_asked_for_in_its_form(
    ask: Ask, caller: Caller, host: Host
) -> None:
    """The model says `{"city": "Austin"}`; made to follow the schema it also says how many days."""
    completion = await ask("chat", "one", tools=[{"type": "function", "function": DAYS}])

    [(name, arguments)] = calls(completion)
    assert (name, arguments.keys(), type(arguments["days"])) == ("get_weather", {"city", "days"}, int)
    assert completion.choices[0].finish_reason == "tool_calls"
    assert any(piece.get("ollama", {}).get("schema_retried") for piece in caller.answers[-1].data)
    assert len(host.chats) == 2


async def test_arguments_that_follow_a_strict_schema_pass_at_once(ask: Ask, host: Host) -> None:
    strict = {**WEATHER, "strict": True}
    completion = await ask("chat", "two", tools=[{"type": "function", "function": strict}])

    assert calls(completion) == [("get_weather", {"city": "Austin"}), ("get_weather", {"city": "Paris"})]
    assert len(host.chats) == 1


async def test_several_wrong_calls_are_shown_to_the_model(ask: Ask, host: Host) -> None:
    """It says the same again: the calls are handed over with a remark, for whoever runs them checks them too."""
    completion = await ask("chat", "two", tools=[{"type": "function", "function": DAYS}])

    assert [name for name, _ in calls(completion)]
    assert len(host.chats) == 2
    assert host.chats[1]["messages"][-1]["role"] == "tool"
    assert "'days' is a required property" in host.chats[1]["messages"][-1]["content"]


@pytest.mark.parametrize("model", ["chat", "think"])
@pytest.mark.parametrize("effort", [None, "none", "medium"])
async def test_a_strict_form_with_and_without_thoughts(ask: Ask, model: str, effort: str | None) -> None:
    schema = {
        "type": "object",
        "properties": {"city": {"type": "string"}, "temp": {"type": "integer"}, "ok": {"type": "boolean"}},
        "required": ["city", "temp", "ok"],
        "additionalProperties": False,
    }
    form = {"type": "json_schema", "json_schema": {"name": "w", "strict": True, "schema": schema}}
    fields: dict[str, Any] = {} if effort is None else {"reasoning_effort": effort}
    completion = await ask(model, "json", response_format=form, **fields)

    answer = json.loads(completion.choices[0].message.content or "")
    assert answer.keys() == {"city", "temp", "ok"}
    assert isinstance(answer["temp"], int)
