"""Requests with nothing to say load a model on one host, and unload it from all of them."""

from __future__ import annotations

import asyncio

import httpx2
import pytest

from tests.native.trio import CHAT, TEXT, lines
from tests.running import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.mark.parametrize("path", TEXT)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_nothing_to_say_loads_the_model_on_one_host(three, path, stream):
    answer = await three.ask(path, {"model": "tiny-chat", "stream": stream, "messages": [], "prompt": ""})

    assert answer.status_code == 200
    assert answer.json()["done_reason"] == "load"
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    assert [host.resident for host in three.hosts.values()].count(["tiny-chat:latest"]) == 1


@pytest.mark.parametrize("path", TEXT)
async def test_a_loaded_model_is_asked_where_it_is_loaded(three, path):
    first = await three.ask(path, {"model": "tiny-chat", "messages": [], "prompt": ""})
    await three.gateway.seen()
    hosts = [(await three.ask(path, model="tiny-chat")).headers["x-gateway-host"] for _ in range(4)]

    assert hosts == [first.headers["x-gateway-host"]] * 4


@pytest.mark.parametrize("path", TEXT)
@pytest.mark.parametrize("keep_alive", [0, "0", "0s"])
async def test_unloading_goes_to_every_host_that_has_the_model(three, path, keep_alive):
    body = {"model": "tiny-chat", "messages": [], "prompt": ""}
    async with httpx2.AsyncClient(trust_env=False) as client:
        for host in three.hosts.values():
            await client.post(host.url + path, json=body)
    answer = await three.ask(path, body, keep_alive=keep_alive)

    assert answer.json()["done_reason"] == "unload"
    assert answer.headers["x-gateway-host"] == "old, new, jinja"
    assert [host.resident for host in three.hosts.values()] == [[], [], []]
    await eventually(lambda: not any(host.view.residents for host in three.gateway.gateway.fleet.hosts.values()))


async def test_unloading_an_alias_unloads_its_model(three):
    for name in ("old", "jinja"):
        async with httpx2.AsyncClient(trust_env=False) as client:
            await client.post(three.hosts[name].url + CHAT, json={"model": "tuned"})
    answer = await three.ask(CHAT, {"model": "gpt-4o-mini", "messages": [], "keep_alive": 0})

    assert answer.headers["x-gateway-host"] == "old, jinja"
    assert (three.hosts["old"].resident, three.hosts["jinja"].resident) == ([], [])


async def test_unloading_what_is_not_there_is_judged_by_a_host(three):
    answer = await three.ask(CHAT, {"model": "nobody", "messages": [], "keep_alive": 0})

    assert (answer.status_code, answer.json()) == (404, {"error": "model 'nobody' not found"})
    assert len(three.sent(CHAT)) == 1


async def test_a_running_answer_is_finished_when_its_model_is_unloaded(three):
    three.hosts["new"].token_seconds = 0.005
    running = asyncio.create_task(three.ask(CHAT, model="see"))
    await eventually(lambda: three.hosts["new"].in_flight == 1)
    unloaded = await three.ask(CHAT, {"model": "see", "messages": [], "keep_alive": 0})

    assert unloaded.json()["done_reason"] == "unload"
    assert not running.done()
    assert lines(await running)[-1]["done"] is True


async def test_words_with_no_keep_alive_are_answered_once_and_the_model_leaves(three):
    answer = await three.ask(CHAT, model="tiny-chat", keep_alive=0)

    assert lines(answer)[-1]["done_reason"] == "stop"
    assert len(three.sent(CHAT)) == 1
    await eventually(lambda: not any(host.resident for host in three.hosts.values()))
