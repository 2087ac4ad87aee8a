from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from adapters.errors import HostBroken, HostTimeout, InvalidRequest
from adapters.types import Call
from gateway.hop import Hop, Timeouts
from tests.gateway.hop.servers import OK, Peer, pieces, serve, until

BLOB = Call(method="POST", target="/blob")
TOO_LARGE = b"HTTP/1.1 413 Too Large\r\ncontent-length: 2\r\n\r\nno"


class Source:
    """A body without end, or one that stalls.

    Attributes:
        given: How many bytes were asked for.
        ended: Whether its reader has let go of it.
    """

    def __init__(self, piece: bytes = b"x" * 65_536, stalls: bool = False) -> None:
        self._piece = piece
        self._stalls = stalls
        self.given = 0
        self.ended = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            while True:
                self.given += len(self._piece)
                yield self._piece
                if self._stalls:
                    await asyncio.Event().wait()
        finally:
            self.ended = True


@pytest.mark.parametrize(
    ("length", "end"),
    [
        (5, b"content-length: 5\r\n\r\nabcde"),
        (None, b"transfer-encoding: chunked\r\n\r\n2\r\nab\r\n3\r\ncde\r\n0\r\n\r\n"),
    ],
)
async def test_body_is_sent_with_its_length_or_chunked_and_the_connection_kept(length: int | None, end: bytes) -> None:
    seen: list[bytes] = []

    async def script(peer: Peer) -> None:
        while request := await peer.request():
            seen.append(request)
            await peer.send(OK)

    async with serve(script) as server:
        hop = Hop(server.url)
        response = await hop.send(BLOB, body=pieces(b"ab", b"", b"cde"), body_length=length)
        assert await response.body(10) == b"ok"
        assert hop.idle == 1
        assert seen[0].partition(b"host: ")[2].partition(b"\r\n")[2] == end
        await hop.aclose()


async def test_hundred_megabytes_pass_through_a_small_buffer() -> None:
    total = 100 * 1024 * 1024
    received = 0
    highest = 0

    async def script(peer: Peer) -> None:
        nonlocal received
        while received < total + 10_000 and (data := await peer.receive(1 << 20)):
            received += len(data)
            if data.endswith(b"end"):
                break
        await peer.send(OK)

    async def source() -> AsyncIterator[bytes]:
        nonlocal highest
        piece = bytes(65_536)
        for _ in range(total // len(piece)):
            yield piece
            highest = max(highest, *(connection._transport.get_write_buffer_size() for connection in hop._open))
        yield b"end"

    async with serve(script) as server:
        hop = Hop(server.url)
        response = await hop.send(BLOB, body=source(), body_length=total + 3)
        assert await response.body(10) == b"ok"
        assert received > total
        assert highest <= 4 * 65_536
        await hop.aclose()


@pytest.mark.parametrize("stalls", [False, True], ids=["the host takes no more", "the source stalls"])
async def test_answer_before_the_end_of_the_body_is_returned_and_stops_it(stalls: bool) -> None:
    left = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.receive(1)
        await peer.send(TOO_LARGE)
        await closing.wait()
        await peer.closed()
        left.set()

    closing = asyncio.Event()
    source = Source(stalls=stalls)
    async with serve(script) as server:
        hop = Hop(server.url)
        response = await hop.send(BLOB, body=source, body_length=10**12)
        assert source.ended or not stalls
        assert (response.status, await response.body(10)) == (413, b"no")
        given = source.given
        closing.set()
        await left.wait()
        assert source.given == given
        assert (hop.idle, hop.busy) == (0, 0)
        await hop.aclose()


async def test_call_with_a_large_body_that_is_answered_early_does_not_leave_its_rest_on_the_connection() -> None:
    async def script(peer: Peer) -> None:
        await peer.receive(1)
        await peer.send(TOO_LARGE)
        await closing.wait()
        await peer.closed()

    closing = asyncio.Event()
    async with serve(script) as server:
        hop = Hop(server.url)
        response = await hop.send(Call(method="POST", target="/", body=bytes(20_000_000)))
        assert (response.status, await response.body(10)) == (413, b"no")
        await until(lambda: hop.busy == 0)
        assert hop.idle == 0
        closing.set()
        await hop.aclose()


@pytest.mark.parametrize(("length", "message"), [(3, "longer than its content-length"), (9, "ended after 5 of the 9")])
async def test_body_that_does_not_have_its_length_is_refused_and_the_connection_closed(
    length: int, message: str
) -> None:
    left = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.closed()
        left.set()

    async with serve(script) as server:
        hop = Hop(server.url)
        with pytest.raises(InvalidRequest, match=message):
            await hop.send(BLOB, body=pieces(b"ab", b"cde"), body_length=length)
        await left.wait()
        await hop.aclose()


async def test_failure_of_the_source_is_raised_and_closes_the_connection() -> None:
    left = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.closed()
        left.set()

    async def source() -> AsyncIterator[bytes]:
        yield b"a"
        raise LookupError("the caller has gone")

    async with serve(script) as server:
        hop = Hop(server.url)
        with pytest.raises(LookupError, match="the caller has gone"):
            await hop.send(BLOB, body=source())
        await left.wait()
        await hop.aclose()


@pytest.mark.parametrize("stalls", [False, True])
async def test_connection_that_is_cut_during_the_upload_is_broken_and_stops_the_source(stalls: bool) -> None:
    async def script(peer: Peer) -> None:
        await peer.receive(100)
        peer.reset()

    source = Source(stalls=stalls)
    async with serve(script) as server:
        hop = Hop(server.url)
        with pytest.raises(HostBroken):
            await hop.send(BLOB, body=source)
        given = source.given
        await until(lambda: hop.busy == 0)
        assert source.given == given
        await hop.aclose()


async def test_cancelled_upload_closes_the_connection_and_stops_the_source() -> None:
    started, left = asyncio.Event(), asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.receive(1)
        started.set()
        await peer.closed()
        left.set()

    source = Source(stalls=True)
    async with serve(script) as server:
        hop = Hop(server.url)
        sending = asyncio.create_task(hop.send(BLOB, body=source))
        await started.wait()
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        assert source.ended
        await left.wait()
        await hop.aclose()


async def test_host_that_takes_nothing_more_is_too_late() -> None:
    async def script(peer: Peer) -> None:
        await done.wait()

    done = asyncio.Event()
    async with serve(script) as server:
        hop = Hop(server.url)
        with pytest.raises(HostTimeout, match=r"took nothing of the request's body for 0\.1 seconds"):
            await hop.send(BLOB, body=Source(), timeouts=Timeouts(between=0.1))
        done.set()
        await hop.aclose()


async def test_slow_source_is_not_the_hosts_fault() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(OK)

    async def source() -> AsyncIterator[bytes]:
        for _ in range(2):
            await asyncio.sleep(0.15)
            yield b"a"

    async with serve(script) as server:
        hop = Hop(server.url)
        response = await hop.send(BLOB, body=source(), timeouts=Timeouts(first_byte=0.25, between=0.1))
        assert await response.body(10) == b"ok"
        await hop.aclose()
