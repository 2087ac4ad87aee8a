"""Answers that take more than one native call."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from msgspec.structs import replace

from gateway.config import ModelSettings
from gateway.simulator import Simulator, demo, demo_thinking, says
from gateway.simulator.faults import Fail, out_of_memory
from tests.running import chats, events, eventually, running

TALKER = replace(demo, name="talker", speak=says("It is a fine day."))
"""It never calls a tool, and follows a schema only because its host makes it."""

WEATHER = {
    "name": "get_weather",
    "description": "Tells the weather.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
TOOLS = [{"type": "function", "function": WEATHER}]
FORCED: dict[str, Any] = {"model": "talker", "tools": TOOLS, "tool_choice": "required"}


@pytest.fixture
async def host():
    async with Simulator(models=[TALKER, demo]) as host:
        yield host


def deltas(answer: str) -> list[dict[str, Any]]:
    return [
        event["choices"][0]["delta"] for event in events(answer) if isinstance(event, dict) and event.get("choices")
    ]


async def test_a_model_that_does_not_call_is_made_to(host):
    async with running(host) as gateway:
        answer = (await gateway.chat("hi", **FORCED)).json()

    first, second = chats(host)
    assert [tool["function"]["name"] for tool in first["tools"]] == ["get_weather"]
    assert "tools" not in second
    assert second["messages"][0]["role"] == "system"
    assert '"get_weather"' in second["messages"][0]["content"]
    assert second["messages"][1:] == first["messages"]
    assert second["think"] is False
    assert second["format"]["properties"]["name"] == {"const": "get_weather"}
    [choice] = answer["choices"]
    [call] = choice["message"]["tool_calls"]
    assert call["function"]["name"] == "get_weather"
    assert list(json.loads(call["function"]["arguments"])) == ["city"]
    assert (choice["message"]["content"], choice["finish_reason"]) == (None, "tool_calls")
    assert answer["ollama"]["tool_call_emulated"] is True


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_usage_and_log_count_both_calls(host, log, stream):
    async with running(host) as gateway:
        answer = await gateway.chat(
            "hi", **FORCED, stream=stream, stream_options={"include_usage": True} if stream else None
        )
        once = (await gateway.chat("hi", model="talker", tools=TOOLS)).json()["usage"]
        usage = events(answer.text)[-2]["usage"] if stream else answer.json()["usage"]
        await eventually(lambda: gateway.in_flight() == 0)

    line = next(line for line in log() if line.get("tried") == 2)
    assert (line["prompt_tokens"], line["completion_tokens"]) == (usage["prompt_tokens"], usage["completion_tokens"])
    assert usage["prompt_tokens"] > once["prompt_tokens"]
    assert usage["completion_tokens"] > once["completion_tokens"]
    assert line["finish"] == "tool_calls"


async def test_thoughts_stream_at_once_and_words_that_are_taken_back_do_not():
    thinking = replace(demo_thinking, name="talker", speak=says("<think>\nHm, hm.\n</think>\n\nIt is a fine day."))
    async with Simulator(models=[thinking]) as host, running(host) as gateway:
        answer = await gateway.chat("hi", **FORCED, stream=True)

    said = deltas(answer.text)
    assert "".join(delta.get("reasoning", "") for delta in said)
    assert not any(delta.get("content") for delta in said)
    assert any("tool_calls" in delta for delta in said)


@pytest.fixture
async def pair():
    """Two hosts that have the model in memory, so that single requests take turns, and a gateway before them."""
    async with Simulator(models=[TALKER]) as one, Simulator(models=[TALKER]) as other, running(one, other) as gateway:
        for host in (one, other):
            await gateway.client.post(f"{host.url}/api/generate", json={"model": "talker"})
        await gateway.seen()
        yield gateway, one, other


async def test_both_calls_go_to_the_same_host(pair):
    gateway, one, other = pair
    for count in range(1, 4):
        await gateway.chat("hi", **FORCED)
        assert len(chats(one)) % 2 == len(chats(other)) % 2 == 0
        assert len(chats(one)) + len(chats(other)) == 2 * count


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_the_second_call_goes_to_another_host_when_one_fails(pair, stream):
    gateway, one, other = pair
    one.token_seconds = other.token_seconds = 0.01
    asking = asyncio.create_task(gateway.chat("hi", **FORCED, stream=stream))
    await eventually(lambda: len(chats(one)) + len(chats(other)) == 1)
    asked = one if chats(one) else other
    asked.script(replace(Fail(0), path="/api/chat"))
    answer = await asking

    assert answer.status_code == 200
    assert "get_weather" in answer.text
    assert sorted([len(chats(one)), len(chats(other))]) == [1, 2]


async def test_a_second_call_that_nobody_answers(host, log):
    async with running(host) as gateway:
        host.token_seconds = 0.02
        asking = asyncio.create_task(gateway.chat("hi", **FORCED))
        await eventually(lambda: len(chats(host)) == 1)
        host.script(replace(out_of_memory(), path="/api/chat"))
        answer = await asking

        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "out_of_memory")
        await eventually(lambda: gateway.in_flight() == 0)

    line = next(line for line in log() if line.get("error") == "out_of_memory" and line["event"] == "request")
    assert line["prompt_tokens"] > 0  # the first call took them all the same
    assert line["completion_tokens"] > 0


STRICT_TOOL = {"type": "function", "function": {**WEATHER, "strict": True}}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_a_wrong_call_is_handed_over_when_it_cannot_be_mended(stream):
    calls = replace(
        demo, name="talker", speak=says('<tool_call>{"name": "get_weather", "arguments": {"town": "Oslo"}}')
    )
    async with Simulator(models=[calls]) as host, running(host) as gateway:
        host.token_seconds = 0.01
        asking = asyncio.create_task(gateway.chat("hi", model="talker", tools=[STRICT_TOOL], stream=stream))
        await eventually(lambda: len(chats(host)) == 1)
        host.script(replace(out_of_memory(), path="/api/chat"))
        answer = await asking

    assert len(chats(host)) == 2
    assert answer.status_code == 200
    assert "'city' is a required property" in answer.text
    assert '\\"town\\":' in answer.text


@pytest.mark.parametrize("calls", [1, 2])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_a_caller_who_leaves_stops_whichever_call_is_made(host, calls, stream):
    async with running(host) as gateway:
        host.token_seconds = 1 if calls == 1 else 0.0
        body = json.dumps({"messages": [{"role": "user", "content": "hi"}], **FORCED, "stream": stream})
        _, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        if calls == 2:
            host.first_token_seconds = 0.2
        writer.write(
            b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-length: %d\r\n\r\n" % len(body)
            + body.encode()
        )
        await eventually(lambda: len(chats(host)) == calls)
        host.token_seconds = 1
        writer.close()
        await writer.wait_closed()

        await eventually(lambda: host.in_flight == 0 and gateway.in_flight() == 0)
        assert len(chats(host)) == calls


FORM = {"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"], "additionalProperties": False}
STRICT: dict[str, Any] = {"type": "json_schema", "json_schema": {"name": "form", "strict": True, "schema": FORM}}


class Stubborn:
    """Speaks as it likes, one text after the other, whatever form is wanted; the last one for ever."""

    def __init__(self, *texts: str) -> None:
        self.texts = list(texts)

    def __call__(self, prompt):
        text = self.texts.pop(0) if len(self.texts) > 1 else self.texts[0]
        return says(text)(replace(prompt, format=None))


def stubborn(*texts: str) -> Simulator:
    """A host that leaves the form to its model, as one does whose model thinks before it answers."""
    model = replace(demo, name="talker", speak=Stubborn(*texts), constrained=False)
    return Simulator(models=[model])


async def test_an_answer_that_breaks_its_form_is_asked_for_once_more():
    async with stubborn('{"ok": "yes"}', '{"ok": true}') as host, running(host) as gateway:
        answer = (await gateway.chat("hi", model="talker", response_format=STRICT)).json()

    first, second = chats(host)
    assert answer["choices"][0]["message"]["content"] == '{"ok": true}'
    assert answer["ollama"]["schema_retried"] is True
    assert second["messages"][0] == first["messages"][0]
    assert second["messages"][1] == {"role": "assistant", "content": '{"ok": "yes"}'}
    assert "$.ok: 'yes' is not of type 'boolean'" in second["messages"][2]["content"]
    assert (second["format"], second["think"]) == (FORM, False)


async def test_an_answer_that_breaks_its_form_twice_is_an_error_that_says_how():
    async with stubborn('{"ok": "yes"}') as host, running(host) as gateway:
        answer = await gateway.chat("hi", model="talker", response_format=STRICT)

    assert len(chats(host)) == 2
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "schema_mismatch")
    assert "$.ok: 'yes' is not of type 'boolean'" in answer.json()["error"]["message"]
    assert answer.headers["x-should-retry"] == "false"


async def test_a_stream_that_breaks_its_form_ends_in_an_error():
    async with stubborn('{"ok": "yes"}') as host, running(host) as gateway:
        answer = await gateway.chat("hi", model="talker", response_format=STRICT, stream=True)
    *chunks, last = events(answer.text)

    assert len(chats(host)) == 1
    assert "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks) == '{"ok": "yes"}'
    assert last["error"]["code"] == "schema_mismatch"


@pytest.mark.parametrize(
    ("settings", "form"),
    [
        ({"models": {"talker": ModelSettings(check_schema=False)}}, STRICT),
        ({}, {"type": "json_schema", "json_schema": {"name": "form", "strict": False, "schema": FORM}}),
        ({}, {"type": "json_schema", "json_schema": {"name": "form", "schema": FORM}}),
    ],
    ids=["turned off", "not strict", "strict left out"],
)
async def test_a_form_that_is_not_checked(settings, form):
    async with stubborn('{"ok": "yes"}') as host, running(host, **settings) as gateway:
        answer = (await gateway.chat("hi", model="talker", response_format=form)).json()

    assert answer["choices"][0]["message"]["content"] == '{"ok": "yes"}'
    assert len(chats(host)) == 1


async def test_a_schema_that_cannot_be_checked_is_said():
    schema = {"type": "object", "properties": {"count": {"type": "integer", "multipleOf": 0}}}
    form = {"type": "json_schema", "json_schema": {**STRICT["json_schema"], "schema": schema}}
    async with stubborn('{"count": 3}') as host, running(host) as gateway:
        answer = (await gateway.chat("hi", model="talker", response_format=form)).json()

    assert answer["choices"][0]["message"]["content"] == '{"count": 3}'
    assert answer["ollama"]["schema_unchecked"] is True
