"""A caller who leaves stops the hosts at once, and one who reads slowly makes them wait."""

from __future__ import annotations

import asyncio
import json

import pytest
from msgspec.structs import replace

from gateway.simulator import Simulator, demo, says
from gateway.simulator.faults import Hang
from tests.native.failing.asking import ask, asked, either, order
from tests.native.trio import CHAT, EMBED, EMBEDDINGS, GENERATE, HI, TEXT, lines
from tests.running import eventually, leave, running

UNLOAD = {"messages": [], "keep_alive": 0}


def raw_request(path: str, body: bytes) -> bytes:
    return f"POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body


@either
@pytest.mark.parametrize(
    ("delay", "value"),
    [("load_seconds", 30), ("first_token_seconds", 30), ("token_seconds", 1)],
    ids=["loading", "reading", "writing"],
)
@pytest.mark.parametrize("path", TEXT)
async def test_a_host_stops_when_its_caller_leaves(pair, path, delay, value, stream):
    host, _ = pair
    body = json.dumps({"model": "demo", "stream": stream, **HI[path]}).encode()
    async with running(host) as gateway:
        setattr(host, delay, value)
        await leave(gateway.port, raw_request(path, body), lambda: asked(host, path) == 1)
        await eventually(lambda: host.cancelled == 1 and host.in_flight == 0 and gateway.in_flight() == 0)

        setattr(host, delay, 0)
        assert (await ask(gateway, path, stream=stream)).status_code == 200


@pytest.mark.parametrize("path", [EMBED, EMBEDDINGS])
async def test_a_host_stops_to_embed_when_its_caller_leaves(pair, path):
    host, _ = pair
    host.first_token_seconds = 30
    async with running(host) as gateway:
        body = json.dumps({"model": "demo", **HI[path]}).encode()
        await leave(gateway.port, raw_request(path, body), lambda: asked(host, path) == 1)
        await eventually(lambda: host.cancelled == 1 and host.in_flight == 0 and gateway.in_flight() == 0)


async def test_a_caller_that_leaves_while_hosts_unload_leaves_nothing_behind(pair):
    host, _ = pair
    async with running(host) as gateway:
        order(host, Hang())
        body = json.dumps({"model": "demo", **UNLOAD}).encode()
        await leave(gateway.port, raw_request(CHAT, body), lambda: asked(host) == 1)
        await host.wait_idle()
        await eventually(lambda: not gateway.gateway._running)


LONG = replace(demo, name="long", speak=says(" ".join(f"{number}{'x' * 2000}" for number in range(15_000))))
"""More than the sockets of both sides hold, so that a host whose answer nobody reads cannot finish it."""


async def test_a_host_is_not_read_faster_than_its_caller_reads():
    async with Simulator(models=[LONG]) as host, running(host) as gateway:
        _, writer = await asyncio.open_connection("127.0.0.1", gateway.port, limit=1024)
        writer.write(raw_request(GENERATE, b'{"model":"long","prompt":"x"}'))
        await writer.drain()
        await eventually(lambda: host.in_flight == 1)
        whole = await asyncio.wait_for(ask(gateway, GENERATE, model="long"), 60)

        assert lines(whole)[-1]["done"] is True
        assert host.in_flight == 1  # the one that reads is done; the host still waits for the other
        writer.close()
        await eventually(lambda: host.in_flight == 0 and gateway.in_flight() == 0)
