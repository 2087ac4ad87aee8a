"""Every time limit, reached on a real socket; the watch's arithmetic has its own tests."""

from __future__ import annotations

import asyncio

import pytest

from adapters.errors import HostTimeout, HostUnreachable
from gateway.hop import Hop, Limits, Timeouts
from tests.gateway.hop.servers import GET, OK, Peer, Script, deaf, serve

SHORT = 0.05
HEAD = b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n"


def sending(first: bytes, then: bytes = b"", times: int = 0) -> tuple[Script, asyncio.Event]:
    """Return a server that sends something and then, `times` times, something else; and whether the client has left."""
    left = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        try:
            await peer.send(first)
            for _ in range(times):
                await asyncio.sleep(0.005)
                await peer.send(then)
            await peer.closed()
        finally:
            left.set()

    return script, left


async def test_connecting_takes_no_longer_than_its_limit() -> None:
    with deaf() as port:
        hop = Hop(f"http://127.0.0.1:{port}", timeouts=Timeouts(connect=SHORT))
        with pytest.raises(HostUnreachable) as caught:
            await hop.send(GET)
        assert "no connection within 0.05 s" in caught.value.detail
        await hop.aclose()


async def test_whole_call_limits_connecting_too() -> None:
    with deaf() as port:
        hop = Hop(f"http://127.0.0.1:{port}", timeouts=Timeouts(connect=None, total=SHORT))
        with pytest.raises(HostUnreachable):
            await hop.send(GET)
        await hop.aclose()


@pytest.mark.parametrize(
    ("first", "then"),
    [
        (b"", b""),
        (b"HTTP/1.1 200", b""),
        (b"HTTP/1.1 200 OK\r\nx: ", b"y"),
        (b"", b"HTTP/1.1 102 Processing\r\n\r\n"),
    ],
    ids=["silence", "half a line", "a header that drips", "interim answers"],
)
async def test_answer_that_does_not_begin_ends_in_time(first: bytes, then: bytes) -> None:
    script, left = sending(first, then, 200 if then else 0)
    async with serve(script) as server:
        hop = Hop(server.url, timeouts=Timeouts(first_byte=SHORT))
        with pytest.raises(HostTimeout, match=r"did not begin its answer within 0\.05 seconds"):
            await hop.send(GET)
        await left.wait()
        await hop.aclose()


async def test_answer_that_stops_ends_in_time_after_what_had_arrived() -> None:
    script, left = sending(HEAD + b"some")
    async with serve(script) as server:
        hop = Hop(server.url, timeouts=Timeouts(between=SHORT))
        response = await hop.send(GET)
        await left.wait()
        assert await response.read() == b"some"
        with pytest.raises(HostTimeout, match=r"nothing came for 0\.05 seconds"):
            await response.read()
        await hop.aclose()


@pytest.mark.parametrize(("first", "then"), [(b"", b""), (HEAD, b"x")], ids=["before it begins", "while it goes on"])
async def test_whole_call_ends_in_time(first: bytes, then: bytes) -> None:
    script, left = sending(first, then, 200 if then else 0)
    async with serve(script) as server:
        hop = Hop(server.url)
        with pytest.raises(HostTimeout, match=r"did not finish its answer within 0\.1 seconds"):
            await (await hop.send(GET, timeouts=Timeouts(total=0.1))).body(1_000_000)
        await left.wait()
        await hop.aclose()


async def test_limits_of_one_call_do_not_reach_the_next_on_the_connection() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(OK)
        await peer.request()
        await asyncio.sleep(0.3)
        await peer.send(OK)
        await peer.closed()

    async with serve(script) as server:
        hop = Hop(server.url, limits=Limits(keep_alive=0.2))
        hasty = Timeouts(first_byte=0.2, between=0.2, total=0.2)
        assert await (await hop.send(GET, timeouts=hasty)).body(10) == b"ok"
        assert await (await hop.send(GET, timeouts=Timeouts(None, None, None, None))).body(10) == b"ok"
        assert server.connections == 1
        await hop.aclose()
