"""The caller leaves: whatever the host is doing, its socket is closed at once, so that it stops."""

from __future__ import annotations

import asyncio

import pytest

from adapters.errors import HostBroken
from gateway.hop import Hop, HopResponse
from tests.gateway.hop.servers import GET, OK, Peer, serve, until

HEAD = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n"


class Watched:
    """A server that sends something, then waits for the client to leave.

    Attributes:
        asked: Whether a request has arrived.
        left: Whether the client has closed the connection.
    """

    def __init__(self, words: bytes) -> None:
        self._words = words
        self.asked = asyncio.Event()
        self.left = asyncio.Event()

    async def __call__(self, peer: Peer) -> None:
        await peer.request()
        await peer.send(self._words)
        self.asked.set()
        await peer.closed()
        self.left.set()


async def cancel(task: asyncio.Task[object]) -> None:
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize("words", [b"", b"HTTP/1.1 200 OK\r\nx:", b"HTTP/1.1 103 Early Hints\r\n\r\n"])
async def test_cancelled_send_closes_the_connection(words: bytes) -> None:
    script = Watched(words)
    async with serve(script) as server:
        hop = Hop(server.url)
        sending: asyncio.Task[object] = asyncio.create_task(hop.send(GET))
        await script.asked.wait()
        await cancel(sending)
        await script.left.wait()
        await until(lambda: hop.busy == 0)
        await hop.aclose()


@pytest.mark.parametrize("words", [HEAD, HEAD + b"some"])
async def test_cancelled_read_closes_the_connection(words: bytes) -> None:
    script = Watched(words)
    async with serve(script) as server:
        hop = Hop(server.url)
        response = await hop.send(GET)

        async def read_all() -> None:
            while await response.read():
                pass

        reading: asyncio.Task[object] = asyncio.create_task(read_all())
        await asyncio.sleep(0.01)
        await cancel(reading)
        await script.left.wait()
        with pytest.raises(HostBroken):
            await response.read()
        await hop.aclose()


async def test_close_in_the_middle_closes_the_connection_and_may_be_called_again() -> None:
    script = Watched(HEAD + b"some")
    async with serve(script) as server:
        hop = Hop(server.url)
        response = await hop.send(GET)
        assert (repr(response), hop.busy) == ("<HopResponse 200 arriving>", 1)
        response.close()
        response.close()
        await script.left.wait()
        assert (repr(response), hop.busy, hop.idle) == ("<HopResponse 200 failed>", 0, 0)
        response.close()
        await hop.aclose()


async def test_close_wakes_whoever_reads() -> None:
    script = Watched(HEAD)
    async with serve(script) as server:
        hop = Hop(server.url)
        response = await hop.send(GET)
        reading = asyncio.create_task(response.read())
        await asyncio.sleep(0)
        response.close()
        with pytest.raises(HostBroken, match="The gateway closed"):
            await reading
        await hop.aclose()


async def test_close_of_a_finished_answer_does_not_touch_the_call_that_has_the_connection_now() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(OK)
        await peer.request()
        await peer.send(OK[:-1])
        await go_on.wait()
        await peer.send(OK[-1:])
        await peer.closed()

    go_on = asyncio.Event()
    async with serve(script) as server:
        hop = Hop(server.url)
        first = await hop.send(GET)
        second = await hop.send(GET)
        assert await first.read() == b"ok"
        first.close()
        go_on.set()
        assert await second.body(10) == b"ok"
        assert server.connections == 1
        await hop.aclose()


async def test_second_reader_is_told_so() -> None:
    script = Watched(HEAD)
    async with serve(script) as server:
        hop = Hop(server.url)
        response = await hop.send(GET)
        reading = asyncio.create_task(response.read())
        await asyncio.sleep(0)
        with pytest.raises(RuntimeError, match="Two tasks read"):
            await response.read()
        response.close()
        with pytest.raises(HostBroken):
            await reading
        await hop.aclose()


async def test_answer_larger_than_its_reader_wants_is_broken_and_ends() -> None:
    script = Watched(HEAD + b"x" * 50)
    async with serve(script) as server:
        hop = Hop(server.url)
        response: HopResponse = await hop.send(GET)
        with pytest.raises(HostBroken, match="larger than 49 bytes"):
            await response.body(49)
        await script.left.wait()
        await hop.aclose()


@pytest.mark.parametrize("turns", range(12))
async def test_a_call_that_is_cancelled_while_it_connects_leaves_nothing_behind(turns: int) -> None:
    """uvloop closes the socket of such an attempt without telling the protocol."""
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    async with server:
        hop = Hop(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        sending = asyncio.create_task(hop.send(GET))
        for _ in range(turns):
            await asyncio.sleep(0)
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        await asyncio.sleep(0.02)

        assert hop.busy == 0
        async with asyncio.timeout(0.5):
            await hop.aclose()
