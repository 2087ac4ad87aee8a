"""Requests for a chat: held against what was really sent to a host, and rule by rule."""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec import Raw

from adapters.errors import InvalidRequest
from adapters.ollama.chat import encode_request
from adapters.ollama.inventory import Version
from adapters.options import RETIRED
from adapters.types import ChatRequest, Media, Message, Profile, Tool, ToolCall
from tests.adapters.ollama.recorded import CHATS, Recording


def request(*messages: Message, **fields: Any) -> ChatRequest:
    return ChatRequest(model="m", messages=messages or (Message(role="user", text="hi"),), **fields)


def sent(asked: ChatRequest, **arguments: Any) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(encode_request(asked, **arguments).body)
    return body


def sent_message(message: Message) -> dict[str, Any]:
    [said] = sent(request(message))["messages"]
    return dict(said)


# --- what was really sent ---------------------------------------------------------------------------------------------

WITHOUT_EFFECT = {"foo", "max_tokens"}


def as_request(body: dict[str, Any]) -> ChatRequest:
    """Return the request that asks for what a recorded one asked for."""
    options = {name: value for name, value in (body.get("options") or {}).items() if name not in WITHOUT_EFFECT}
    return ChatRequest(
        model=body["model"],
        messages=tuple(map(as_message, body["messages"])),
        stream=body.get("stream", True),
        tools=tuple(Tool(**tool["function"]) for tool in body.get("tools") or ()),
        format=body.get("format") or None,
        think=body.get("think"),
        stop=tuple(options.pop("stop", ())),
        options=options,
        logprobs=body.get("logprobs", False),
        top_logprobs=body.get("top_logprobs"),
        keep_alive=body.get("keep_alive"),
        truncate=body.get("truncate"),
        shift=body.get("shift"),
        render_only=body.get("_debug_render_only", False),
    )


def as_message(message: dict[str, Any]) -> Message:
    return Message(
        role=message["role"],
        text=message["content"],
        thinking=message.get("thinking", ""),
        media=tuple(Media("image", data) for data in message.get("images", ())),
        tool_calls=tuple(map(as_call, message.get("tool_calls", ()))),
        tool_call_id=message.get("tool_call_id", ""),
        tool_name=message.get("tool_name", ""),
    )


def as_call(call: dict[str, Any]) -> ToolCall:
    function = call["function"]
    arguments = Raw(json.dumps(function["arguments"]).encode())
    return ToolCall(id=call["id"], name=function["name"], arguments=arguments, index=function["index"])


def without_what_says_nothing(body: dict[str, Any]) -> dict[str, Any]:
    said = {name: value for name, value in body.items() if value not in (None, "", []) and name not in WITHOUT_EFFECT}
    options = {name: value for name, value in (body.get("options") or {}).items() if name not in WITHOUT_EFFECT}
    messages = [{name: value for name, value in m.items() if name not in WITHOUT_EFFECT} for m in body["messages"]]
    rest = {name: value for name, value in said.items() if name != "options"}
    return {"stream": True, **rest, "messages": messages, **({"options": options} if options else {})}


def can_be_asked(chat: Recording) -> bool:
    """Whether a request is one that the gateway makes: with text in every message and an id in every call."""
    body = chat.request.get("body") or {}
    options = body.get("options") or {}
    return (
        all(isinstance(message.get("content"), str) and "role" in message for message in body.get("messages", [{}]))
        and all(
            "id" in call and "index" in call["function"]
            for message in body["messages"]
            for call in message.get("tool_calls", ())
        )
        and options.get("num_predict") != 0
        and not RETIRED & options.keys()
    )


ASKED = [chat for chat in CHATS if can_be_asked(chat)]


def test_nearly_every_recorded_request_can_be_asked() -> None:
    assert len(CHATS) - len(ASKED) == 19


@pytest.mark.parametrize("chat", ASKED, ids=[chat.name for chat in ASKED])
def test_a_recorded_request_is_sent_as_it_was(chat: Recording) -> None:
    body = chat.request["body"]
    assert sent(as_request(body)) == without_what_says_nothing(body)


# --- rule by rule -----------------------------------------------------------------------------------------------------


def test_the_call_is_json_to_the_native_address() -> None:
    call = encode_request(request())
    assert (call.method, call.target, call.headers) == (
        "POST",
        "/api/chat",
        ((b"content-type", b"application/json"),),
    )


def test_only_what_was_said_is_sent() -> None:
    assert sent(request()) == {"model": "m", "messages": [{"role": "user", "content": "hi"}], "stream": False}


def test_the_hosts_name_for_the_model_is_sent() -> None:
    assert sent(request(), model="library/m:latest")["model"] == "library/m:latest"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("think", False),
        ("truncate", False),
        ("shift", False),
        ("keep_alive", 0),
        ("keep_alive", -1),
        ("keep_alive", "1h30m"),
        ("top_logprobs", 0),
        ("format", "json"),
        ("format", {}),
    ],
)
def test_what_is_false_or_nothing_was_said_all_the_same(field: str, value: object) -> None:
    assert sent(request(**{field: value}))[field] == value


def test_a_schema_keeps_the_order_of_its_properties() -> None:
    schema = {"properties": {"reasoning": {}, "answer": {}}, "type": "object"}
    assert json.dumps(sent(request(format=schema))["format"]) == json.dumps(schema)


@pytest.mark.parametrize(
    ("version", "think", "said"),
    [
        (None, "max", "max"),
        (Version(0, 22), "max", "max"),
        (Version(0, 33, 0, "0.33.0-rc2"), "max", "max"),
        (Version(0, 21, 9), "max", "high"),
        (Version(0, 21, 9), "low", "low"),
        (Version(0, 21, 9), True, True),
        (Version(0, 21, 9), False, False),
    ],
)
def test_older_hosts_think_hard_where_newer_ones_think_to_the_max(
    version: Version | None, think: Any, said: Any
) -> None:
    assert sent(request(think=think), version=version)["think"] == said


@pytest.mark.parametrize(
    ("stop", "own", "said"),
    [
        (("a", "b"), (), ["a", "b"]),
        (("a", "b"), ("x", "a"), ["a", "b", "x"]),
        (("a", "a"), ("x", "x"), ["a", "x"]),
    ],
)
def test_the_models_own_stops_are_added_to_the_callers(
    stop: tuple[str, ...], own: tuple[str, ...], said: list[str]
) -> None:
    assert sent(request(stop=stop), profile=Profile(stops=own))["options"] == {"stop": said}


def test_the_models_own_stops_are_not_sent_when_the_caller_gives_none() -> None:
    assert "options" not in sent(request(), profile=Profile(stops=("x",)))


def test_stops_without_a_profile_are_the_callers() -> None:
    assert sent(request(stop=("a",)))["options"] == {"stop": ["a"]}


def test_options_go_as_they_are_without_those_that_would_be_refused() -> None:
    options = {"num_ctx": 8192, "temperature": 0, "num_predict": -1, **dict.fromkeys(RETIRED, 1)}
    assert sent(request(options=options))["options"] == {"num_ctx": 8192, "temperature": 0, "num_predict": -1}


def test_a_limit_of_no_tokens_is_never_sent() -> None:
    assert "options" not in sent(request(options={"num_predict": 0}))


def test_the_options_of_the_request_are_not_changed() -> None:
    options = {"num_predict": 0, "typical_p": 1.0}
    encode_request(request(options=options, stop=("a",)))
    assert options == {"num_predict": 0, "typical_p": 1.0}


def test_pictures_and_sounds_go_together_in_order() -> None:
    media = (Media("image", "aW1n"), Media("audio", "c25k"))
    assert sent_message(Message(role="user", text="what?", media=media)) == {
        "role": "user",
        "content": "what?",
        "images": ["aW1n", "c25k"],
    }


def test_an_assistants_turn_goes_with_thoughts_and_calls() -> None:
    calls = (
        ToolCall(id="call_1", name="f", arguments=Raw(b'{"b": 1, "a": 2.50}')),
        ToolCall(id="call_2", name="g", arguments=Raw(b"{}"), index=1),
    )
    call = encode_request(request(Message(role="assistant", thinking="hm", tool_calls=calls)))
    assert b'"arguments":{"b": 1, "a": 2.50}' in call.body
    assert json.loads(call.body)["messages"] == [
        {
            "role": "assistant",
            "content": "",
            "thinking": "hm",
            "tool_calls": [
                {"id": "call_1", "function": {"index": 0, "name": "f", "arguments": {"b": 1, "a": 2.5}}},
                {"id": "call_2", "function": {"index": 1, "name": "g", "arguments": {}}},
            ],
        }
    ]


def test_a_tools_result_names_its_call_and_its_function() -> None:
    assert sent_message(Message(role="tool", text="21", tool_call_id="call_1", tool_name="f")) == {
        "role": "tool",
        "content": "21",
        "tool_call_id": "call_1",
        "tool_name": "f",
    }


def test_tools_go_with_schemas_that_survive() -> None:
    tools = (
        Tool(name="f", description="Does f.", parameters={"properties": {"x": {"const": 1}}, "minProperties": 1}),
        Tool(name="g"),
    )
    assert sent(request(tools=tools))["tools"] == [
        {
            "type": "function",
            "function": {
                "name": "f",
                "description": "Does f. (minProperties: 1)",
                "parameters": {"type": "object", "properties": {"x": {"enum": [1]}}},
            },
        },
        {"type": "function", "function": {"name": "g", "parameters": {"type": "object", "properties": {}}}},
    ]


def test_a_schema_that_is_too_deep_to_write_is_refused() -> None:
    schema: dict[str, Any] = {}
    for _ in range(5000):
        schema = {"items": schema}
    with pytest.raises(InvalidRequest) as refusal:
        encode_request(request(format=schema))
    assert refusal.value.param == "response_format"
