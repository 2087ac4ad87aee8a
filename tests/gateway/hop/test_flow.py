"""What is kept in memory stays bounded, whatever the host sends and however slowly it is read."""

from __future__ import annotations

import asyncio

import pytest

from adapters.errors import HostBroken
from gateway.hop import Hop, Limits, Timeouts
from gateway.hop.connection import READ_SIZE
from tests.gateway.hop.servers import GET, Peer, serve, until

SIZE = 50 * 1024 * 1024
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


@pytest.mark.parametrize("framing", ["length", "chunked", "close"])
async def test_host_waits_for_a_slow_reader(framing: str) -> None:
    piece = bytes(65_536)
    head, chunk, end = {
        "length": (b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % SIZE, piece, b""),
        "chunked": (CHUNKED, b"10000\r\n%b\r\n" % piece, b"0\r\n\r\n"),
        "close": (b"HTTP/1.1 200 OK\r\n\r\n", piece, b""),
    }[framing]
    sent = 0

    async def script(peer: Peer) -> None:
        nonlocal sent
        await peer.request()
        await peer.send(head)
        for _ in range(SIZE // len(piece)):
            await peer.send(chunk)
            sent += len(chunk)
        await peer.send(end)

    async with serve(script) as server:
        hop = Hop(server.url, limits=Limits(high_water=100_000))
        response = await hop.send(GET)
        (connection,) = hop._open
        await until(lambda: connection._paused)
        assert sum(map(len, response._answer.pieces)) <= 100_000 + READ_SIZE
        assert sent < SIZE
        size = 0
        while data := await response.read():
            assert len(data) <= 100_000 + READ_SIZE
            size += len(data)
        assert size == SIZE
        await hop.aclose()


async def test_host_that_is_made_to_wait_is_not_the_one_that_is_slow() -> None:
    size = 5_000_000

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size)
        await begun.wait()
        await peer.send(bytes(size))

    begun = asyncio.Event()
    async with serve(script) as server:
        hop = Hop(server.url, limits=Limits(high_water=100_000), timeouts=Timeouts(between=0.3))
        response = await hop.send(GET)
        begun.set()
        (connection,) = hop._open
        await until(lambda: connection._paused)
        await asyncio.sleep(0.4)
        assert await response.body(size) == bytes(size)
        await hop.aclose()


@pytest.mark.parametrize(
    ("first", "then"),
    [
        (b"HTTP/1.1 200 OK\r\n", b"x: y\r\n" * 1000),
        (b"HTTP/1.1 200 OK\r\nx: ", b"y" * 10_000),
        (b"", b"HTTP/1.1 103 Early Hints\r\n\r\n" * 100),
        (b"HTTP/1.1 200 ", b"y" * 10_000),
        (CHUNKED + b"1;", b"y" * 10_000),
        (CHUNKED + b"0\r\n", b"x: y\r\n" * 1000),
    ],
    ids=["headers", "a header", "interim answers", "a reason", "a chunk extension", "trailers"],
)
async def test_host_that_never_comes_to_the_point_is_broken_and_the_next_request_works(
    first: bytes, then: bytes
) -> None:
    sent = 0

    async def script(peer: Peer) -> None:
        nonlocal sent
        while await peer.request():
            if sent:
                await peer.send(b"HTTP/1.1 204 No Content\r\n\r\n")
                continue
            await peer.send(first)
            while True:
                await peer.send(then)
                sent += len(then)

    async with serve(script) as server:
        hop = Hop(server.url)
        with pytest.raises(HostBroken, match="too large"):
            await (await hop.send(GET)).read()
        assert sent < 20_000_000  # what the sockets' buffers hold, not more
        assert (await hop.send(GET)).status == 204
        await hop.aclose()
