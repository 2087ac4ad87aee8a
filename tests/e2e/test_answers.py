"""Chats, whole and streamed, as each form of the SDK gets them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from openai.types.chat import ChatCompletion

from tests.conformance.rows import CHAT, shows
from tests.e2e.calling import WAYS, Caller, said
from tests.e2e.cast import LONG, SAID
from tests.e2e.conftest import Ask, Host

pytestmark = pytest.mark.asyncio(loop_scope="package")


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("question", "text"), [("hi", SAID), ("long", LONG), ("silent", "")], ids=["short", "long", "silent"]
)
async def test_an_answer_is_what_the_model_said(ask: Ask, host: Host, question: str, text: str) -> None:
    completion = await ask("chat", question)

    [choice] = completion.choices
    assert (choice.index, choice.finish_reason, choice.logprobs) == (0, "stop", None)
    assert (choice.message.role, choice.message.content, choice.message.refusal) == ("assistant", text, None)
    assert choice.message.tool_calls is None
    assert (completion.object, completion.model) == ("chat.completion", host.model("chat"))
    assert completion.usage is not None
    assert completion.usage.prompt_tokens > 0
    assert completion.usage.completion_tokens > 0
    assert [chat["messages"] for chat in host.chats] == [said(question)]


async def test_every_answer_has_an_id_of_its_own_and_the_fingerprint_of_its_model(ask: Ask) -> None:
    first, second, other = await ask("chat"), await ask("chat"), await ask("plain")

    assert len({first.id, second.id, other.id}) == 3
    assert first.system_fingerprint is not None
    assert first.system_fingerprint == second.system_fingerprint != other.system_fingerprint


@shows(CHAT, "honoured", "metadata", remark="the answer repeats it")
async def test_an_answer_ends_with_what_the_host_says_of_its_work(ask: Ask, caller: Caller) -> None:
    await ask("chat", "long", metadata={"job": "7"})

    [answer] = caller.answers
    *before, last = answer.data
    assert last["metadata"] == {"job": "7"}
    work = last["ollama"]
    assert work.pop("done_reason") == "stop"
    assert all(nanoseconds > 0 for nanoseconds in work.values())
    assert set(work) == {"total_duration", "load_duration", "prompt_eval_duration", "eval_duration"}
    assert not any("ollama" in chunk or "metadata" in chunk for chunk in before)


async def test_a_conversation_reaches_the_host_as_it_was_said(ask: Ask, host: Host) -> None:
    parts = [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]
    await ask(
        "chat",
        [
            {"role": "developer", "content": "Be brief."},
            {"role": "user", "content": parts},
            {"role": "assistant", "content": "three"},
            {"role": "user", "content": "four"},
        ],
    )

    assert host.chats[0]["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "one\ntwo"},
        {"role": "assistant", "content": "three"},
        {"role": "user", "content": "four"},
    ]


@shows(CHAT, "honoured", "stream_options.include_usage")
async def test_the_usage_of_a_stream_comes_only_when_it_is_wanted(caller: Caller, host: Host) -> None:
    asked: dict[str, Any] = {"model": host.model("chat"), "messages": said("hi"), "stream": True}
    usages = []
    for options in ({}, {"stream_options": {"include_usage": False}}, {"stream_options": {"include_usage": True}}):
        create: Any = caller.client.chat.completions.create
        async with await create(**asked, **options) as stream:
            usages.append([chunk.usage for chunk in [chunk async for chunk in stream] if chunk.usage])

    assert usages[:2] == [[], []]
    [usage] = usages[2]
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens > 0


async def test_the_events_of_the_stream_interface(caller: Caller, host: Host) -> None:
    kinds, deltas = [], []
    async with caller.client.chat.completions.stream(model=host.model("chat"), messages=said("hi")) as stream:
        async for event in stream:
            kinds.append(event.type)
            if event.type == "content.delta":
                deltas.append(event.delta)
                assert event.snapshot == "".join(deltas)
            if event.type == "content.done":
                assert event.content == SAID
        completion = await stream.get_final_completion()

    assert "".join(deltas) == SAID
    assert kinds.count("content.done") == 1
    assert set(kinds) == {"chunk", "content.delta", "content.done"}
    assert completion.choices[0].message.content == SAID
    assert completion.choices[0].finish_reason == "stop"


async def test_the_stream_interface_of_the_synchronous_client(caller: Caller, host: Host) -> None:
    def read() -> ChatCompletion:
        with caller.sync.chat.completions.stream(
            model=host.model("chat"), messages=said("hi"), stream_options={"include_usage": True}
        ) as stream:
            return stream.get_final_completion()

    completion = await asyncio.to_thread(read)

    assert completion.choices[0].message.content == SAID
    assert completion.usage is not None
    assert completion.usage.completion_tokens > 0


async def test_the_request_id_is_the_sdks(caller: Caller, host: Host) -> None:
    chats = caller.client.chat.completions
    asked: Any = {"model": host.model("chat"), "messages": said("hi")}
    completion = await chats.create(**asked)
    raw = await chats.with_raw_response.create(**asked, extra_headers={"x-request-id": "mine-1"})

    assert completion._request_id is not None
    assert completion._request_id.startswith("req_")
    assert raw.headers["x-request-id"] == raw.request_id == "mine-1"
    assert raw.parse()._request_id == "mine-1"
    assert raw.parse().choices[0].message.content == SAID
    assert raw.headers["content-type"] == "application/json"


async def test_the_headers_and_lines_of_a_stream(caller: Caller, host: Host) -> None:
    async with caller.client.chat.completions.with_streaming_response.create(
        model=host.model("chat"), messages=said("hi"), stream=True
    ) as answer:
        lines = [line async for line in answer.iter_lines()]

    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert answer.headers["cache-control"] == "no-cache"
    assert answer.headers["x-gateway-host"] == host.name
    assert answer.request_id == caller.answers[0].headers["x-request-id"]
    assert lines[-2:] == ["data: [DONE]", ""]


@shows(CHAT, "honoured", "stream")
async def test_a_stream_comes_piece_by_piece(caller: Caller, host: Host) -> None:
    """The host still works when the first piece is here."""
    host.simulator.token_seconds = 0.005
    async with await caller.client.chat.completions.create(
        model=host.model("chat"), messages=said("hi"), stream=True
    ) as stream:
        working = [host.simulator.in_flight async for _ in stream]

    assert working[0] == 1
    assert working[-1] == 0
