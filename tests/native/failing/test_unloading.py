"""Hosts that fail to unload a model do not keep the others from it."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from gateway.api.native import inference
from gateway.hop import Timeouts
from gateway.simulator.faults import Hang, Raw, Reply, missing, refusal
from tests.native.failing.asking import ask, order
from tests.native.trio import is_refusal
from tests.running import running

UNLOAD = {"messages": [], "keep_alive": 0}


@pytest.mark.parametrize(
    "fault", [Hang(), Reply(500), Raw(b"nonsense"), missing("demo")], ids=["hangs", "fails", "no HTTP", "lacks it"]
)
async def test_a_host_that_fails_to_unload_does_not_keep_the_others_from_it(pair, fault, log, monkeypatch):
    first, second = pair
    monkeypatch.setattr(inference, "PATIENCE", Timeouts(connect=1, first_byte=0.2, between=0.2))
    async with running(first, second) as gateway:
        for _ in range(2):
            await ask(gateway)
        order(first, fault)
        answer = await ask(gateway, **UNLOAD)

        assert answer.json()["done_reason"] == "unload"
        assert answer.headers["x-gateway-host"] == "host-1"
        assert second.resident == []
        [line] = [line for line in log() if line["event"] == "unload failed"]
        assert (line["level"], line["host"], line["model"]) == ("warning", "host-0", "demo:latest")


async def test_a_host_that_is_down_does_not_keep_the_others_from_unloading(pair):
    first, second = pair
    async with running(first, second) as gateway:
        await ask(gateway)
        await first.kill()
        answer = await ask(gateway, **UNLOAD)

        assert (answer.status_code, answer.headers["x-gateway-host"]) == (200, "host-1")
        assert second.resident == []


@pytest.mark.parametrize(
    ("fault", "status", "words"),
    [(refusal(500, "what"), 500, "what"), (missing("demo"), 404, "model 'demo' not found"), (Raw(b""), 502, None)],
)
async def test_when_no_host_unloads_the_caller_is_told_why(pair, fault, status, words):
    async with running(*pair) as gateway:
        for host in pair:
            order(host, replace(fault, times=None))
        answer = await ask(gateway, **UNLOAD)

    assert is_refusal(answer, status)
    assert words is None or answer.json()["error"] == words


async def test_what_was_unloaded_is_no_longer_told_as_loaded(pair):
    async with running(*pair) as gateway:
        for host in pair:
            await gateway.client.post(f"{host.url}/api/generate", json={"model": "demo"})
        await gateway.seen()
        before = (await gateway.client.get("/api/ps")).json()["models"]
        await ask(gateway, **UNLOAD)
        after = (await gateway.client.get("/api/ps")).json()["models"]

    assert (len(before), after) == (2, [])
