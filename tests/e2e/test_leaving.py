"""Callers that leave before the end: the host stops at once, and works for the next one."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

import openai
import pytest

from tests.e2e.calling import Caller, said
from tests.e2e.cast import SAID
from tests.e2e.conftest import Host

pytestmark = pytest.mark.asyncio(loop_scope="package")

Leave = Callable[[Caller, Host, dict[str, Any]], Awaitable[None]]


async def close_the_stream(caller: Caller, host: Host, asked: dict[str, Any]) -> None:
    stream: Any = await caller.client.chat.completions.create(**asked, stream=True)
    async for chunk in stream:
        if chunk.choices[0].delta.content:
            break
    await stream.close()


async def leave_the_block(caller: Caller, host: Host, asked: dict[str, Any]) -> None:
    async with caller.client.chat.completions.stream(**asked) as stream:
        async for event in stream:
            if event.type == "content.delta" and event.delta:
                break


async def close_the_stream_of_the_synchronous_client(caller: Caller, host: Host, asked: dict[str, Any]) -> None:
    def read_a_little() -> None:
        with caller.sync.chat.completions.create(**asked, stream=True) as stream:
            for chunk in stream:
                if chunk.choices[0].delta.content:
                    return

    await asyncio.to_thread(read_a_little)


async def cancel(caller: Caller, host: Host, asked: dict[str, Any]) -> None:
    asking = asyncio.create_task(caller.client.chat.completions.create(**asked))
    await host.simulator.wait_until(lambda: host.simulator.in_flight > 0)
    asking.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await asking


async def cancel_before_the_first_token(caller: Caller, host: Host, asked: dict[str, Any]) -> None:
    host.simulator.first_token_seconds = 60
    await cancel(caller, host, {**asked, "stream": True})


async def run_out_of_time(caller: Caller, host: Host, asked: dict[str, Any]) -> None:
    with pytest.raises(openai.APITimeoutError):
        await caller.client.with_options(timeout=0.5, max_retries=0).chat.completions.create(**asked)


async def run_out_of_time_before_the_first_token(caller: Caller, host: Host, asked: dict[str, Any]) -> None:
    host.simulator.first_token_seconds = 60
    await run_out_of_time(caller, host, {**asked, "stream": True})


async def run_out_of_time_in_a_thread(caller: Caller, host: Host, asked: dict[str, Any]) -> None:
    impatient: Any = caller.sync.with_options(timeout=0.5, max_retries=0).chat.completions
    with pytest.raises(openai.APITimeoutError):
        await asyncio.to_thread(impatient.create, **asked)


LEAVERS: list[Leave] = [
    close_the_stream,
    leave_the_block,
    close_the_stream_of_the_synchronous_client,
    cancel,
    cancel_before_the_first_token,
    run_out_of_time,
    run_out_of_time_before_the_first_token,
    run_out_of_time_in_a_thread,
]


@pytest.mark.parametrize("leave", LEAVERS, ids=lambda leave: leave.__name__)
async def test_a_host_does_not_work_for_a_caller_that_left(caller: Caller, host: Host, leave: Leave) -> None:
    simulator = host.simulator
    simulator.token_seconds = 0.01
    await leave(caller, host, {"model": host.model("chat"), "messages": said("endless")})
    await simulator.wait_until(lambda: simulator.cancelled == 1)
    await simulator.wait_idle()
    simulator.token_seconds = simulator.first_token_seconds = 0.0
    completion = await caller.ask("async", model=host.model("chat"), messages=said("hi"))

    assert [request.ended for request in simulator.requests if request.inference] == ["cancelled", "complete"]
    assert completion.choices[0].message.content == SAID


async def test_a_stream_that_was_read_to_its_end_is_no_early_leave(caller: Caller, host: Host, way: str) -> None:
    await caller.ask(way, model=host.model("chat"), messages=said("hi"))
    await host.simulator.wait_idle()

    assert host.simulator.cancelled == 0
    assert [request.ended for request in host.simulator.requests if request.inference] == ["complete"]
