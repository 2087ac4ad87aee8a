"""Who waits, who is refused, and what becomes of those who leave, as seen from outside (wire.md 3)."""

from __future__ import annotations

import asyncio

import pytest

from gateway.simulator import SimulatedModel, Simulator, says
from gateway.simulator.options import LoadOptions
from gateway.simulator.scheduler import Scheduler
from tests.gateway.simulator.client import Client, chat
from tests.gateway.simulator.talking import MODELS, Talk, host, load, running

# --- slots ------------------------------------------------------------------------------------------------------------


async def test_a_model_serves_so_many_requests_at_once_and_the_others_wait() -> None:
    async with host(parallel=2) as simulator:
        talks = [Talk(simulator, "a") for _ in range(5)]
        await simulator.wait_until(lambda: len(simulator.requests) == 5)
        await running(simulator, 2)
        await talks[0].leave()
        await simulator.wait_until(lambda: simulator.cancelled == 1)
        await running(simulator, 2)
        for talk in talks[1:]:
            await talk.leave()
        await running(simulator, 0)
        assert simulator.cancelled == 5


async def test_each_model_has_its_own_slots() -> None:
    async with host(parallel=1) as simulator:
        talks = [Talk(simulator, "a"), Talk(simulator, "b")]
        await running(simulator, 2)
        for talk in talks:
            await talk.leave()


async def test_waiting_for_a_slot_is_never_refused() -> None:
    async with host(parallel=1, max_queue=1) as simulator:
        await load(simulator, "a")
        talks = [Talk(simulator, "a") for _ in range(8)]
        await simulator.wait_until(lambda: len(simulator.requests) == 9)
        assert {request.ended for request in simulator.requests[1:]} == {None}
        for talk in talks:
            await talk.leave()


async def test_two_passes_of_one_answer_take_one_slot() -> None:
    model = SimulatedModel(name="m", speak=says('<think>hm</think>{"a": 1}'), capabilities=("completion", "thinking"))
    async with Simulator(models=[model], parallel=1) as simulator:
        for _ in range(2):
            received = await chat(simulator.url, model="m", format="json", stream=False)
            assert received.json["message"] == {"role": "assistant", "content": '{"a": 1}', "thinking": "hm"}
        assert simulator.in_flight == 0


# --- the client leaves ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [True, False])
async def test_a_generation_ends_at_once_when_the_client_leaves(stream: bool) -> None:
    async with host() as simulator:
        talk = Talk(simulator, "a", stream=stream)
        await running(simulator, 1)
        await talk.leave()
        await running(simulator, 0)
        assert (simulator.cancelled, simulator.requests[0].ended) == (1, "cancelled")


async def test_half_closing_counts_as_leaving() -> None:
    async with host() as simulator:
        client = await Client.connect(simulator.url)
        await client.send("POST", "/api/chat", b'{"model":"a","messages":[{"role":"user","content":"hi"}]}')
        await running(simulator, 1)
        client.writer.write_eof()
        await running(simulator, 0)
        client.close()


async def test_a_load_is_given_up_when_its_client_leaves() -> None:
    async with host(load_seconds=60) as simulator:
        talk = Talk(simulator, "a")
        await simulator.wait_until(lambda: len(simulator.requests) == 1)
        await talk.leave()
        await simulator.wait_idle()
        assert (simulator.cancelled, simulator.resident) == (1, [])
        simulator.load_seconds = 0
        assert (await load(simulator, "quick")).status == 200


async def test_who_waits_for_the_load_of_another_loads_itself_when_that_one_leaves() -> None:
    async with host(load_seconds=60) as simulator:
        first = Talk(simulator, "quick")
        await simulator.wait_until(lambda: len(simulator.requests) == 1)
        await asyncio.sleep(0.01)
        second = Talk(simulator, "quick")
        await simulator.wait_until(lambda: len(simulator.requests) == 2)
        simulator.load_seconds = 0
        await first.leave()
        assert (await second.end()).ended == "complete"


async def test_a_request_can_leave_the_queue() -> None:
    async with host(load_seconds=60) as simulator:
        talks = [Talk(simulator, name) for name in ("a", "b", "c")]
        await simulator.wait_until(lambda: len(simulator.requests) == 3)
        for talk in reversed(talks):
            await talk.leave()
        await simulator.wait_idle()
        assert simulator.resident == []


@pytest.mark.parametrize("turns", range(6))
async def test_a_lease_that_is_granted_while_its_request_leaves_is_given_back(turns: int) -> None:
    scheduler = Scheduler(max_queue=1, max_loaded=1, load_seconds=lambda: 0)
    options = LoadOptions(num_ctx=4096)
    task = asyncio.create_task(scheduler.acquire(MODELS[0], options, parallel=1, keep_alive=None))
    for _ in range(turns):
        await asyncio.sleep(0)
    if task.done():
        task.result().end()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    lease = await scheduler.acquire(MODELS[0], options, parallel=1, keep_alive=None)
    assert repr(lease.runner) == "Runner('a', loaded, users=1, keep_alive=300.0)"
    lease.end()
    lease.end()
    assert lease.runner.users == 0
    await scheduler.close()


# --- the queue --------------------------------------------------------------------------------------------------------


async def test_only_requests_that_need_a_load_are_refused_when_the_queue_is_full() -> None:
    async with host(max_queue=1, max_loaded=1, parallel=2) as simulator:
        user = Talk(simulator, "a")
        await running(simulator, 1)
        waiting = [Talk(simulator, "b")]
        await simulator.wait_until(lambda: len(simulator.requests) == 2)
        waiting.append(Talk(simulator, "c"))
        await simulator.wait_until(lambda: len(simulator.requests) == 3)
        refused = await load(simulator, "d")
        error = "server busy, please try again.  maximum pending requests exceeded"
        assert (refused.status, refused.json) == (503, {"error": error})
        assert refused.header("Retry-After") is None
        assert (await load(simulator, "a")).status == 200
        for talk in [*waiting, user]:
            await talk.leave()


async def test_an_idle_host_takes_a_request_even_without_a_queue() -> None:
    async with host(max_queue=0) as simulator:
        assert (await load(simulator, "quick")).status == 200


async def test_loads_happen_one_after_the_other() -> None:
    async with host(load_seconds=60) as simulator:
        talks = [Talk(simulator, "a"), Talk(simulator, "b")]
        await simulator.wait_until(lambda: len(simulator.requests) == 2)
        simulator.load_seconds = 0
        assert simulator.in_flight == 0
        await talks[0].leave()
        await running(simulator, 1)
        assert simulator.resident == ["b:latest"]
        await talks[1].leave()
