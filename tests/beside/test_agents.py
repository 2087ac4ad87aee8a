"""Tools, streams of their calls, and thinking."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.simulator.tool_schema import read_parameters
from tests.beside.exchanges import Ours, Theirs, beside

pytestmark = pytest.mark.asyncio(loop_scope="package")


def calls(message: Any) -> list[tuple[str, Any]]:
    """Return the calls of a message by name and arguments."""
    found = (call["function"] for call in message.get("tool_calls") or ())
    return [(function["name"], json.loads(function["arguments"])) for function in found]


def said(text: str) -> list[Any]:
    return [{"role": "user", "content": text}]


# --- which tools are called -------------------------------------------------------------------------------------------


@beside("chat-tools-choice-none")
async def test_no_tool_is_called_when_none_may_be(theirs: Theirs, ours: Ours) -> None:
    assert theirs.asked["tool_choice"] == "none"
    assert calls(theirs.message)

    answer = await ours.answer(theirs)
    assert "tool_calls" not in answer.message
    assert (answer.message["content"] != "", answer.choice["finish_reason"]) == (True, "stop")
    assert "tools" not in ours.sent()[0]


@beside("chat-tools-choice-none")
@pytest.mark.parametrize(
    ("choice", "name"),
    [
        ("required", "get_weather"),
        ({"type": "function", "function": {"name": "get_time"}}, "get_time"),
        (
            {
                "type": "allowed_tools",
                "allowed_tools": {
                    "mode": "required",
                    "tools": [{"type": "function", "function": {"name": "get_time"}}],
                },
            },
            "get_time",
        ),
    ],
    ids=["required", "named", "allowed_tools"],
)
async def test_a_tool_is_called_when_one_must_be(theirs: Theirs, ours: Ours, choice: Any, name: str) -> None:
    """To `text` the model calls none by itself."""
    answer = await ours.answer(theirs, tool_choice=choice, messages=said("text"))

    assert [called for called, _ in calls(answer.message)] == [name]
    assert answer.json["ollama"]["tool_call_emulated"] is True


@beside("chat-tools-two-nostream")
async def test_one_call_comes_when_more_may_not(theirs: Theirs, ours: Ours) -> None:
    assert len(calls(theirs.message)) == 2

    answer = await ours.answer(theirs, parallel_tool_calls=False)
    assert calls(answer.message) == calls(theirs.message)[:1]


# --- what models read of tools ----------------------------------------------------------------------------------------

PARAMETERS = {
    "type": "object",
    "$defs": {"place": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}},
    "properties": {
        "where": {"$ref": "#/$defs/place"},
        "day": {"oneOf": [{"type": "string", "format": "date"}, {"type": "integer"}]},
        "units": {"type": "string", "default": "C"},
    },
}


@beside("chat-tools-one-nostream")
async def test_nothing_of_a_tools_schema_is_lost(theirs: Theirs, ours: Ours) -> None:
    """What a host keeps of a schema as it is, and what it keeps of it as it is sent."""
    alone = read_parameters(PARAMETERS, "")["properties"]
    assert alone == {"where": {}, "day": {}, "units": {"type": "string"}}

    function = {"name": "get_weather", "parameters": PARAMETERS}
    answer = await ours.answer(theirs, tools=[{"type": "function", "function": function}])
    assert calls(answer.message) == calls(theirs.message)
    kept = read_parameters(ours.sent()[0]["tools"][0]["function"]["parameters"], "")["properties"]
    assert kept["where"]["properties"] == {"city": {"type": "string"}}
    assert kept["where"]["required"] == ["city"]
    assert [each["type"] for each in kept["day"]["anyOf"]] == ["string", "integer"]
    assert 'format: "date"' in kept["day"]["anyOf"][0]["description"]
    assert 'default: "C"' in kept["units"]["description"]


@beside("chat-tools-one-nostream")
@pytest.mark.parametrize("schema", [True, False])
async def test_a_schema_may_be_true_or_false(theirs: Theirs, ours: Ours, schema: bool) -> None:
    parameters = {"type": "object", "properties": {"any": schema}}
    tools = [{"type": "function", "function": {"name": "get_weather", "parameters": parameters}}]
    as_it_is = {**theirs.asked, "tools": tools}
    refused = await ours.gateway.client.post(f"{ours.host.url}/api/chat", json=as_it_is)
    assert refused.status_code == 400

    answer = await ours.answer(theirs, tools=tools)
    assert calls(answer.message) == calls(theirs.message)


# --- the way back -----------------------------------------------------------------------------------------------------


@beside("chat-tools-result")
@pytest.mark.parametrize(
    "content", ["21", [{"type": "text", "text": "2"}, {"type": "text", "text": "1"}]], ids=["text", "parts"]
)
async def test_a_result_is_linked_to_its_call(theirs: Theirs, ours: Ours, content: Any) -> None:
    messages = theirs.asked["messages"]
    messages[-1]["content"] = content
    answer = await ours.answer(theirs, messages=messages)

    assert answer.message["content"] == theirs.message["content"]
    _, called, *results = ours.sent()[0]["messages"]
    assert called["tool_calls"][0]["id"] == "call_1"
    text = "21" if content == "21" else "2\n1"
    assert results == [{"role": "tool", "content": text, "tool_name": "get_weather", "tool_call_id": "call_1"}]


@beside("chat-tools-result-bad-arguments")
async def test_a_broken_call_in_the_history_does_not_end_the_conversation(theirs: Theirs, ours: Ours) -> None:
    assert (theirs.status, theirs.error["message"]) == (400, "invalid tool call arguments")

    answer = await ours.answer(theirs)
    assert answer.message["content"] == "The tool says it is 21 degrees there."


# --- streams of calls -------------------------------------------------------------------------------------------------


@beside("chat-tools-mixed-stream", "0.33/chat-jinja-tools-two-stream")
async def test_calls_stream_in_openais_fragments(theirs: Theirs, ours: Ours) -> None:
    """Ollama sends them whole, beside an empty `content`; where llama-server reads them, all in one delta."""
    whole = [call for delta in theirs.deltas for call in delta.get("tool_calls", ())]
    assert all(call["id"] and json.loads(call["function"]["arguments"]) for call in whole)
    assert {delta["content"] for delta in theirs.deltas if "tool_calls" in delta} == {""}

    answer = await ours.answer(theirs)
    fragments = [call for delta in answer.deltas for call in delta.get("tool_calls", ())]
    assert all(delta.keys() == {"tool_calls"} for delta in answer.deltas if "tool_calls" in delta)
    for index, call in enumerate(whole):
        opening, *pieces = (fragment for fragment in fragments if fragment["index"] == index)
        assert opening["function"] == {"name": call["function"]["name"], "arguments": ""}
        assert (bool(opening["id"]), opening["type"]) == (True, "function")
        assert all(piece.keys() == {"index", "function"} for piece in pieces)
        assert "".join(piece["function"]["arguments"] for piece in pieces) == call["function"]["arguments"]


@beside("chat-tools-mixed-stream")
async def test_text_streams_although_there_are_tools(theirs: Theirs, ours: Ours) -> None:
    recorded = [delta["content"] for delta in theirs.deltas if delta.get("content")]
    answer = await ours.answer(theirs)

    pieces = [delta["content"] for delta in answer.deltas if delta.get("content")]
    assert len(pieces) > 1
    assert "".join(pieces) == "".join(recorded)


@beside("0.33/chat-jinja-tools-cut-stream")
async def test_a_call_that_was_cut_is_an_error_and_no_silence(theirs: Theirs, ours: Ours) -> None:
    assert not theirs.has_end_mark
    assert {choice["finish_reason"] for choice in theirs.choices} == {None}

    answer = await ours.answer(theirs)
    assert answer.chunks[-1]["error"]["code"] == "tool_call_cut"


# --- thinking ---------------------------------------------------------------------------------------------------------


@beside("chat-think-default-nostream", "chat-think-default-stream")
async def test_thoughts_have_both_of_their_names(theirs: Theirs, ours: Ours) -> None:
    streamed = theirs.asked.get("stream", False)
    for recorded in theirs.deltas if streamed else [theirs.message]:
        assert "reasoning_content" not in recorded

    answer = await ours.answer(theirs)
    thoughts = [message for message in (answer.deltas if streamed else [answer.message]) if "reasoning" in message]
    assert thoughts
    assert all(message["reasoning_content"] == message["reasoning"] for message in thoughts)


OFF: list[dict[str, Any]] = [
    {"think": False},
    {"reasoning_effort": "none"},
    {"reasoning": {"effort": "none"}},
    {"reasoning": {"enabled": False}},
    {"model": "quick"},
]


@beside("chat-think-default-nostream")
@pytest.mark.parametrize("asked", OFF, ids=str)
async def test_thinking_can_be_switched_off(theirs: Theirs, ours: Ours, asked: dict[str, Any]) -> None:
    assert theirs.message["reasoning"]

    answer = await ours.answer(theirs, **asked)
    assert "reasoning" not in answer.message
    assert ours.sent()[0]["think"] is False


@beside("chat-think-default-nostream")
async def test_a_budget_that_thinking_used_up_is_told(theirs: Theirs, ours: Ours) -> None:
    spent = await ours.answer(theirs, max_completion_tokens=4)
    saved = await ours.answer(theirs, max_completion_tokens=4, think=False)

    assert (spent.message["content"], spent.choice["finish_reason"]) == ("", "length")
    assert spent.usage["completion_tokens_details"]["reasoning_tokens"] == spent.usage["completion_tokens"] == 4
    assert saved.message["content"] == "Hello from the tiny"
    assert saved.usage["completion_tokens_details"]["reasoning_tokens"] == 0


@beside("chat-reasoning-effort-minimal")
@pytest.mark.parametrize(
    ("word", "think"),
    [
        ("minimal", "low"),
        ("low", "low"),
        ("medium", "medium"),
        ("high", "high"),
        ("xhigh", "max"),
        ("max", "max"),
        ("ultra", "max"),
    ],
)
async def test_every_effort_is_known_whatever_the_host(theirs: Theirs, ours: Ours, word: str, think: str) -> None:
    """0.24 did not know `minimal`, `xhigh` and `ultra`."""
    assert theirs.status == (400 if theirs.version == "0.24" else 200)

    answer = await ours.answer(theirs, reasoning_effort=word)
    assert answer.message["reasoning"]
    assert ours.sent()[0]["think"] == think


@beside("chat-reasoning-effort-not-supported")
async def test_a_model_that_cannot_think_answers_all_the_same(theirs: Theirs, ours: Ours) -> None:
    assert (theirs.status, theirs.error["message"]) == (400, '"tiny-chat" does not support thinking')

    answer = await ours.answer(theirs)
    assert answer.message["content"]
    assert answer.headers["x-gateway-ignored"] == "reasoning_effort"


@beside("chat-format-json-schema", "0.33/chat-jinja-format-json-schema")
async def test_a_thinking_model_keeps_to_a_schema(theirs: Theirs, ours: Ours) -> None:
    model = theirs.asked["model"].replace("chat", "think").replace("native", "native-think")
    answer = await ours.answer(theirs, model=model)

    assert answer.message["reasoning"]
    assert json.loads(answer.message["content"]).keys() == json.loads(theirs.message["content"]).keys()
