"""Which model is in memory, with which options, and for how long, as seen from outside (wire.md 3)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gateway.simulator import Simulator
from tests.gateway.simulator.client import ask, chat
from tests.gateway.simulator.talking import Talk, host, load, resident, running

# --- memory -----------------------------------------------------------------------------------------------------------


async def test_a_model_is_listed_once_it_is_loaded_and_not_before() -> None:
    async with host(load_seconds=60) as simulator:
        talk = Talk(simulator, "a")
        await simulator.wait_until(lambda: len(simulator.requests) == 1)
        assert await resident(simulator) == []
        await talk.leave()
        simulator.load_seconds = 0
        await load(simulator, "a")
        assert await resident(simulator) == [("a:latest", 4096)]


async def test_the_time_of_a_load_is_told() -> None:
    async with host(load_seconds=0.03) as simulator:
        answer = (await chat(simulator.url, model="quick", stream=False)).json
        assert answer["load_duration"] >= 30_000_000


async def test_the_idle_model_that_would_stay_shortest_makes_room() -> None:
    async with host(max_loaded=2) as simulator:
        await load(simulator, "a", keep_alive="1h")
        await load(simulator, "b", keep_alive="1m")
        await load(simulator, "c")
        assert sorted(await resident(simulator)) == [("a:latest", 4096), ("c:latest", 4096)]


async def test_a_model_in_use_is_waited_for_when_room_is_needed() -> None:
    async with host(max_loaded=1) as simulator:
        user = Talk(simulator, "a")
        await running(simulator, 1)
        other = asyncio.create_task(load(simulator, "b"))
        await simulator.wait_until(lambda: len(simulator.requests) == 2)
        await asyncio.sleep(0.01)
        assert not other.done()
        await user.leave()
        assert (await other).status == 200
        assert await resident(simulator) == [("b:latest", 4096)]


RELOADS = [
    ({"num_ctx": 2048}, True),
    ({"num_ctx": 4096}, False),
    ({"num_gpu": 1}, True),
    ({"num_thread": 8}, True),
    ({"temperature": 0.1}, False),
    ({"seed": 3, "stop": ["x"]}, False),
]


@pytest.mark.parametrize(("options", "reloads"), RELOADS)
async def test_another_load_option_loads_the_model_anew(options: dict[str, Any], reloads: bool) -> None:
    async with host() as simulator:
        await load(simulator, "quick")
        await chat(simulator.url, model="quick", options=options)
        assert simulator.loads == 1 + reloads


async def test_a_reload_waits_for_the_requests_that_use_the_model() -> None:
    async with host() as simulator:
        user = Talk(simulator, "a")
        await running(simulator, 1)
        other = asyncio.create_task(load(simulator, "a", options={"num_ctx": 2048}))
        await simulator.wait_until(lambda: len(simulator.requests) == 2)
        await asyncio.sleep(0.01)
        assert not other.done()
        await user.leave()
        await other
        assert await resident(simulator) == [("a:latest", 2048)]


@pytest.mark.parametrize(("version", "reloads"), [("0.30.8", False), ("0.30.9", True), ("0.33.0", True)])
async def test_shift_is_a_load_option_from_0_30_9_on(version: str, reloads: bool) -> None:
    async with host(version=version) as simulator:
        await load(simulator, "quick")
        await chat(simulator.url, model="quick", shift=False)
        assert simulator.loads == 1 + reloads


@pytest.mark.parametrize(("asked", "got"), [(1, 4), (100_000, 32768), (512, 512)])
async def test_a_context_is_kept_within_what_the_model_can_do(asked: int, got: int) -> None:
    async with host() as simulator:
        await load(simulator, "a", options={"num_ctx": asked})
        assert await resident(simulator) == [("a:latest", got)]


async def test_models_with_the_same_weights_share_a_runner_under_the_first_name() -> None:
    async with host() as simulator:
        await load(simulator, "a-alias")
        await chat(simulator.url, model="a-other", options={"num_predict": 1})
        assert simulator.loads == 1
        assert await resident(simulator) == [("a-alias:latest", 4096)]


async def test_a_model_that_cannot_be_loaded_is_an_error_and_the_next_load_works() -> None:
    async with host() as simulator:
        received = await load(simulator, "broken")
        assert (received.status, received.json) == (500, {"error": "model requires more system memory"})
        assert (await load(simulator, "quick")).status == 200


async def test_an_embedding_model_has_one_slot_and_its_own_context() -> None:
    async with host(first_token_seconds=60) as simulator:
        body = {"model": "vectors", "input": "x"}
        tasks = [asyncio.create_task(ask(simulator.url, "POST", "/api/embed", body)) for _ in range(3)]
        await simulator.wait_until(lambda: len(simulator.requests) == 3)
        await running(simulator, 1)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


# --- keep_alive -------------------------------------------------------------------------------------------------------


async def expiry(simulator: Simulator, model: str) -> str:
    models: list[dict[str, str]] = (await ask(simulator.url, "GET", "/api/ps")).json["models"]
    return next(each["expires_at"] for each in models if each["model"] == f"{model}:latest")


async def test_a_model_goes_when_its_time_is_over() -> None:
    async with host() as simulator:
        await load(simulator, "quick", keep_alive=0.02)
        assert simulator.resident == ["quick:latest"]
        await simulator.wait_until(lambda: not simulator.resident)


async def test_a_request_starts_the_time_anew() -> None:
    async with host() as simulator:
        await load(simulator, "quick", keep_alive=0.02)
        user = Talk(simulator, "a", keep_alive=0.02)
        await running(simulator, 1)
        await simulator.wait_until(lambda: simulator.resident == ["a:latest"])  # in use, so it stays
        await user.leave()
        await simulator.wait_until(lambda: not simulator.resident)


async def test_zero_unloads_after_the_request() -> None:
    async with host() as simulator:
        assert (await chat(simulator.url, model="quick", keep_alive=0, stream=False)).status == 200
        await simulator.wait_idle()
        assert simulator.resident == []


async def test_a_negative_time_is_for_ever() -> None:
    async with host() as simulator:
        await load(simulator, "a", keep_alive=-1)
        assert (await expiry(simulator, "a")).startswith("23")


async def test_the_time_of_a_loaded_model_stays_when_a_request_does_not_say() -> None:
    async with host() as simulator:
        await load(simulator, "a", keep_alive=-1)
        await load(simulator, "a")
        assert (await expiry(simulator, "a")).startswith("23")


async def test_unloading_answers_at_once_and_lets_running_answers_finish() -> None:
    async with host() as simulator:
        user = Talk(simulator, "a")
        await running(simulator, 1)
        received = await load(simulator, "a", keep_alive=0)
        assert received.json["done_reason"] == "unload"
        assert (simulator.in_flight, simulator.resident) == (1, ["a:latest"])
        await user.leave()
        await simulator.wait_until(lambda: not simulator.resident)


async def test_the_model_that_stays_longest_is_listed_first() -> None:
    async with host() as simulator:
        await load(simulator, "a", keep_alive="1m")
        await load(simulator, "b", keep_alive=-1)
        await load(simulator, "c", keep_alive="1h")
        assert simulator.resident == ["b:latest", "c:latest", "a:latest"]
