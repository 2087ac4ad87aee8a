"""A caller who leaves stops the host at once."""

from __future__ import annotations

import asyncio
import json

import pytest
from msgspec.structs import replace

from gateway.simulator import Simulator, demo, says
from tests.running import eventually, leave, running


def request(*, stream: bool, cut: int | None = None, size: int = 2) -> bytes:
    messages = [{"role": "user", "content": "hi" + " " * (size - 2)}]
    body = json.dumps({"model": "demo", "messages": messages, "stream": stream}).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body[:cut]


@pytest.fixture
async def host():
    async with Simulator() as host:
        yield host


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize(
    ("delay", "value"),
    [("load_seconds", 30), ("first_token_seconds", 30), ("token_seconds", 1)],
    ids=["loading", "reading", "writing"],
)
async def test_the_host_stops_when_its_caller_leaves(host, delay, value, stream):
    async with running(host) as gateway:
        setattr(host, delay, value)
        await leave(gateway.port, request(stream=stream), lambda: any(r.path == "/api/chat" for r in host.requests))
        await eventually(lambda: host.cancelled == 1 and host.in_flight == 0)
        await eventually(lambda: gateway.in_flight() == 0)

        setattr(host, delay, 0)
        assert (await gateway.chat(stream=stream)).status_code == 200


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("size", [60_000, 200_000, 1_000_000, 5_000_000])
async def test_the_host_stops_however_large_the_request_was(host, size, stream):
    """A server that stops reading while much of a body lies unread does not see that its caller leaves."""
    host.token_seconds = 1
    async with running(host) as gateway:
        sent = request(stream=stream, size=size)
        await leave(gateway.port, sent, lambda: any(r.path == "/api/chat" for r in host.requests))
        await eventually(lambda: host.cancelled == 1 and host.in_flight == 0 and gateway.in_flight() == 0)


async def test_a_caller_that_leaves_before_its_request_is_whole_costs_no_host_anything(host):
    async with running(host) as gateway:
        await leave(gateway.port, request(stream=True, cut=10), lambda: True)
        await asyncio.sleep(0.05)

        assert [r for r in host.requests if r.path == "/api/chat"] == []
        assert gateway.in_flight() == 0
        assert (await gateway.chat()).status_code == 200


async def test_a_caller_that_leaves_as_soon_as_it_has_asked(host):
    host.token_seconds = 1
    async with running(host) as gateway:
        for _ in range(20):
            await leave(gateway.port, request(stream=True), lambda: True)
        await eventually(lambda: host.in_flight == 0 and gateway.in_flight() == 0)

        host.token_seconds = 0
        assert (await gateway.chat()).status_code == 200


# More than the sockets of both sides hold, so that a host whose answer nobody reads cannot finish it.
LONG = replace(demo, name="long", speak=says(" ".join(f"{number}{'x' * 2000}" for number in range(15_000))))


async def ask_and_read_nothing(port: int) -> asyncio.StreamWriter:
    body = json.dumps({"model": "long", "messages": [{"role": "user", "content": "x"}], "stream": True})
    _, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
    writer.write(
        f"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-length: {len(body)}\r\n\r\n{body}".encode()
    )
    await writer.drain()
    return writer


async def test_a_host_is_not_read_faster_than_its_caller_reads():
    async with Simulator(models=[LONG]) as host, running(host) as gateway:
        writer = await ask_and_read_nothing(gateway.port)
        await eventually(lambda: host.in_flight == 1)
        whole = asyncio.create_task(gateway.chat(model="long", stream=True))
        await asyncio.wait_for(whole, 60)

        assert host.in_flight == 1  # the one that reads is done; the host still waits for the other
        writer.close()
        await eventually(lambda: host.in_flight == 0 and gateway.in_flight() == 0)


async def test_a_caller_that_takes_nothing_for_too_long_is_cut_off():
    async with Simulator(models=[LONG]) as host, running(host, receive_timeout=0.3) as gateway:
        writer = await ask_and_read_nothing(gateway.port)
        await eventually(lambda: host.in_flight == 1)
        await eventually(lambda: host.cancelled == 1 and gateway.in_flight() == 0)
        writer.close()
